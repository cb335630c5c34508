import { Ring } from '../collections/ring';

/** What the outbox needs to know of an entry. */
export interface Sized {
  readonly bytes: number;
  /** Settled entries are dead weight: they are skipped, and dropped when met. */
  readonly settled: boolean;
  /** Grows from message to message: what comes back finds its place by it. */
  readonly order: number;
  /** The outbox's own mark: admitted, and not taken. */
  inside: boolean;
}

export interface Bounds {
  readonly limit: number;
  readonly bytes: number;
}

/**
 * Messages that wait for the wire, in order. Pure. Up to its bounds it is *full of admitted* entries; what comes beyond
 * waits outside, in order too, and moves in as room appears. What was in flight at a loss comes back at the head, and may
 * exceed the bounds: it had its place before.
 */
export class Outbox<E extends Sized> {
  readonly #bounds: Bounds;
  #admitted = new Ring<E>();
  readonly #waiting = new Ring<E>();
  #count = 0;
  #bytes = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** Admitted and not taken. */
  get queued(): number {
    return this.#count;
  }
  /** Bytes of these. */
  get bytes(): number {
    return this.#bytes;
  }
  /** Is nothing left, inside or outside? */
  get empty(): boolean {
    return this.peek() === undefined;
  }

  /** Would an entry of this size be admitted now? */
  hasRoom(bytes: number): boolean {
    return this.#count < this.#bounds.limit && this.#bytes + bytes <= this.#bounds.bytes;
  }

  /** Could an entry of this size ever be admitted? */
  fits(bytes: number): boolean {
    return bytes <= this.#bounds.bytes;
  }

  /** To the end: inside if there is room and nobody waits, else outside. */
  push(entry: E): void {
    if (this.#waiting.length === 0 && this.hasRoom(entry.bytes)) {
      this.#admitted.push(entry);
      this.#add(entry);
      return;
    }
    this.#waiting.push(entry);
    this.#admit();
  }

  /** The next to be sent; it stays. */
  peek(): E | undefined {
    for (;;) {
      const entry = this.#admitted.at(0);
      if (!entry?.settled) return entry;
      this.#admitted.shift();
    }
  }

  /** Takes the next to be sent. */
  shift(): E | undefined {
    const entry = this.peek();
    if (!entry) return undefined;
    this.#subtract(entry);
    this.#admitted.shift();
    this.#admit();
    return entry;
  }

  /** Back to where they belong: ahead of everything sent after them. */
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

  /** An entry that is inside or outside was settled: its room is free. */
  settled(entry: E): void {
    if (entry.inside) this.#subtract(entry);
    // Nobody may come to take one for long: settled ones must not pile up at the head.
    this.peek();
    this.#admit();
  }

  /** All that is left, inside and outside, in order. */
  entries(): readonly E[] {
    return [...this.#admitted, ...this.#waiting].filter(({ settled }) => !settled);
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
