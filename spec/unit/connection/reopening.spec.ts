import { Subject, type Observable } from 'rxjs';
import type { ConnectionCore } from '../../../lib/connection/connection-core';
import { Reopening } from '../../../lib/connection/reopening';
import { ChannelError, ConnectionError, type InstanceQueueError } from '../../../lib/errors';
import type { Link } from '../../../lib/transport/transport';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';

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

describe('setup on one link after the other', () => {
  inVirtualTime();

  const lostBy = (replyCode?: number): ConnectionError =>
    new ConnectionError('CONNECTION_LOST', 'host', 'Lost it.', { replyCode });
  const refused = (replyCode: number): ChannelError => new ChannelError('Refused.', { replyCode });

  /** A setup on links that a test loses, and what is said of it. */
  function attaching({ fatal = false, reopen = {} } = {}) {
    const rehearsals: (() => void)[] = [];
    const core = {
      reopen: { ...REOPEN, ...reopen },
      log: { debug: () => undefined },
      rehearse: () => new Promise<void>((resolve) => rehearsals.push(resolve)),
    } as unknown as ConnectionCore;
    const said: unknown[][] = [];
    const reopening = new Reopening(core, {
      what: 'opening a test',
      isFatal: () => fatal,
      waiting: (...args) => said.push(args),
      rehearse: () => Promise.resolve(),
    });
    const begin = () => {
      const link = { lost: undefined as ConnectionError | undefined };
      const setups: Subject<string>[] = [];
      const outcome = collect(
        reopening.on(link as unknown as Link, () => {
          const setup = new Subject<string>();
          setups.push(setup);
          return setup;
        }),
      );
      const fail = async (error: InstanceQueueError): Promise<void> => {
        setups.at(-1)?.error(error);
        await later(0);
      };
      return { link, setups, outcome, fail };
    };
    return { reopening, said, begin, rehearsals };
  }

  it('passes on what it emits, and its end', () => {
    const { begin } = attaching();
    const { setups, outcome } = begin();
    setups[0]?.next('open');
    setups[0]?.complete();
    expect(outcome).toMatchObject({ values: ['open'], completed: true });
  });

  it('ends with a first refusal that is final, and tries again after the same later', async () => {
    const { begin, reopening, said } = attaching({ fatal: true });
    const first = begin();
    const error = refused(403);
    await first.fail(error);
    expect(first.outcome.error).toBe(error);
    expect(said).toEqual([]);
    const second = begin();
    reopening.opened();
    expect(reopening.everOpened).toBe(true);
    await second.fail(error);
    expect(second.outcome).toMatchObject({ error: undefined, completed: false });
    expect(said).toEqual([[error, 0]]);
    second.outcome.subscription.unsubscribe();
    reopening.stop();
  });

  it('waits ten times as long after a refusal that only a human can resolve, but not after the loss of what was open', async () => {
    const { begin, reopening, said } = attaching();
    const { fail, outcome } = begin();
    await fail(refused(403));
    await later(1000);
    await fail(refused(405));
    await later(1000);
    reopening.opened();
    await fail(refused(403));
    expect(said.map(([, delay]) => delay)).toEqual([1000, 120, 144]);
    outcome.subscription.unsubscribe();
    reopening.stop();
  });

  it.each([
    ['first attempts', { initialAttempts: 2, attempts: 9 }, false, 'Gave up opening a test after 2 failed attempts'],
    ['first attempt', { initialAttempts: 1, attempts: 9 }, false, 'Gave up opening a test after 1 failed attempt'],
    ['later attempts', { initialAttempts: 9, attempts: 2 }, true, 'Gave up opening a test after 2 failed attempts'],
  ])('gives up when its %s are spent', async (_which, reopen, opened, sentence) => {
    const { begin, reopening } = attaching({ reopen });
    const { fail, outcome } = begin();
    if (opened) {
      reopening.opened();
      await fail(refused(405));
    }
    while (outcome.error === undefined) {
      await fail(refused(405));
      await later(1000);
    }
    expect(outcome.error).toMatchObject({ message: expect.stringContaining(sentence) as string });
    reopening.stop();
  });

  it('starts over with its delays when it has stayed open for `stableAfter`', async () => {
    const { begin, reopening, said } = attaching({ reopen: { stableAfter: 90 } });
    const { fail, outcome } = begin();
    for (let i = 0; i < 3; i++) {
      await fail(refused(405));
      await later(1000);
    }
    reopening.opened();
    await later(90);
    await fail(refused(405));
    await later(0);
    await fail(refused(405));
    expect(said.map(([, delay]) => delay)).toEqual([100, 120, 144, 0, 120]);
    outcome.subscription.unsubscribe();
    reopening.stop();
  });

  it('ends with the link, with the reason of that, and begins on the next at once', async () => {
    const { begin, said, rehearsals } = attaching();
    const { link, fail, outcome } = begin();
    link.lost = lostBy();
    await fail(new ChannelError('It ended with its connection.', { cause: link.lost }));
    expect(outcome).toMatchObject({ completed: true, error: undefined });
    expect(said).toEqual([[link.lost]]);
    expect(begin().setups).toHaveLength(1);
    expect(rehearsals).toHaveLength(0);
  });

  it('that has cost a link waits, and tries on a connection of its own before it begins on the next', async () => {
    const { begin, said, rehearsals, reopening } = attaching();
    const first = begin();
    first.link.lost = lostBy(540);
    const error = new ChannelError('It ended with its connection.', { cause: first.link.lost, replyCode: 540 });
    await first.fail(error);
    expect(first.outcome.completed).toBe(true);
    expect(said).toEqual([[error, 1000]]);
    const { setups } = begin();
    await later(999);
    expect([setups.length, rehearsals.length]).toEqual([0, 0]);
    await later(1);
    expect([setups.length, rehearsals.length]).toEqual([0, 1]);
    rehearsals[0]?.();
    await later(0);
    expect(setups).toHaveLength(1);
    reopening.opened();
    expect(begin().setups).toHaveLength(1);
    expect(rehearsals).toHaveLength(1);
    reopening.stop();
  });

  it('that is refused on its own channel, just when the link is lost, is told so, and waits for no time', async () => {
    const { begin, said, rehearsals } = attaching();
    const { link, fail, outcome } = begin();
    link.lost = lostBy();
    const error = refused(403);
    await fail(error);
    expect(outcome.completed).toBe(true);
    expect(said).toEqual([[error]]);
    expect(begin().setups).toHaveLength(1);
    expect(rehearsals).toHaveLength(0);
  });
});
