/** What the charts draw, for one stretch of time. */
export interface Point {
  /** Of the wall clock, in ms. */
  readonly at: number;
  /** Messages a second. */
  readonly sent: number;
  readonly confirmed: number;
  readonly received: number;
  /** From `send()` to the work, in ms; null if nothing came. */
  readonly median: number | null;
  readonly worst: number | null;
}

/** Counts what happens between two readings. */
export class Meter {
  #since = performance.now();
  #counts = { sent: 0, confirmed: 0, received: 0 };
  #latencies: number[] = [];

  count(what: 'sent' | 'confirmed'): void {
    this.#counts[what]++;
  }

  received(latency: number): void {
    this.#counts.received++;
    this.#latencies.push(latency);
  }

  read(): Point {
    const now = performance.now();
    const perSecond = (count: number): number => Math.round((count / (now - this.#since)) * 10_000) / 10;
    const sorted = this.#latencies.sort((a, b) => a - b);
    const tenths = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms * 10) / 10);
    const point = {
      at: Date.now(),
      sent: perSecond(this.#counts.sent),
      confirmed: perSecond(this.#counts.confirmed),
      received: perSecond(this.#counts.received),
      median: tenths(sorted[Math.floor(sorted.length / 2)]),
      worst: tenths(sorted.at(-1)),
    };
    this.#since = now;
    this.#counts = { sent: 0, confirmed: 0, received: 0 };
    this.#latencies = [];
    return point;
  }
}
