import crypto from 'node:crypto';
import { promisify } from 'node:util';
import { World } from '../../../lib/testing/simulation/world';
import { rejection } from '../../support/waiting';

const HOUR = 3_600_000;

/** What `main` gives in a world of that seed, which has to let it end. */
async function inWorld<T>(main: (world: World) => T | Promise<T>, seed = 1): Promise<T> {
  const world = new World(seed);
  const ended = await world.run(async () => main(world), HOUR);
  expect(world.uncaught).toEqual([]);
  if (!ended) throw new Error('It did not end.');
  return ended.value;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
const seeds = Array.from({ length: 20 }, (_, seed) => seed);

describe('the timers of a simulated world', () => {
  it.each<[unknown, number]>([
    [undefined, 1],
    [0, 1],
    [-5, 1],
    [NaN, 1],
    ['20', 20],
    [20.9, 20],
    [2 ** 31 - 1, 2 ** 31 - 1],
    [2 ** 31, 1],
    [Infinity, 1],
  ])('wait as long as those of Node: %p', async (given, ms) => {
    const world = new World(1);
    const main = (): Promise<number> =>
      new Promise((resolve) => {
        Reflect.apply(setTimeout, undefined, [() => resolve(Math.floor(performance.now())), given]);
      });
    expect(await world.run(main, 2 ** 32)).toEqual({ value: ms });
  });

  it('get the arguments that come behind the duration', async () => {
    const calls = jest.fn();
    await inWorld(async () => {
      setTimeout(calls, 10, 'timeout', 1);
      setImmediate(calls, 'immediate', 2);
      const interval = setInterval(calls, 60, 'interval', 3);
      await sleep(100);
      clearInterval(interval);
    });
    expect(calls.mock.calls).toEqual([
      ['immediate', 2],
      ['timeout', 1],
      ['interval', 3],
    ]);
  });

  it('run again and again as intervals until these are cleared, also from within', async () => {
    const [inside, outside] = [[] as number[], [] as number[]];
    await inWorld(async () => {
      const one = setInterval(() => {
        if (inside.push(Math.floor(performance.now())) === 3) clearInterval(one);
      }, 100);
      const other = setInterval(() => outside.push(Math.floor(performance.now())), 300);
      await sleep(1000);
      clearInterval(other);
      await sleep(1000);
    });
    expect(inside).toEqual([100, 200, 300]);
    expect(outside).toEqual([300, 600, 900]);
  });

  it('begin anew when they are refreshed by what they run', async () => {
    const runs: number[] = [];
    await inWorld(async () => {
      const timer = setTimeout(() => {
        if (runs.push(Math.floor(performance.now())) < 3) timer.refresh();
      }, 50);
      await sleep(1000);
    });
    expect(runs).toEqual([50, 100, 150]);
  });

  it('are cleared by themselves, by their numbers and by these in words; anything else clears nothing', async () => {
    const run = jest.fn();
    await inWorld(async () => {
      for (const stop of [clearTimeout, clearInterval, clearImmediate]) {
        for (const start of [() => setTimeout(run, 5), () => setInterval(run, 5), () => setImmediate(run)]) {
          Reflect.apply(stop, undefined, [start()]);
          Reflect.apply(stop, undefined, [Number(start())]);
          Reflect.apply(stop, undefined, [String(Number(start()))]);
        }
      }
      const kept = setTimeout(run, 5);
      for (const nothing of [undefined, null, {}, 'no number', 10_000, Number(kept) + 1])
        Reflect.apply(clearTimeout, undefined, [nothing]);
      await sleep(100);
    });
    expect(run).toHaveBeenCalledTimes(1);
  });

  it('run behind the immediates, and behind all that the timer before them led to', async () => {
    const happened: string[] = [];
    await inWorld(async () => {
      for (const name of ['a', 'b']) {
        setTimeout(() => {
          happened.push(`timer ${name}`);
          let chain = Promise.resolve();
          for (let i = 0; i < 20; i++) chain = chain.then(() => undefined);
          void chain.then(() => happened.push(`promise ${name}`));
          process.nextTick(() => happened.push(`tick ${name}`));
        }, 1);
      }
      setImmediate(() => happened.push('immediate'));
      happened.push('code');
      await sleep(10);
    });
    const [a, b] = ['a', 'b'].map((name) => [`timer ${name}`, `tick ${name}`, `promise ${name}`].sort());
    expect(happened.slice(0, 3)).toEqual(['code', 'immediate', 'timer a']);
    expect([happened.slice(2, 5).sort(), happened.slice(5).sort()]).toEqual([a, b]);
  });

  it('of different durations that fall into one ms run in an order that the seed decides', async () => {
    const order = (seed: number): Promise<readonly number[]> =>
      inWorld(async () => {
        const runs: number[] = [];
        for (const [start, ms] of [
          [1, 9],
          [4, 6],
          [7, 3],
        ] as const) {
          setTimeout(() => {
            setTimeout(() => runs.push(ms), ms);
          }, start);
        }
        await sleep(50);
        return runs;
      }, seed);
    const orders: (readonly number[])[] = [];
    for (const seed of seeds) {
      orders.push(await order(seed));
      expect(await order(seed)).toEqual(orders.at(-1));
    }
    expect(new Set(orders.map(String)).size).toBeGreaterThan(2);
    for (const runs of orders) expect([...runs].sort()).toEqual([3, 6, 9]);
  });
});

describe('the clock of a simulated world', () => {
  it('begins at 2030, stands still while code runs, and shows whole ms', async () => {
    await inWorld(async () => {
      const began = Date.now();
      expect(new Date(began).toISOString()).toBe('2030-01-01T00:00:00.000Z');
      for (let i = 0; i < 1e5; i++) Math.sqrt(i);
      expect([Date.now(), new Date().getTime(), performance.now()]).toEqual([began, began, 0]);
      for (const ms of [7, 100, 13]) await sleep(ms);
      expect(Number.isInteger(Date.now())).toBe(true);
      expect(Date.now() - began).toBe(Math.floor(performance.now()));
      expect(Date.now() - began).toBe(120);
    });
  });

  it('is that of dates and of classes that extend them', async () => {
    await inWorld(async () => {
      class Day extends Date {
        get weekend(): boolean {
          return this.getUTCDay() % 6 === 0;
        }
      }
      await sleep(4 * 60_000);
      const day = new Day();
      expect([day instanceof Day, day.weekend, day.toISOString()]).toEqual([true, false, '2030-01-01T00:04:00.000Z']);
      expect([new Date(2020, 4, 6).getMonth(), new Date('2020-05-06').getTime()]).toEqual([4, Date.UTC(2020, 4, 6)]);
    });
  });

  it('does not go back for a wait of less than nothing, and takes fractions as they are', async () => {
    const world = new World(1);
    const seen: number[] = [];
    const after = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        world.after(ms, () => {
          seen.push(world.now);
          resolve();
        });
      });
    await world.run(async () => {
      for (const ms of [2.5, -2.25, 0.25]) await after(ms);
    }, HOUR);
    expect(seen).toEqual([2.5, 2.5, 2.75]);
  });
});

describe('chance in a simulated world', () => {
  const drawn = (seed: number): Promise<unknown[]> =>
    inWorld(() => [Math.random(), crypto.randomUUID(), crypto.randomBytes(8).toString('hex'), Math.random()], seed);

  it('is the same for the same seed, and another for another', async () => {
    const all: unknown[] = [];
    for (const seed of seeds) {
      const values = await drawn(seed);
      expect(await drawn(seed)).toEqual(values);
      all.push(...values);
    }
    expect(new Set(all).size).toBe(all.length);
  });

  it('gives as many bytes as asked for, of every value', async () => {
    const bytes = await inWorld(() => crypto.randomBytes(5000));
    expect([bytes.length, new Set(bytes).size]).toEqual([5000, 256]);
    expect(await inWorld(() => crypto.randomBytes(0))).toEqual(Buffer.alloc(0));
  });

  it('gives bytes to a callback as well, a little later', async () => {
    const given = await inWorld(async () => {
      const order: string[] = [];
      const bytes = promisify(crypto.randomBytes)(8).then((all) => {
        order.push('bytes');
        return all;
      });
      order.push('code');
      return [await bytes, order];
    });
    expect(given).toEqual([await inWorld(() => crypto.randomBytes(8)), ['code', 'bytes']]);
  });
});

describe('a simulated world', () => {
  const REPLACED: readonly (readonly [object, string])[] = [
    ...['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate', 'Date'].map(
      (name) => [globalThis, name] as const,
    ),
    [performance, 'now'],
    [performance, 'timeOrigin'],
    [Math, 'random'],
    [crypto, 'randomUUID'],
    [crypto, 'randomBytes'],
  ];
  const members = (): unknown[] => REPLACED.map(([object, name]) => Object.getOwnPropertyDescriptor(object, name));
  const values = (): unknown[] => REPLACED.map(([object, name]) => Reflect.get(object, name) as unknown);

  it.each<[string, () => Promise<unknown>]>([
    ['resolved', () => Promise.resolve()],
    ['rejected', () => Promise.reject(new Error('no'))],
    ['not ended', () => new Promise(() => undefined)],
  ])('replaces clocks and chance while it runs, and leaves everything as it was: %s', async (_, end) => {
    const [before, own] = [values(), members()];
    let inside: unknown[] = [];
    const main = (): Promise<unknown> => {
      inside = values();
      return end();
    };
    await new World(1).run(main, HOUR).catch(() => undefined);
    expect(members()).toEqual(own);
    expect(values().map((value, i) => value === before[i])).toEqual(before.map(() => true));
    expect(inside.map((value, i) => value === before[i])).toEqual(before.map(() => false));
  });

  it.each<[string, PropertyDescriptor]>([
    ['nobody may write', { value: () => 0.5, writable: false, enumerable: false, configurable: true }],
    ['has a getter', { get: () => () => 0.5, set: () => undefined, enumerable: true, configurable: true }],
  ])('gives back what %s as well', async (_, descriptor) => {
    const own = Object.getOwnPropertyDescriptor(Math, 'random');
    if (!own) throw new Error('Expected `Math.random` to be a property of its own.');
    Object.defineProperty(Math, 'random', descriptor);
    try {
      expect(await inWorld(() => Math.random())).not.toBe(0.5);
      expect(Object.getOwnPropertyDescriptor(Math, 'random')).toEqual(descriptor);
    } finally {
      Object.defineProperty(Math, 'random', own);
    }
  });

  it('ends with what it runs: a timer that waits then runs no more', async () => {
    const world = new World(1);
    const run = jest.fn();
    const main = async (): Promise<string> => {
      setTimeout(run, 20);
      await sleep(10);
      return 'done';
    };
    expect(await world.run(main, HOUR)).toEqual({ value: 'done' });
    await promisify(setImmediate)();
    expect([run.mock.calls.length, world.turns, world.waiting.length]).toEqual([0, 1, 1]);
  });

  it('ends when nothing is left that could end what it runs, or at its limit; what is due at the limit has run', async () => {
    const never = (): Promise<void> => new Promise(() => undefined);
    const idle = new World(1);
    expect(await idle.run(never, HOUR)).toBeUndefined();
    expect([idle.now, idle.turns]).toEqual([0, 0]);
    const busy = new World(1);
    const seen: number[] = [];
    const main = (): Promise<void> => {
      for (const ms of [0.5, 99.5, 99.75]) busy.after(ms, () => seen.push(ms));
      return never();
    };
    expect(await busy.run(main, 99.5)).toBeUndefined();
    expect([seen, busy.now, busy.turns]).toEqual([[0.5, 99.5], 99.5, 2]);
  });

  it('rejects with the error that it was given, or with words for what is none', async () => {
    const error = new RangeError('no');
    expect(await rejection(new World(1).run(() => Promise.reject(error), HOUR))).toBe(error);
    const words = async (): Promise<void> => {
      await sleep(1);
      AbortSignal.abort('in words').throwIfAborted();
    };
    expect(await rejection(new World(1).run(words, HOUR))).toEqual(new Error('in words'));
  });

  it('keeps what callbacks throw, and goes on', async () => {
    const world = new World(1);
    const main = async (): Promise<string> => {
      for (const name of ['one', 'two']) {
        setTimeout(() => {
          throw new RangeError(name);
        }, 10);
      }
      await sleep(20);
      return 'done';
    };
    expect(await world.run(main, HOUR)).toEqual({ value: 'done' });
    expect(world.uncaught).toEqual(['one', 'two'].map((name) => ({ kind: 'exception', error: new RangeError(name) })));
  });

  it('keeps the rejections that nobody heard', async () => {
    const world = new World(1);
    const error = new RangeError('unheard');
    const main = async (): Promise<void> => {
      // Node says so to the process, which is another one than that of a test.
      setTimeout(() => process.emit('unhandledRejection', error, Promise.resolve()), 10);
      await sleep(20);
    };
    await world.run(main, HOUR);
    expect(world.uncaught).toEqual([{ kind: 'rejection', error }]);
  });

  it('counts the timers of what it runs that wait, without its own and without those that were cleared', async () => {
    await inWorld(async (world) => {
      world.after(50, () => undefined);
      const [kept, cleared] = [setTimeout(() => undefined, 60), setTimeout(() => undefined, 60)];
      const interval = setInterval(() => undefined, 60);
      clearTimeout(cleared);
      expect(world.waiting.length).toBe(2);
      await sleep(100);
      expect(world.waiting.length).toBe(1);
      clearInterval(interval);
      clearTimeout(kept);
      expect([world.waiting, world.turns]).toEqual([[], 4]);
    });
  });
});
