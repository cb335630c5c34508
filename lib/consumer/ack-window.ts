/** What has to be sent so that the broker knows every ack so far. */
export interface Acks {
  /** One `multiple` ack up to this tag. */
  readonly upTo: number | undefined;
  /** Acks of their own: above a delivery that is still open. */
  readonly singly: readonly number[];
}

/** What is open and what is acked on one channel, and which acks have to be sent. */
export interface Window {
  /** Acks gathered and not yet told. */
  readonly gathered: number;
  /** The next delivery came. Tags of a channel grow by one. */
  open(tag: number): void;
  /** Acked: to be told at the next flush. */
  ack(tag: number): void;
  /** Settled by a frame of its own. */
  settle(tag: number): void;
  /** All gathered acks, as frames; they count as told from here on. */
  flush(): Acks;
}

/**
 * Gathers acks of one channel and says how few frames tell them. Pure. A `multiple` ack settles *everything* up to its
 * tag, so it never reaches beyond the lowest delivery still open. It remembers what is open and what has gathered, and
 * nothing in between: one delivery that stays open for hours costs no more than any other.
 */
export class AckWindow implements Window {
  /** In the order in which they came, which is that of their tags. */
  readonly #open = new Set<number>();
  #acked: number[] = [];

  get gathered(): number {
    return this.#acked.length;
  }

  open(tag: number): void {
    this.#open.add(tag);
  }

  ack(tag: number): void {
    this.#open.delete(tag);
    this.#acked.push(tag);
  }

  settle(tag: number): void {
    this.#open.delete(tag);
  }

  flush(): Acks {
    const [lowest = Infinity] = this.#open;
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
