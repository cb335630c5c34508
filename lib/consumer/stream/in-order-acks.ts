import type { AckFrames, PendingAcks } from '../ack-batching';

/**
 * Acks that are sent in order: none before all deliveries below it are acked. Pure. On a stream an ack is a credit for
 * another message, so the broker never gets further ahead of the lowest unsettled delivery than the prefetch.
 */
export class InOrderAcks implements PendingAcks {
  readonly #unsettled = new Set<number>();
  #last = 0;
  #sent = 0;

  get size(): number {
    return this.#upTo - this.#sent;
  }

  /** A delivery came. The tags of a channel grow by one. */
  open(tag: number): void {
    this.#unsettled.add(tag);
    this.#last = Math.max(this.#last, tag);
  }

  add(tag: number): void {
    this.#unsettled.delete(tag);
  }

  take(): AckFrames {
    const upTo = this.#upTo > this.#sent ? this.#upTo : undefined;
    this.#sent = this.#upTo;
    return { upTo, singly: [] };
  }

  /** Everything up to this tag is acked. */
  get #upTo(): number {
    const [lowest = this.#last + 1] = this.#unsettled;
    return lowest - 1;
  }
}
