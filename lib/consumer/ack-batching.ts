/** What has to be sent so that the broker knows every ack so far. */
export interface Acks {
  /** One `multiple` ack up to this tag. */
  readonly upTo: number | undefined;
  /** Acks of their own: above a delivery that is still open. */
  readonly singly: readonly number[];
}

/** What is acked on one channel, and which acks have to be sent. */
export interface AckGathering {
  /** Acks gathered and not yet told. */
  readonly gathered: number;
  /** Acked: to be told at the next flush. */
  ack(tag: number): void;
  /** All gathered acks, as frames; they count as told from here on. `lowest`: of the tags still open; Infinity: none. */
  flush(lowest: number): Acks;
}

/**
 * Gathers acks of one channel and says how few frames tell them. Pure. A `multiple` ack settles *everything* up to its
 * tag, so it never reaches beyond the lowest delivery still open. It remembers what has gathered and nothing else: one
 * delivery that stays open for hours costs no more than any other.
 */
export class AckWindow implements AckGathering {
  #acked: number[] = [];

  get gathered(): number {
    return this.#acked.length;
  }

  ack(tag: number): void {
    this.#acked.push(tag);
  }

  flush(lowest: number): Acks {
    let upTo: number | undefined;
    const singly: number[] = [];
    for (const tag of this.#acked) {
      if (tag > lowest) singly.push(tag);
      else upTo = Math.max(tag, upTo ?? 0);
    }
    this.#acked = [];
    return { upTo, singly };
  }
}
