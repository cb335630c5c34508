import { timer, type Subscription } from 'rxjs';

/** ms that an ack waits for others to share its frame. */
const GATHER_FOR = 2;

/** The frames that tell the broker of the acks gathered so far. */
export interface AckFrames {
  /** One ack with `multiple`, up to this tag. */
  readonly upTo: number | undefined;
  /** Acks of one delivery each, above a delivery that is still unsettled. */
  readonly singly: readonly number[];
}

/** The acks of one channel that are not sent yet. */
export interface PendingAcks {
  /** How many could be sent now. */
  readonly size: number;
  add(tag: number): void;
  /** Removes and returns them. `lowest`: the lowest unsettled tag, Infinity if there is none. */
  take(lowest: number): AckFrames;
}

/**
 * Acks in any order, in as few frames as possible. Pure. A `multiple` ack settles *everything* up to its tag, so it never
 * reaches beyond the lowest unsettled delivery. Memory and time depend on the pending acks alone, however long one delivery
 * stays unsettled.
 */
export class AckBatch implements PendingAcks {
  #tags: number[] = [];

  get size(): number {
    return this.#tags.length;
  }

  add(tag: number): void {
    this.#tags.push(tag);
  }

  take(lowest: number): AckFrames {
    let upTo: number | undefined;
    const singly: number[] = [];
    for (const tag of this.#tags) {
      if (tag > lowest) singly.push(tag);
      else upTo = Math.max(tag, upTo ?? 0);
    }
    this.#tags = [];
    return { upTo, singly };
  }
}

/**
 * Decides when the pending acks of a channel are sent: at the end of the turn, if they are a quarter of the prefetch or none were sent
 * for `gatherFor` ms (2); otherwise after `gatherFor` ms. Where messages are few, each is acked at once, without a timer; where
 * they are many, a frame acks what came within 2 ms.
 */
export class AckBatching {
  readonly #pending: PendingAcks;
  readonly #quarter: number;
  readonly #flush: () => void;
  readonly #gatherFor: number;
  #soon: Subscription | undefined;
  #thisTurn = false;
  /** When acks were last taken; monotonic, ms. */
  #takenAt = -Infinity;

  /** `flush` sends what `take` returns. */
  constructor(pending: PendingAcks, prefetch: number, flush: () => void, gatherFor = GATHER_FOR) {
    this.#pending = pending;
    this.#quarter = Math.max(1, Math.floor(prefetch / 4));
    this.#flush = flush;
    this.#gatherFor = gatherFor;
  }

  ack(tag: number): void {
    this.#pending.add(tag);
    if (this.#thisTurn) return;
    if (this.#pending.size >= this.#quarter || this.#isQuiet) {
      this.#thisTurn = true;
      // One read of the socket can bring several quarters; they leave together when all of it is worked off.
      process.nextTick(() => {
        this.#thisTurn = false;
        this.#flush();
      });
    } else {
      this.#soon ??= timer(this.#gatherFor).subscribe(() => {
        this.#flush();
      });
    }
  }

  /** Stops the timer, and returns what has to be sent now. `lowest`: the lowest unsettled tag, Infinity if there is none. */
  take(lowest: number): AckFrames | undefined {
    this.#soon?.unsubscribe();
    this.#soon = undefined;
    if (this.#pending.size === 0) return undefined;
    this.#takenAt = performance.now();
    return this.#pending.take(lowest);
  }

  /** Has nothing been acked for a while? */
  get #isQuiet(): boolean {
    return this.#soon === undefined && performance.now() - this.#takenAt >= this.#gatherFor;
  }
}
