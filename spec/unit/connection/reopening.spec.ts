import { Subject, type Observable } from 'rxjs';
import type { ConnectionCore } from '../../../lib/connection/connection-core';
import { Reopening } from '../../../lib/connection/reopening';
import { ChannelError, type InstanceQueueError } from '../../../lib/errors';
import type { Link } from '../../../lib/transport/transport';

const REOPEN = {
  min: 100,
  max: 10_000,
  factor: 1.2,
  jitter: 0,
  attempts: Infinity,
  initialAttempts: Infinity,
  stableAfter: 10_000,
};

/** One consumer's or producer's setup on a link that stays up; the delays it was given. */
function looped() {
  const core = { reopen: REOPEN, log: { debug: () => undefined } } as unknown as ConnectionCore;
  const delays: (number | undefined)[] = [];
  const reopening = new Reopening(core, {
    what: 'a test',
    isFatal: () => false,
    waiting: (_cause, retryIn) => delays.push(retryIn),
    rehearse: () => Promise.resolve(),
  });
  let setups = 0;
  let ends = new Subject<never>();
  const setup = (): Observable<never> => {
    setups++;
    ends = new Subject();
    return ends;
  };
  const link = { lost: undefined } as unknown as Link;
  const loop = reopening.on(link, setup).subscribe();
  return {
    delays,
    reopening,
    loop,
    setups: () => setups,
    fail: async (error: InstanceQueueError = new ChannelError('It ended.')) => {
      ends.error(error);
      await jest.advanceTimersByTimeAsync(0);
    },
  };
}

describe('what is opened again', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.clearAllTimers();
    jest.useRealTimers();
  });

  it('comes back at once each time it had stayed open for longer than it would wait', async () => {
    const { reopening, fail, delays, setups, loop } = looped();
    for (let i = 1; i <= 9; i++) {
      expect(setups()).toBe(i);
      reopening.opened();
      await jest.advanceTimersByTimeAsync(600);
      await fail();
      await jest.advanceTimersByTimeAsync(0);
    }
    expect(delays).toEqual(Array(9).fill(0));
    loop.unsubscribe();
    reopening.stop();
  });

  it('waits longer and longer when it ends as soon as it is open', async () => {
    const { reopening, fail, delays, loop } = looped();
    for (let i = 0; i < 6; i++) {
      reopening.opened();
      await fail();
      await jest.advanceTimersByTimeAsync(delays.at(-1) ?? 0);
    }
    expect(delays).toEqual([0, 120, 144, 173, 207, 249]);
    loop.unsubscribe();
    reopening.stop();
  });

  it('waits longer with each attempt that fails, and starts over when it proved itself', async () => {
    const { reopening, fail, delays, loop } = looped();
    for (let i = 0; i < 4; i++) {
      await fail();
      await jest.advanceTimersByTimeAsync(delays.at(-1) ?? 0);
    }
    reopening.opened();
    reopening.proved();
    await fail();
    await jest.advanceTimersByTimeAsync(0);
    await fail();
    expect(delays).toEqual([100, 120, 144, 173, 0, 120]);
    loop.unsubscribe();
    reopening.stop();
  });
});
