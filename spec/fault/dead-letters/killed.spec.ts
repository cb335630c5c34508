import { Bystander } from '../../support/brokers/bystander';
import { privateBroker } from '../../support/brokers/test-brokers';
import { closing } from '../../support/closing';
import { startInPipes } from '../../support/command-line';
import { deadLetterQueue } from '../../support/dead-letters';
import { fixture } from '../../support/fixtures/fixture';
import { eventually } from '../../support/waiting';

/** `KILLS=200` for the long form. */
const KILLS = Number(process.env.KILLS || 4);
const PER_KILL = 100;

describe('a replay that is killed', () => {
  const given = fixture(async () => {
    const { url } = privateBroker();
    const bystander = closing(await Bystander.at(url));
    return { url, bystander, letters: await deadLetterQueue(bystander) };
  });

  it(
    'loses no letter, and what is there twice has the same id',
    async () => {
      const { bystander, letters, url } = given;
      const all = KILLS * PER_KILL;
      await letters.fill(all);
      const count = async (): Promise<number> => (await bystander.count(letters.name)).ready;
      let killed = 0;
      for (; killed < KILLS && (await bystander.count(letters.dead)).ready > 0; killed++) {
        const before = await count();
        // Slower than the broker, so that each process is killed in the middle.
        const replay = startInPipes(['dead', 'replay', letters.dead, '--rate', '500'], { url });
        await Promise.race([replay.ended, eventually(async () => (await count()) > before)]);
        replay.signal('SIGKILL');
        await replay.ended;
        // The broker notices, and puts back what the process had.
        await eventually(async () => (await bystander.count(letters.name)).ready >= before);
      }
      const last = startInPipes(['dead', 'replay', letters.dead, '--json'], { url });
      expect((await last.ended).code).toBe(0);
      await eventually(async () => (await bystander.count(letters.dead)).ready === 0);
      const copies = await count();
      const replayed: unknown[] = [];
      await bystander.onChannel((channel) =>
        channel.consume(letters.name, (copy) => replayed.push(copy?.properties.messageId), { noAck: true }),
      );
      await eventually(() => replayed.length === copies);
      expect(new Set(replayed)).toEqual(new Set(Array.from({ length: all }, (_, i) => `m${i}`)));
      process.stderr.write(
        `${killed} kills: ${replayed.length} copies of ${all} letters, ${replayed.length - all} duplicates, 0 lost\n`,
      );
      expect(killed).toBeGreaterThan(KILLS / 2);
    },
    60_000 + KILLS * 15_000,
  );
});
