import type { Delivery, Message } from '../consumer/delivery';

/** Deliveries that wait to be worked on, and which of them is next. */
export interface WaitingLine<T> {
  readonly length: number;
  /** @throws what a function of the user's throws: then it does not wait here */
  push(delivery: Delivery<T>): void;
  /** The next that may start and is still open. Whoever takes it says when it is `done`. */
  take(): Delivery<T> | undefined;
  done(delivery: Delivery<T>): void;
  /** Takes out those that do not wait any longer, in the order in which they came. */
  remove(which: (delivery: Delivery<T>) => boolean): readonly Delivery<T>[];
}

/** First come, first served. */
export class SingleLine<T> implements WaitingLine<T> {
  #waiting: Delivery<T>[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  push(delivery: Delivery<T>): void {
    this.#waiting.push(delivery);
  }

  take(): Delivery<T> | undefined {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      // Else it was lost, or settled by somebody else, while it waited.
      if (next.settled === undefined) return next;
    }
    return undefined;
  }

  done(): void {
    // Nobody waits for it.
  }

  remove(which: (delivery: Delivery<T>) => boolean): readonly Delivery<T>[] {
    const removed = this.#waiting.filter(which);
    if (removed.length > 0) this.#waiting = this.#waiting.filter((delivery) => !which(delivery));
    return removed;
  }
}

/** Somebody in the line: its key, and when it came. */
interface Waiting<T> {
  readonly delivery: Delivery<T>;
  readonly key: unknown;
  readonly place: number;
}

/**
 * Of each key one at a time, in the order in which they came; of different keys whoever came first. It remembers a key
 * while one of it waits or runs, and no longer. Without a key (`undefined`) nobody waits for anybody.
 */
export class KeyedLine<T> implements WaitingLine<T> {
  readonly #keyOf: (message: Message<T>) => unknown;
  /** The first of each key that nobody of that key is ahead of, by their places. */
  #ready: Waiting<T>[] = [];
  /** Behind one that is ready or runs, by their key. */
  readonly #behind = new Map<unknown, Waiting<T>[]>();
  readonly #running = new Map<Delivery<T>, unknown>();
  #places = 0;
  #length = 0;

  constructor(keyOf: (message: Message<T>) => unknown) {
    this.#keyOf = keyOf;
  }

  get length(): number {
    return this.#length;
  }
  /** Keys that it remembers. */
  get keys(): number {
    return this.#behind.size;
  }

  push(delivery: Delivery<T>): void {
    const waiting = { delivery, key: this.#keyOf(delivery), place: this.#places++ };
    this.#length++;
    const behind = waiting.key === undefined ? undefined : this.#behind.get(waiting.key);
    if (behind) behind.push(waiting);
    else {
      if (waiting.key !== undefined) this.#behind.set(waiting.key, []);
      this.#ready.push(waiting);
    }
  }

  take(): Delivery<T> | undefined {
    for (let next = this.#ready.shift(); next; next = this.#ready.shift()) {
      this.#length--;
      if (next.delivery.settled === undefined) {
        if (next.key !== undefined) this.#running.set(next.delivery, next.key);
        return next.delivery;
      }
      this.#free(next.key);
    }
    return undefined;
  }

  done(delivery: Delivery<T>): void {
    this.#free(this.#running.get(delivery));
    this.#running.delete(delivery);
  }

  remove(which: (delivery: Delivery<T>) => boolean): readonly Delivery<T>[] {
    const removed: Waiting<T>[] = [];
    const kept = (waiting: Waiting<T>): boolean => {
      if (!which(waiting.delivery)) return true;
      removed.push(waiting);
      return false;
    };
    for (const [key, line] of this.#behind) this.#behind.set(key, line.filter(kept));
    const behind = removed.length;
    this.#ready = this.#ready.filter(kept);
    for (const { key } of removed.slice(behind)) this.#free(key);
    this.#length -= removed.length;
    return removed.sort((a, b) => a.place - b.place).map(({ delivery }) => delivery);
  }

  /** Whoever is next of this key need not wait any longer. */
  #free(key: unknown): void {
    if (key === undefined) return;
    const next = this.#behind.get(key)?.shift();
    if (!next) {
      this.#behind.delete(key);
      return;
    }
    // It came before most of those that are ready.
    const later = this.#ready.findIndex(({ place }) => place > next.place);
    this.#ready.splice(later < 0 ? this.#ready.length : later, 0, next);
  }
}
