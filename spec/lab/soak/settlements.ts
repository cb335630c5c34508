import type { Book } from './book';

interface Settled {
  readonly n: number;
  readonly how: 'ack' | 'reject';
  /** Its number among all settlements of the attachment, from 1. */
  readonly position: number;
}

/**
 * What one attachment of a consumer acked and rejected, until it is certain that the broker knows. No clock can tell: but
 * with a prefetch of 30 the broker sends the 100th message only when it has heard of 70 settlements.
 */
export class Settlements {
  readonly #book: Book;
  /** How many of the last settlements may be unknown to the broker. */
  readonly #open: number;
  #pending: Settled[] = [];
  #delivered = 0;
  #settled = 0;

  constructor(book: Book, prefetch: number) {
    this.#book = book;
    // Acks are collected, up to a quarter of the prefetch, while rejects overtake them.
    this.#open = prefetch + Math.ceil(prefetch / 4);
  }

  /** A message came. */
  delivered(): void {
    this.#delivered++;
    const heard = this.#delivered - this.#open;
    const young = this.#pending.findIndex(({ position }) => position > heard);
    this.#tell(this.#pending.splice(0, young === -1 ? this.#pending.length : young), true);
  }

  /** For good, with `ack` and `reject`, or to come again. */
  settled(n: number, how: 'ack' | 'requeue' | 'release' | 'reject'): void {
    const position = (this.#settled += 1);
    if (how === 'ack' || how === 'reject') this.#pending.push({ n, how, position });
  }

  /** The channel is gone, or closed in peace, which flushes everything. */
  ended(how: 'lost' | 'in peace'): void {
    this.#tell(this.#pending, how === 'in peace');
    this.#pending = [];
  }

  #tell(settled: readonly Settled[], certain: boolean): void {
    for (const { n, how } of settled) this.#book.settled(n, how, certain);
  }
}
