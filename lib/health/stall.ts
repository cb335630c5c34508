import type { Backlog } from '../consumer/consumer-state';

/**
 * A consumer that holds as many unsettled deliveries as its prefetch allows, so that the broker sends no more, and settles none.
 * It may be busy with long work, or miss a settlement.
 */
export interface Stall {
  /** Deliveries handed out and not settled. */
  readonly unsettled: number;
  readonly prefetch: number;
  /** Nothing was settled since. */
  readonly since: Date;
}

/**
 * Finds out from samples whether a consumer settles anything. While it is at its prefetch every settlement lets a new delivery
 * come: when none came between two samples, and it is at its prefetch in the second, nothing was settled in between. So nothing
 * has to be measured per message.
 */
export class StallDetector {
  readonly #after: number;
  #latest: number | undefined;
  #since = 0;

  /** `after`: ms without a settlement after which a consumer counts as stalled. */
  constructor(after: number) {
    this.#after = after;
  }

  /** The next sample; `now` is that of `performance`. */
  sample(backlog: Backlog | undefined, now: number): Stall | undefined {
    if (!backlog || backlog.unsettled < backlog.prefetch) {
      this.#latest = undefined;
      return undefined;
    }
    const { unsettled, prefetch, latest } = backlog;
    if (latest !== this.#latest) {
      this.#latest = latest;
      this.#since = now;
    }
    if (now - this.#since < this.#after) return undefined;
    return Object.freeze({ unsettled, prefetch, since: new Date(performance.timeOrigin + this.#since) });
  }
}
