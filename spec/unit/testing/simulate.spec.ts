import { promisify } from 'node:util';
import { handle, type Message } from 'instance-queue';
import { simulate, SimulationError, type Universe } from 'instance-queue/testing';
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

  it('refuses options that cannot be right', async () => {
    const app = (): Promise<void> => Promise.resolve();
    expect(await rejection(simulate(app, { seeds: 0 }))).toMatchObject({ option: 'seeds' });
    expect(await rejection(simulate(app, { kinds: ['flood' as 'cut'] }))).toMatchObject({ option: 'kinds' });
  });
});
