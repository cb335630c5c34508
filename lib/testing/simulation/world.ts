import crypto from 'node:crypto';
import { Random } from './random';

/** Where simulated time starts. */
const EPOCH = Date.UTC(2030, 0, 1);

/** The clock as it was when this file was loaded. */
const { setImmediate: nextTurn, Date: RealDate } = globalThis;

/** What a world replaces, and where. */
type Replaced = readonly [object: object, name: string, value: unknown];

/** Trouble that would have ended the process, or that it would have reported. */
export interface Uncaught {
  readonly kind: 'exception' | 'rejection';
  readonly error: unknown;
}

/**
 * A world with its own time and chance, made from a seed. While it runs it replaces the timers, the clocks, `Math.random` and
 * `crypto.randomUUID` of this process. Its time stands still while code runs, and moves on to the next timer when the event loop has
 * nothing left to do: an hour of waiting takes no time. Of timers of different durations that are due in the same millisecond the
 * seed decides which runs first, since Node leaves that open.
 *
 * One world runs at a time. What waits for anything but timers (a socket, a file, another thread) does not fit in.
 */
export class World {
  readonly random: Random;
  readonly uncaught: Uncaught[] = [];
  readonly #timers = new Timers();
  readonly #ties: Random;
  readonly #tieOf = new Map<number, number>();
  #now = 0;
  #created = 0;
  #turns = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.#ties = new Random(seed ^ 0x5bd1e995);
  }

  /** ms since the world began. */
  get now(): number {
    return this.#now;
  }
  /** How many timers have run. */
  get turns(): number {
    return this.#turns;
  }
  /** Timers of the code under test that wait. An interval is one. */
  get waiting(): readonly SimulatedTimer[] {
    return this.#timers.waiting.filter(({ aside }) => !aside);
  }

  /** Runs `task` after `ms`, among timers, but not counted as one of the code under test. */
  after(ms: number, task: () => void): SimulatedTimer {
    const timer = this.#add(task, undefined, ms);
    timer.aside = true;
    return timer;
  }

  /**
   * Runs `main` in this world, until what it returns has settled, or `limit` ms of simulated time have passed, or nothing is left
   * that could settle it. Resolves with what `main` gave; undefined: it did not settle.
   */
  async run<T>(main: () => Promise<T>, limit: number): Promise<{ readonly value: T } | undefined> {
    const restore = this.#replace();
    const rejected = (error: unknown): void => {
      this.uncaught.push({ kind: 'rejection', error });
    };
    process.on('unhandledRejection', rejected);
    try {
      return await this.#until(main(), limit);
    } finally {
      restore();
      process.off('unhandledRejection', rejected);
    }
  }

  #until<T>(result: Promise<T>, limit: number): Promise<{ readonly value: T } | undefined> {
    return new Promise((resolve, reject) => {
      let settle: (() => void) | undefined;
      result.then(
        (value) => {
          settle = () => {
            resolve({ value });
          };
        },
        (error: unknown) => {
          settle = () => {
            reject(error instanceof Error ? error : new Error(String(error)));
          };
        },
      );
      // A turn of the real event loop: until the next one Node has run every microtask and reported unhandled rejections.
      const turn = (): void => {
        if (settle) {
          settle();
          return;
        }
        const timer = this.#timers.take();
        if (timer === undefined || timer.due > limit) resolve(undefined);
        else {
          this.#run(timer);
          nextTurn(turn);
        }
      };
      nextTurn(turn);
    });
  }

  #run(timer: SimulatedTimer): void {
    this.#turns++;
    this.#now = Math.max(this.#now, timer.due);
    if (timer.every === undefined) timer.waiting = false;
    else {
      timer.due = this.#dueIn(timer.every);
      timer.order = this.#created++;
      this.#timers.add(timer);
    }
    try {
      timer.task();
    } catch (error) {
      this.uncaught.push({ kind: 'exception', error });
    }
  }

  #add(task: () => void, every: number | undefined, ms: number): SimulatedTimer {
    const timer = new SimulatedTimer(task, every, this.#dueIn(ms), this.#created++);
    this.#timers.add(timer);
    return timer;
  }

  /** Timers of the same duration stay in order; others that fall into one ms run in an order of this seed. */
  #dueIn(ms: number): number {
    // A wait of a fraction, which only the simulation has, ends in no moment with another.
    if (!Number.isInteger(ms)) return this.#now + ms;
    let tie = this.#tieOf.get(ms);
    if (tie === undefined) this.#tieOf.set(ms, (tie = this.#ties.next() / 4));
    return this.#now + ms + tie;
  }

  #replace(): () => void {
    const ms = (given: unknown): number => Math.min(2 ** 31 - 1, Math.max(1, Math.trunc(Number(given)) || 1));
    type Callback = (...args: unknown[]) => void;
    const start =
      (repeats: boolean) =>
      (callback: Callback, after: unknown, ...args: unknown[]): SimulatedTimer =>
        this.#add(
          () => {
            callback(...args);
          },
          repeats ? ms(after) : undefined,
          ms(after),
        );
    const stop = (timer: unknown): void => {
      if (timer instanceof SimulatedTimer) timer.waiting = false;
    };
    const immediate = (callback: Callback, ...args: unknown[]): SimulatedTimer =>
      this.#add(
        () => {
          callback(...args);
        },
        undefined,
        0,
      );
    const today = (): number => EPOCH + Math.floor(this.#now);
    class SimulatedDate extends RealDate {
      constructor(...given: readonly unknown[]) {
        if (given.length === 0) super(today());
        else super(...(given as [number]));
      }
      static override now(): number {
        return today();
      }
    }
    const replaced: readonly Replaced[] = [
      [globalThis, 'setTimeout', start(false)],
      [globalThis, 'setInterval', start(true)],
      [globalThis, 'setImmediate', immediate],
      [globalThis, 'clearTimeout', stop],
      [globalThis, 'clearInterval', stop],
      [globalThis, 'clearImmediate', stop],
      [globalThis, 'Date', SimulatedDate],
      [performance, 'now', () => this.#now],
      [Math, 'random', () => this.random.next()],
      [crypto, 'randomUUID', () => this.random.uuid()],
    ];
    const before = replaced.map(
      ([object, name]) => [object, name, Object.getOwnPropertyDescriptor(object, name)] as const,
    );
    for (const [object, name, value] of replaced) {
      Object.defineProperty(object, name, { value, configurable: true, writable: true, enumerable: true });
    }
    return () => {
      for (const [object, name, descriptor] of before) {
        if (descriptor) Object.defineProperty(object, name, descriptor);
        else Reflect.deleteProperty(object, name);
      }
    };
  }
}

/** A task that waits for its time. It has the methods of Node's `Timeout` and `Immediate`. */
class SimulatedTimer {
  /** Set while it waits. */
  waiting = true;
  /** It belongs to the simulation, not to the code under test. */
  aside = false;
  #referenced = true;

  constructor(
    readonly task: () => void,
    /** ms between two runs; undefined: it runs once. */
    readonly every: number | undefined,
    public due: number,
    public order: number,
  ) {}

  ref(): this {
    this.#referenced = true;
    return this;
  }
  unref(): this {
    this.#referenced = false;
    return this;
  }
  hasRef(): boolean {
    return this.#referenced;
  }
  [Symbol.dispose](): void {
    this.waiting = false;
  }
}

/** Timers by the time at which they are due; those of one time in the order in which they were added. A binary heap. */
class Timers {
  readonly #heap: SimulatedTimer[] = [];

  /** Those that wait, in no order. */
  get waiting(): readonly SimulatedTimer[] {
    return this.#heap.filter(({ waiting }) => waiting);
  }

  add(timer: SimulatedTimer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, timer)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  /** Removes and returns the first that still waits. */
  take(): SimulatedTimer | undefined {
    for (;;) {
      const first = this.#shift();
      if (first === undefined || first.waiting) return first;
    }
  }

  #shift(): SimulatedTimer | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || last === first) return first;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      if (left === undefined) break;
      const least = right !== undefined && isBefore(right, left) ? right : left;
      if (isBefore(last, least)) break;
      heap[at] = least;
      at = least === left ? 2 * at + 1 : 2 * at + 2;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (a: SimulatedTimer, b: SimulatedTimer): boolean =>
  a.due < b.due || (a.due === b.due && a.order < b.order);
