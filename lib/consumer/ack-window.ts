/** What has to be sent so that the broker knows every ack so far. */
export interface Acks {
  /** One `multiple` ack up to this tag. */
  readonly upTo: number | undefined;
  /** Acks of their own: above a delivery that is still open. */
  readonly singly: readonly number[];
}

const OPEN = 0;
const ACKED = 1;
const SETTLED = 2;

/**
 * Gathers acks of one channel and says how few frames tell them. Pure. A `multiple` ack settles *everything* up to its
 * tag, so it never reaches beyond the lowest delivery still open.
 */
export class AckWindow {
  /** State per tag, the first one being `#base`; behind `#head` all is settled and told. */
  #states: number[] = [];
  #base = 1;
  #head = 0;
  #gathered = 0;

  /** Acks gathered and not yet told. */
  get gathered(): number {
    return this.#gathered;
  }

  /** The next delivery came. Tags of a channel grow by one. */
  open(tag: number): void {
    if (this.#states.length === 0) this.#base = tag;
    this.#states[tag - this.#base] = OPEN;
  }

  /** Acked: to be told at the next flush. */
  ack(tag: number): void {
    this.#states[tag - this.#base] = ACKED;
    this.#gathered++;
  }

  /** Settled by a frame of its own. */
  settle(tag: number): void {
    this.#states[tag - this.#base] = SETTLED;
  }

  /** All gathered acks, as frames; they count as told from here on. */
  flush(): Acks {
    const states = this.#states;
    let upTo: number | undefined;
    while (this.#head < states.length && states[this.#head] !== OPEN) {
      if (states[this.#head] === ACKED) {
        upTo = this.#base + this.#head;
        this.#gathered--;
      }
      this.#head++;
    }
    const singly: number[] = [];
    for (let i = this.#head; this.#gathered > 0 && i < states.length; i++) {
      if (states[i] !== ACKED) continue;
      states[i] = SETTLED;
      this.#gathered--;
      singly.push(this.#base + i);
    }
    // Forget in large steps: a shift per ack would copy the window each time.
    if (this.#head === states.length || this.#head > 1024) {
      this.#base += this.#head;
      this.#states = states.slice(this.#head);
      this.#head = 0;
    }
    return { upTo, singly };
  }
}
