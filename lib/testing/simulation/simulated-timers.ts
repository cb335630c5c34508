/** A task that waits for its time. It has the methods of Node's `Timeout` and `Immediate`. */
export class SimulatedTimer {
  /** Set while it waits. */
  waiting = true;
  /** When it is due after it was refreshed while it waited. */
  again: number | undefined;
  /** It belongs to the simulation, not to the code under test. */
  aside = false;
  #cleared = false;
  #referenced = true;
  readonly #owner: TimerOwner;

  constructor(
    owner: TimerOwner,
    readonly task: () => void,
    /** ms that it waits. */
    readonly ms: number,
    /** Does it run again and again? */
    readonly repeats: boolean,
    public due: number,
    public order: number,
  ) {
    this.#owner = owner;
  }

  /** Begins its wait anew, also when it has run; one that was cleared stays so. */
  refresh(): this {
    if (!this.#cleared) this.#owner.restart(this);
    return this;
  }
  close(): this {
    this.#cleared = true;
    this.waiting = false;
    return this;
  }
  /** A number that `clearTimeout` takes. */
  [Symbol.toPrimitive](): number {
    return this.#owner.numberOf(this);
  }
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
    this.close();
  }
}

/** What a timer asks of the world that it is in. */
export interface TimerOwner {
  restart(timer: SimulatedTimer): void;
  numberOf(timer: SimulatedTimer): number;
}

/** Timers by the time at which they are due; those of one time in the order in which they were added. A binary heap. */
export class Timers {
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
      if (first === undefined) return undefined;
      const { waiting, again } = first;
      if (waiting && again === undefined) return first;
      first.again = undefined;
      if (!waiting || again === undefined) continue;
      first.due = again;
      this.add(first);
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
