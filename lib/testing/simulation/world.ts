import crypto from 'node:crypto';
import { promisify } from 'node:util';
import { LONGEST } from '../../options';
import { Random } from './random';
import { SimulatedTimer, type TimerOwner, Timers } from './simulated-timers';

/** Where simulated time starts. */
const EPOCH = Date.UTC(2030, 0, 1);

/** The clock as it was when this file was loaded. */
const { setImmediate: nextTurn, Date: RealDate } = globalThis;

/** Turns that are asked for together: a round of the event loop for each would cost more than what most of them do. */
const TURNS = 32;

type Callback = (...args: unknown[]) => void;

/** What a world replaces, and where. */
type Replaced = readonly [object: object, name: string, value: unknown];

/** Trouble that would have ended the process, or that it would have reported. */
export interface Uncaught {
  readonly kind: 'exception' | 'rejection';
  readonly error: unknown;
}

/**
 * A world with its own time and chance, made from a seed. While it runs it replaces the timers, the clocks, `Math.random`,
 * `crypto.randomUUID` and `crypto.randomBytes` of this process. Its time stands still while code runs, and moves on to the next timer
 * when the event loop has nothing left to do: an hour of waiting takes no time. Of timers of different durations that are due in the
 * same millisecond the seed decides which runs first, since Node leaves that open.
 *
 * One world runs at a time. What waits for anything but timers (a socket, a file, another thread) does not fit in.
 */
export class World implements TimerOwner {
  readonly random: Random;
  readonly uncaught: Uncaught[] = [];
  readonly #timers = new Timers();
  readonly #ties: Random;
  readonly #tieOf = new Map<number, number>();
  /** Timers that were asked for their number. */
  readonly #numbered = new Map<number, SimulatedTimer>();
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
    const timer = this.#add(task, false, ms);
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
      let over = false;
      let asked = 0;
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
        if (over) return;
        asked--;
        const timer = settle ? undefined : this.#timers.take();
        if (timer !== undefined && timer.due <= limit) {
          this.#run(timer);
          if (asked === 0) ask();
          return;
        }
        over = true;
        if (settle) settle();
        else resolve(undefined);
      };
      const ask = (): void => {
        for (; asked < TURNS; asked++) nextTurn(turn);
      };
      ask();
    });
  }

  #run(timer: SimulatedTimer): void {
    this.#turns++;
    this.#now = Math.max(this.#now, timer.due);
    if (!timer.repeats) timer.waiting = false;
    else {
      timer.due = this.#dueIn(timer.ms);
      timer.order = this.#created++;
      this.#timers.add(timer);
    }
    try {
      timer.task();
    } catch (error) {
      this.uncaught.push({ kind: 'exception', error });
    }
  }

  /** For `SimulatedTimer`. */
  restart(timer: SimulatedTimer): void {
    const due = this.#dueIn(timer.ms);
    if (timer.waiting) timer.again = due;
    else {
      Object.assign(timer, { due, order: this.#created++, waiting: true, again: undefined });
      this.#timers.add(timer);
    }
  }
  /** For `SimulatedTimer`. */
  numberOf(timer: SimulatedTimer): number {
    const number = timer.order + 1;
    this.#numbered.set(number, timer);
    return number;
  }

  #add(task: () => void, repeats: boolean, ms: number): SimulatedTimer {
    const timer = new SimulatedTimer(this, task, ms, repeats, this.#dueIn(ms), this.#created++);
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
    const start =
      (repeats: boolean) =>
      (callback: Callback, after: unknown, ...args: unknown[]): SimulatedTimer =>
        this.#add(bound(callback, args), repeats, msOf(after));
    const stop = (given: unknown): void => {
      const timer = typeof given === 'number' || typeof given === 'string' ? this.#numbered.get(Number(given)) : given;
      if (timer instanceof SimulatedTimer) timer.close();
    };
    const immediate = (callback: Callback, ...args: unknown[]): SimulatedTimer =>
      this.#add(bound(callback, args), false, 0);
    const later = (after: unknown, value: unknown): Promise<unknown> =>
      new Promise((resolve) => start(false)(resolve, after, value));
    const randomBytes = (size: number, callback?: Callback): Buffer | undefined => {
      const bytes = Buffer.from(Array.from({ length: size }, () => this.random.integer(0, 255)));
      if (!callback) return bytes;
      immediate(callback, null, bytes);
      return undefined;
    };
    const today = (): number => EPOCH + Math.floor(this.#now);
    // A proxy, so that dates that were made outside are instances of it as well.
    const SimulatedDate = new Proxy(RealDate, {
      construct: (target, given, made) =>
        Reflect.construct(target, given.length === 0 ? [today()] : given, made) as object,
      apply: () => new RealDate(today()).toString(),
      get: (target, name): unknown => (name === 'now' ? today : Reflect.get(target, name)),
    });
    const replaced: readonly Replaced[] = [
      [globalThis, 'setTimeout', Object.assign(start(false), { [promisify.custom]: later })],
      [globalThis, 'setInterval', start(true)],
      [
        globalThis,
        'setImmediate',
        Object.assign(immediate, { [promisify.custom]: (value: unknown) => later(0, value) }),
      ],
      [globalThis, 'clearTimeout', stop],
      [globalThis, 'clearInterval', stop],
      [globalThis, 'clearImmediate', stop],
      [globalThis, 'Date', SimulatedDate],
      [performance, 'now', () => this.#now],
      [performance, 'timeOrigin', EPOCH],
      [Math, 'random', () => this.random.next()],
      [crypto, 'randomUUID', () => this.random.uuid()],
      [crypto, 'randomBytes', randomBytes],
    ];
    const before = replaced.map(
      ([object, name]) => [object, name, Object.getOwnPropertyDescriptor(object, name)] as const,
    );
    for (const [object, name, value] of replaced) put(object, name, value);
    return () => {
      // What was added last goes first: so the objects stay as fast as they were.
      for (const [object, name, descriptor] of before.reverse()) {
        if (!descriptor) Reflect.deleteProperty(object, name);
        else if (descriptor.writable === true) put(object, name, descriptor.value);
        else Object.defineProperty(object, name, descriptor);
      }
    };
  }
}

/** Replaces a value, and leaves the property as it is otherwise: code that was compiled for it stays valid. */
function put(object: object, name: string, value: unknown): void {
  if (Object.getOwnPropertyDescriptor(object, name)?.writable === true) Reflect.set(object, name, value);
  else Object.defineProperty(object, name, { value, configurable: true, writable: true, enumerable: true });
}

/** As Node takes a duration: what is too short or too long for it is 1 ms. https://nodejs.org/api/timers.html */
function msOf(given: unknown): number {
  const ms = Number(given);
  return ms >= 1 && ms <= LONGEST ? Math.trunc(ms) : 1;
}

/** Most callbacks come without arguments. */
const bound = (callback: Callback, args: readonly unknown[]): (() => void) =>
  args.length === 0
    ? callback
    : () => {
        callback(...args);
      };
