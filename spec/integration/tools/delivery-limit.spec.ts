import { InstanceQueue, OptionsError } from 'instance-queue';
import { deadLetters } from 'instance-queue/tools';
import { lastValueFrom, map, tap, toArray } from 'rxjs';
import { Bystander } from '../../support/brokers/bystander';
import { ids } from '../../support/brokers/messages';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closing } from '../../support/closing';
import { deadLetterQueue } from '../../support/dead-letters';
import { fixture } from '../../support/fixtures/fixture';
import { eventually } from '../../support/waiting';

describe('looking at dead letters', () => {
  const given = fixture(async () => {
    const { url, version } = sharedBroker();
    const bystander = closing(await Bystander.at(url));
    const queue = closing(new InstanceQueue({ url, logger: 'silent' }));
    const letters = await deadLetterQueue(bystander, { 'x-queue-type': 'quorum' });
    return { bystander, queue, letters, version, desk: deadLetters(queue, letters.dead) };
  });
  /** Looks at all letters until it is refused, thirty times at most. Gives how often. */
  const looks = async (): Promise<number> => {
    for (let n = 0; n < 30; n++) {
      try {
        await lastValueFrom(given.desk.groups());
      } catch (error) {
        expect(error).toBeInstanceOf(OptionsError);
        return n;
      }
      await eventually(async () => (await given.bystander.count(given.letters.dead)).ready === 3);
    }
    return 30;
  };

  it('never costs a letter of a quorum queue: where each look counts, it is refused in time, and moving them begins the counts anew', async () => {
    const { bystander, letters, desk, version } = given;
    await letters.fill(3);
    // RabbitMQ 4.0 to 4.2 has a limit of 20 and counts every delivery; 3.x has no limit; from 4.3 on a `nack` does not count.
    const counts = /^4\.[012]\./.test(version);
    expect(await looks()).toBe(counts ? 10 : 30);
    expect((await bystander.count(letters.dead)).ready).toBe(3);
    await lastValueFrom(desk.move({ queue: letters.dead }));
    await eventually(async () => (await bystander.count(letters.dead)).ready === 3);
    expect(await looks()).toBe(counts ? 10 : 30);
    expect(ids(await bystander.takeAll(letters.dead)).sort()).toEqual(['m0', 'm1', 'm2']);
  });

  it.each(['classic', 'quorum'])('a %s queue is read to its end, however many consumers that takes', async (type) => {
    const { bystander, queue } = given;
    const { dead, fill } = await deadLetterQueue(bystander, { 'x-queue-type': type });
    await fill(60);
    const all = Array.from({ length: 60 }, (_, i) => `m${i}`);
    const look = async (): Promise<unknown[]> => {
      const scan = await queue.admin.scan(dead, { limit: Infinity, window: 7 });
      const keeping$ = scan.message$.pipe(
        tap(({ deliveryTag }) => scan.keep(deliveryTag)),
        map(({ properties }) => properties.messageId),
        toArray(),
      );
      const seen = await lastValueFrom(keeping$);
      await scan.close();
      return seen;
    };
    for (let n = 0; n < 3; n++) {
      if (type === 'classic') expect(await look()).toEqual(all);
      // A quorum queue counts what it got back a little later, and puts it behind others.
      else await eventually(async () => (await look()).sort().join() === [...all].sort().join());
    }
  });

  it('ends, where it would cost letters; taking them out does not', async () => {
    const { letters, desk, bystander } = given;
    await letters.fill(3);
    await looks();
    await eventually(async () => (await bystander.count(letters.dead)).ready === 3);
    expect(await lastValueFrom(desk.replay())).toMatchObject({ done: 3 });
  });
});
