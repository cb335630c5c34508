import type { PublishError } from 'instance-queue';
import { FullTargets } from '../../../lib/dead-letters/full-targets';
import { emitting, type ProducerEvents } from '../../../lib/producer/producer-events';
import { TypedEmitter } from '../../../lib/reactive/typed-emitter';
import { sendOf } from '../../support/publishing-channel';
import { inVirtualTime, later } from '../../support/virtual-time';

const TIMEOUT = 300_000;

/** A transfer whose target refuses letters; `arrivals`: how many came in meanwhile, each time it looks. */
function given(...arrivals: readonly (number | Error)[]) {
  const producer = new TypedEmitter<ProducerEvents>();
  const events = emitting(producer);
  const looks = [...arrivals];
  const stopped: PublishError[] = [];
  const scan = {
    arrivals: (): Promise<number> => {
      const next = looks.shift() ?? 0;
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
  };
  const full = new FullTargets(producer, scan, {
    queue: 'dead',
    timeout: TIMEOUT,
    stop: (error) => stopped.push(error),
  });
  const refuse = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) events.declined(sendOf({ queue: 'orders', messageId: `m${String(i)}` }).entry);
    await later();
  };
  return { full, refuse, stopped, looks };
}

inVirtualTime();

describe('a target that refuses letters', () => {
  it('ends the transfer when as many have come in as it refused', async () => {
    const { refuse, stopped } = given(3);
    await refuse(2);
    expect(stopped).toEqual([]);
    await refuse(1);
    expect(stopped).toMatchObject([{ code: 'PUBLISH_NACKED', messageId: 'm0', maybeDelivered: true }]);
    expect(stopped[0]?.message).toBe(
      'The target orders is full, and as many letters came into queue `dead` as it refused: it dead-letters what it refuses ' +
        "(`overflow: 'reject-publish-dlx'`), so that each attempt leaves a copy. What was not taken stays. Make room in the target first, " +
        'or give it another overflow.',
    );
  });

  it('is waited for while fewer have come in, or that cannot be known', async () => {
    const { refuse, stopped, looks } = given(2, new Error('no link'), 3, 6);
    await refuse(3);
    await refuse(1);
    await refuse(1);
    expect([stopped, looks]).toEqual([[], [6]]);
    await refuse(1);
    expect(stopped).toHaveLength(1);
  });

  it('is reported, with the time until which it is waited for, until one takes a letter', async () => {
    const { full, refuse } = given();
    expect(full.declined).toBeUndefined();
    const until = new Date(Date.now() + TIMEOUT);
    await refuse(1);
    expect(full.declined).toEqual({ target: 'orders', until });
    await later(1000);
    await refuse(1);
    expect(full.declined).toEqual({ target: 'orders', until });
    full.taken();
    expect(full.declined).toBeUndefined();
  });

  it('is not watched any more once the transfer is over', async () => {
    const { full, refuse, stopped } = given(9);
    full.close();
    await refuse(5);
    expect([full.declined, stopped]).toEqual([undefined, []]);
  });
});
