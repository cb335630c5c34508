import { promisify } from 'node:util';
import { handle, type InstanceQueue, type Message } from 'instance-queue';
import { simulate, type SimulateOptions, SimulationError, type Universe } from 'instance-queue/testing';
import { FAULT_KINDS } from '../../../lib/testing/simulation/faults';
import { rejection } from '../../support/waiting';

interface Sale {
  readonly count: number;
}

/** A service that keeps a stock, and a client that sells thirty of it over half a minute. */
const selling = (once: boolean) => async (universe: Universe) => {
  const queue = universe.connect();
  const seen = new Set<unknown>();
  let sold = 0;
  const sell = ({ body, properties }: Message<Sale>): void => {
    if (once && seen.has(properties.messageId)) return;
    seen.add(properties.messageId);
    sold += body.count;
    universe.note(`sold ${String(sold)}`);
  };
  queue.consume<Sale>({ queue: 'sold' }).pipe(handle(sell)).subscribe();
  let sent = 0;
  for (let i = 0; i < 100; i++) {
    void queue.send({ queue: 'sold', body: { count: 1 } }, { timeout: 120_000 }).then(() => sent++);
    await universe.sleep(300);
  }
  await universe.calm();
  if (sold !== sent) throw new Error(`Sold ${String(sold)} of ${String(sent)}.`);
};

describe('simulate()', () => {
  it('finds a handler that is not idempotent, and repeats the seed in the same way', async () => {
    const error = await rejection(simulate(selling(false), { seeds: 200 }));
    expect(error).toBeInstanceOf(SimulationError);
    if (!(error instanceof SimulationError)) return;
    expect(error.message).toMatch(/^Seed \d+ failed: Sold \d+ of 100\.\nRepeat it with/);
    const again = await rejection(simulate(selling(false), { from: error.seed, seeds: 1 }));
    expect(again).toMatchObject({ message: error.message, timeline: error.timeline });
  });

  it('passes one that is', async () => {
    const { seeds, simulated } = await simulate(selling(true), { seeds: 8 });
    expect(seeds).toBe(8);
    expect(simulated).toBeGreaterThan(8 * 30_000);
  });

  it('blocks publishers while the queues hold more than the memory limit, and lets them go on once they do not', async () => {
    const seen: string[] = [];
    const filling = async (universe: Universe): Promise<void> => {
      const queue = universe.connect();
      const sends: Promise<unknown>[] = [];
      queue.health$.subscribe(({ blocked }) => seen.push(blocked ?? 'open'));
      for (let i = 0; i < 200; i++) {
        sends.push(queue.send({ queue: 'full', body: { i } }, { timeout: 120_000 }));
        await universe.sleep(100);
      }
      queue
        .consume({ queue: 'full' })
        .pipe(handle(() => undefined))
        .subscribe();
      await Promise.all(sends);
      await universe.calm();
    };
    await simulate(filling, { seeds: 6, kinds: ['memory-limit'] });
    expect(seen).toContain('low on memory');
    expect(seen.at(-1)).toBe('open');
  });

  it('keeps persistent messages over a restart of the broker, and of the others those of quorum queues', async () => {
    const lost = new Set<string>();
    const sending = async (universe: Universe): Promise<void> => {
      const queue = universe.connect({ topology: { queues: [{ name: 'safe', type: 'quorum' }, { name: 'plain' }] } });
      for (const name of ['safe', 'plain']) {
        for (const persistent of [true, false]) {
          const body = `${persistent ? 'kept' : 'transient'} in ${name}`;
          await queue.send({ queue: name, body, persistent }, { timeout: 120_000 });
        }
      }
      await universe.calm();
      for (const name of ['safe', 'plain']) {
        const there = universe.broker.messages(name).map(({ body }) => body);
        for (const kind of ['kept', 'transient'])
          if (!there.includes(`${kind} in ${name}`)) lost.add(`${kind} in ${name}`);
      }
    };
    await simulate(sending, { seeds: 10, faults: 3, kinds: ['restart'] });
    expect([...lost]).toEqual(['transient in plain']);
  });

  it('gives the process its clock back, and leaves no listener behind', async () => {
    const { setTimeout: before } = globalThis;
    const { now } = performance;
    const listeners = (): number[] =>
      ['unhandledRejection', 'uncaughtException'].map((event) => process.listenerCount(event));
    const heard = listeners();
    await rejection(simulate(() => Promise.reject(new Error('no')), { seeds: 1 }));
    expect([globalThis.setTimeout, performance.now]).toEqual([before, now]);
    expect(listeners()).toEqual(heard);
  });

  const before = new Date(0);
  const clocks: [string, () => void | Promise<void>][] = [
    [
      'a timer that is refreshed while it waits, and when it has run',
      async () => {
        const [began, runs] = [Date.now(), [] as number[]];
        const timer = setTimeout(() => runs.push(Date.now() - began), 100);
        setTimeout(() => timer.refresh(), 60);
        setTimeout(() => timer.refresh(), 300);
        await promisify(setTimeout)(1000);
        expect(runs.map((at) => Math.round(at / 10))).toEqual([16, 40]);
      },
    ],
    [
      'a timer that is cleared by its number, closed, or refreshed after that',
      async () => {
        const run = jest.fn();
        clearTimeout(+setTimeout(run, 10));
        setTimeout(run, 10).close().refresh();
        const refreshed = setTimeout(run, 10);
        clearTimeout(refreshed);
        refreshed.refresh();
        await promisify(setTimeout)(100);
        expect(run).not.toHaveBeenCalled();
      },
    ],
    [
      'timers of one time, which run in the order in which they were set',
      async () => {
        const runs: number[] = [];
        for (let i = 0; i < 10; i++) setTimeout(() => runs.push(i), 50);
        await promisify(setTimeout)(100);
        expect(runs).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      },
    ],
    [
      'promisified timers',
      async () => {
        const began = Date.now();
        expect(await promisify(setTimeout)(100, 'later')).toBe('later');
        expect(await promisify(setImmediate)('soon')).toBe('soon');
        expect(Date.now() - began).toBeLessThan(110);
      },
    ],
    [
      'dates',
      () => {
        expect(before).toBeInstanceOf(Date);
        expect(new Date()).toBeInstanceOf(Date);
        const now = Reflect.apply<undefined, [], string>(Date, undefined, []);
        expect(new Date(now).getUTCFullYear()).toBe(new Date().getUTCFullYear());
        expect([new Date(5).getTime(), Date.UTC(1970, 0), Date.parse('1970-01-01')]).toEqual([5, 0, 0]);
        expect(Math.abs(performance.timeOrigin + performance.now() - Date.now())).toBeLessThan(2);
      },
    ],
  ];
  it.each(clocks)('has what apps do with clocks: %s', async (_, app) => {
    await simulate(async () => app(), { seeds: 3, faults: 0 });
  });

  it('fails for what nobody catches, and for an app that never ends', async () => {
    const throwing = (universe: Universe): Promise<void> => {
      setTimeout(() => {
        throw new RangeError('too far');
      }, 10);
      return universe.sleep(20);
    };
    expect(await rejection(simulate(throwing, { seeds: 1 }))).toMatchObject({
      seed: 1,
      cause: new RangeError('too far'),
    });
    const waiting = (): Promise<void> => new Promise(() => undefined);
    expect(await rejection(simulate(waiting, { seeds: 1 }))).toMatchObject({
      message: expect.stringContaining('did not end') as string,
    });
  });

  it('gives up an app that goes on for an hour beyond its faults', async () => {
    const seen: number[] = [];
    const ticking = (): Promise<void> => {
      setInterval(() => seen.push(Date.now()), 600_000);
      return new Promise(() => undefined);
    };
    expect(await rejection(simulate(ticking, { seeds: 1, faults: 0 }))).toMatchObject({
      seed: 1,
      message: expect.stringContaining('did not end') as string,
    });
    expect(seen.length).toBe(5);
  });

  it('fails for a rejection that nobody hears', async () => {
    const error = new RangeError('unheard');
    const app = async (universe: Universe): Promise<void> => {
      // As Node does it; the process of a test is told by nobody.
      setTimeout(() => process.emit('unhandledRejection', error, Promise.resolve()), 10);
      await universe.sleep(20);
    };
    expect(await rejection(simulate(app, { seeds: 1 }))).toMatchObject({ seed: 1, cause: error });
  });

  it('closes what an app that fails has connected', async () => {
    let queue: InstanceQueue | undefined;
    const failing = async (universe: Universe): Promise<void> => {
      queue = universe.connect();
      await queue.connect();
      throw new RangeError('no');
    };
    await rejection(simulate(failing, { seeds: 1, faults: 0 }));
    expect(queue?.state.producer.status).toBe('closed');
  });

  it('runs the seeds that it is told to, and tells of a failure its seed, its cause and the last of what happened', async () => {
    let runs = 0;
    const counting = (): Promise<void> => {
      runs++;
      return Promise.resolve();
    };
    expect(await simulate(counting, { from: 7, seeds: 3, faults: 0 })).toMatchObject({ seeds: 3 });
    expect(runs).toBe(3);
    expect(await simulate(counting, { faults: 0 })).toMatchObject({ seeds: 100 });
    const cause = new RangeError('sold out');
    const failing = async (universe: Universe): Promise<void> => {
      if (runs++ === 105) for (let i = 1; i <= 40; i++) universe.note(`event ${String(i)}`);
      await universe.sleep(1);
      if (runs === 106) throw cause;
    };
    const error = await rejection(simulate(failing, { from: 7, faults: 0 }));
    if (!(error instanceof SimulationError)) throw error;
    expect([error.name, error.seed, error.cause]).toEqual(['SimulationError', 9, cause]);
    const [first, second, ...events] = error.message.split('\n');
    expect([first, second]).toEqual(['Seed 9 failed: sold out', 'Repeat it with { from: 9, seeds: 1 }.']);
    expect(error.timeline).toHaveLength(40);
    expect(events).toEqual(error.timeline.slice(10));
    expect(events.at(-1)).toMatch(/ event 40$/);
  });

  it('draws faults of the kinds, up to the number, and within the time that it is told', async () => {
    const kindsOf = async (options: SimulateOptions): Promise<readonly (readonly string[])[]> => {
      const runs: string[][] = [];
      const app = async (universe: Universe): Promise<void> => {
        expect(universe.faultsOver).toBeLessThanOrEqual(options.duration ?? 30_000);
        await universe.sleep(universe.faultsOver + 1);
        runs.push(universe.timeline.flatMap((line) => /fault: kind ([a-z-]+)/.exec(line)?.[1] ?? []));
      };
      await simulate(app, options);
      return runs;
    };
    const some = await kindsOf({ seeds: 60, faults: 3, duration: 1000, kinds: ['cut', 'nacks'] });
    expect(new Set(some.map(({ length }) => length))).toEqual(new Set([0, 1, 2, 3]));
    expect(new Set(some.flat())).toEqual(new Set(['cut', 'nacks']));
    const usual = await kindsOf({ seeds: 60, from: 0 });
    expect(Math.max(...usual.map(({ length }) => length))).toBe(4);
    const all = FAULT_KINDS.filter((kind) => kind !== 'queue-deleted' && kind !== 'denied');
    expect(new Set(usual.flat())).toEqual(new Set(all));
    expect(new Set((await kindsOf({ seeds: 10, kinds: [] })).flat())).toEqual(new Set());
  });

  it('refuses options that cannot be right', async () => {
    const app = (): Promise<void> => Promise.resolve();
    const wrong: [SimulateOptions, string, string?][] = [
      [{ seeds: 0 }, 'seeds'],
      [{ from: -1 }, 'from'],
      [{ from: 2 ** 32 }, 'from'],
      [{ duration: 999 }, 'duration'],
      [{ faults: 1001 }, 'faults'],
      [{ kinds: ['cut', 'flood' as 'cut'] }, 'kinds', "`kinds` to be a list, each one of 'cut', "],
      [{ kinds: 'cut' as unknown as [] }, 'kinds'],
      [{ seed: 1 } as SimulateOptions, 'seed', 'for simulate()'],
    ];
    for (const [options, option, words = option] of wrong)
      expect(await rejection(simulate(app, options))).toMatchObject({
        code: 'OPTIONS_INVALID',
        option,
        message: expect.stringContaining(words) as string,
      });
    const nothing: unknown = { app };
    expect(await rejection(simulate(nothing as typeof app))).toMatchObject({ option: 'app' });
  });
});
