import type { Acks, AckGathering } from '../ack-batching';

/**
 * Gathers acks of one channel, and tells none of them before all below it. Pure. For streams: what is acked is what the
 * broker sends anew, so it never gets further ahead of the lowest delivery still open than the prefetch.
 */
export class InOrderWindow implements AckGathering {
  readonly #open = new Set<number>();
  #last = 0;
  #told = 0;

  get gathered(): number {
    return this.#upTo - this.#told;
  }

  /** A delivery came. Tags of a channel grow by one. */
  open(tag: number): void {
    this.#open.add(tag);
    this.#last = Math.max(this.#last, tag);
  }

  ack(tag: number): void {
    this.#open.delete(tag);
  }

  flush(): Acks {
    const upTo = this.#upTo > this.#told ? this.#upTo : undefined;
    this.#told = this.#upTo;
    return { upTo, singly: [] };
  }

  /** All up to here are settled. */
  get #upTo(): number {
    const [lowest = this.#last + 1] = this.#open;
    return lowest - 1;
  }
}
