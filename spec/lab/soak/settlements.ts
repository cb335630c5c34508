import type { Book } from './book';

interface Settled {
  readonly n: number;
  readonly how: 'ack' | 'reject';
  /** Its number among the settlements of the attachment, from 1. */
  readonly position: number;
}

/**
 * The settlements of one attachment that the broker may not have received yet. Later deliveries prove that it has: with a prefetch of
 * 30, the broker sends the 100th message only after it has received 70 settlements.
 */
export class Settlements {
  readonly #book: Book;
  /** The number of the last settlements that may be unknown to the broker. */
  readonly #open: number;
  #pending: Settled[] = [];
  #delivered = 0;
  #settled = 0;

  constructor(book: Book, prefetch: number) {
    this.#book = book;
    // Acks are batched, up to a quarter of the prefetch, and rejects overtake them.
    this.#open = prefetch + Math.ceil(prefetch / 4);
  }

  /** Records a delivery. */
  delivered(): void {
    this.#delivered++;
    const heard = this.#delivered - this.#open;
    const young = this.#pending.findIndex(({ position }) => position > heard);
    this.#tell(this.#pending.splice(0, young === -1 ? this.#pending.length : young), true);
  }

  /** Records a settlement: final (`ack`, `reject`), or followed by a redelivery. */
  settled(n: number, how: 'ack' | 'requeue' | 'release' | 'reject'): void {
    const position = (this.#settled += 1);
    if (how === 'ack' || how === 'reject') this.#pending.push({ n, how, position });
  }

  /** The channel was lost, or closed gracefully, which flushes everything. */
  ended(how: 'lost' | 'in peace'): void {
    this.#tell(this.#pending, how === 'in peace');
    this.#pending = [];
  }

  #tell(settled: readonly Settled[], certain: boolean): void {
    for (const { n, how } of settled) this.#book.settled(n, how, certain);
  }
}
