import { Ring } from '../collections/ring';

/** An entry as the outbox sees it. */
export interface Sized {
  readonly bytes: number;
  /** Settled entries are skipped, and dropped when reached. */
  readonly settled: boolean;
  /** Increases with each message. It determines the place of an entry that is put back. */
  readonly order: number;
  /** Set by the outbox: admitted, and not taken yet. */
  inside: boolean;
}

/** The size of one message, or of several that are sent together. */
export interface BatchSize {
  /** Bytes of all. */
  readonly bytes: number;
  /** Bytes of the largest. @default bytes */
  readonly largest?: number;
  /** @default 1 */
  readonly count?: number;
}

export interface Bounds {
  readonly limit: number;
  readonly bytes: number;
}

/** Entries from which on settled ones behind an open one are removed. */
const MIN_LIMIT = 1024;

/**
 * Messages that wait for the wire, in order. Pure. It admits entries up to its bounds; further ones wait outside, in order too,
 * and are admitted when there is room. Messages in flight at a loss are put back at the head. They may exceed the bounds, because
 * they were admitted before.
 */
export class Outbox<E extends Sized> {
  readonly #bounds: Bounds;
  #admitted = new Ring<E>();
  readonly #waiting = new Ring<E>();
  #count = 0;
  #bytes = 0;
  /** Settled entries are removed once there are this many of all. */
  #limit = MIN_LIMIT;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** Admitted and not taken. */
  get queued(): number {
    return this.#count;
  }
  /** Bytes of the admitted entries. */
  get bytes(): number {
    return this.#bytes;
  }
  /** Is nothing left, inside or outside? */
  get empty(): boolean {
    return this.peek() === undefined;
  }

  /** Would `count` entries of this size in all be admitted now? */
  hasRoom(bytes: number, count = 1): boolean {
    return this.#count + count <= this.#bounds.limit && this.#bytes + bytes <= this.#bounds.bytes;
  }

  /** Could an entry of this size ever be admitted? */
  fits(bytes: number): boolean {
    return bytes <= this.#bounds.bytes;
  }

  /** Appends an entry: inside if there is room and none waits outside, else outside. */
  push(entry: E): void {
    if (this.#waiting.length === 0 && this.hasRoom(entry.bytes)) {
      this.#admitted.push(entry);
      this.#add(entry);
      return;
    }
    this.#waiting.push(entry);
    this.#admit();
  }

  /** The next entry to send, which stays. */
  peek(): E | undefined {
    for (;;) {
      const entry = this.#admitted.at(0);
      if (!entry?.settled) return entry;
      this.#admitted.shift();
    }
  }

  /** Takes the next entry to send. */
  shift(): E | undefined {
    const entry = this.peek();
    if (!entry) return undefined;
    this.#subtract(entry);
    this.#admitted.shift();
    this.#admit();
    return entry;
  }

  /** Puts entries back ahead of everything sent after them. */
  restore(entries: readonly E[]): void {
    const back = entries.filter(({ settled }) => !settled).sort((a, b) => a.order - b.order);
    for (const entry of back) this.#add(entry);
    const rest = [...this.#admitted];
    const merged: E[] = [];
    let i = 0;
    for (const entry of back) {
      for (let next = rest[i]; next && next.order < entry.order; next = rest[++i]) merged.push(next);
      merged.push(entry);
    }
    this.#admitted = new Ring([...merged, ...rest.slice(i)]);
  }

  /** Frees the room of an entry, inside or outside, that was settled. */
  settled(entry: E): void {
    if (entry.inside) this.#subtract(entry);
    // It may take long until the next entry is taken; settled ones must not pile up at the head.
    this.peek();
    this.#admit();
    this.#removeSettled();
  }

  /** All remaining entries, inside and outside, in order. */
  entries(): readonly E[] {
    return [...this.#admitted, ...this.#waiting].filter(({ settled }) => !settled);
  }

  /**
   * One message with a long deadline must not hold on to all that were given up behind it. Runs only when the entries have doubled,
   * which makes its cost per entry constant.
   */
  #removeSettled(): void {
    if (this.#admitted.length + this.#waiting.length < this.#limit) return;
    for (const entries of [this.#admitted, this.#waiting]) entries.keep(({ settled }) => !settled);
    this.#limit = Math.max(MIN_LIMIT, 2 * (this.#admitted.length + this.#waiting.length));
  }

  #admit(): void {
    for (;;) {
      const entry = this.#waiting.at(0);
      if (!entry) break;
      if (!entry.settled) {
        if (!this.hasRoom(entry.bytes)) break;
        this.#admitted.push(entry);
        this.#add(entry);
      }
      this.#waiting.shift();
    }
  }

  #add(entry: E): void {
    entry.inside = true;
    this.#count++;
    this.#bytes += entry.bytes;
  }

  #subtract(entry: E): void {
    entry.inside = false;
    this.#count--;
    this.#bytes -= entry.bytes;
  }
}

/**
 * The unconfirmed messages of one channel, in order. Pure. The broker numbers publishes from 1, and confirms a number, or all up
 * to it, in any order. https://www.rabbitmq.com/docs/confirms#publisher-confirms
 */
export class Unconfirmed<E> {
  /** The messages by number, from `#first` on; undefined: confirmed. */
  readonly #entries = new Ring<E | undefined>();
  /** The first number that may be unconfirmed. */
  #first = 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The number of messages ever written: the highest valid number of a confirm. */
  get written(): number {
    return this.#first + this.#entries.length - 1;
  }

  /** Adds the message that was written. */
  add(entry: E): void {
    this.#entries.push(entry);
    this.#size++;
  }

  /** Calls back for the messages of a confirm, in order. Ignores unknown numbers. */
  confirm(tag: number, multiple: boolean, confirmed: (entry: E) => void): void {
    const meant = tag - this.#first;
    const last = Math.min(meant, this.#entries.length - 1);
    if (!multiple && meant !== last) return;
    for (let at = multiple ? 0 : last; at <= last; at++) {
      const entry = this.#entries.at(at);
      if (entry === undefined) continue;
      this.#entries.set(at, undefined);
      this.#size--;
      confirmed(entry);
    }
    this.#forget();
  }

  /** The oldest message that matches. */
  oldest(fits: (entry: E) => boolean): E | undefined {
    for (const entry of this.#entries) if (entry !== undefined && fits(entry)) return entry;
    return undefined;
  }

  /** All remaining messages, in order. */
  all(): readonly E[] {
    return [...this.#entries].filter((entry) => entry !== undefined);
  }

  /** Removes and returns all remaining messages, in order. */
  takeAll(): readonly E[] {
    const left = this.all();
    this.#first = this.written + 1;
    this.#entries.clear();
    this.#size = 0;
    return left;
  }

  /** Skips confirmed messages. */
  #forget(): void {
    while (this.#entries.length > 0 && this.#entries.at(0) === undefined) {
      this.#entries.shift();
      this.#first++;
    }
  }
}
