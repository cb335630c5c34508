import { timer, type Subscription } from 'rxjs';

/** ms that an ack waits for others to share its frame. */
const GATHER_FOR = 2;

/** When gathered acks are told: soon, or at the end of this turn once they are a quarter of the prefetch. */
export class Flushing {
  readonly #flush: () => void;
  readonly #quarter: number;
  #soon: Subscription | undefined;
  #thisTurn = false;

  constructor(prefetch: number, flush: () => void) {
    this.#quarter = Math.max(1, Math.floor(prefetch / 4));
    this.#flush = flush;
  }

  /** So many wait to be told. */
  gathered(acks: number): void {
    if (acks < this.#quarter) {
      this.#soon ??= timer(GATHER_FOR).subscribe(() => {
        this.#flush();
      });
    } else if (!this.#thisTurn) {
      this.#thisTurn = true;
      // Once what was read is worked off: one read can bring several quarters.
      process.nextTick(() => {
        this.#thisTurn = false;
        this.#flush();
      });
    }
  }

  /** They are told: no timer is left. */
  flushed(): void {
    this.#soon?.unsubscribe();
    this.#soon = undefined;
  }
}
