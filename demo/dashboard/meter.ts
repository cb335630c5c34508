/** Latency from `send()` to the work, in ms, over one period; null if nothing arrived. */
export interface Latency {
  /** Wall clock, in ms. */
  readonly at: number;
  readonly median: number | null;
  readonly worst: number | null;
}

/** Collects latencies between two readings. */
export class Meter {
  #latencies: number[] = [];

  received(latency: number): void {
    this.#latencies.push(latency);
  }

  read(): Latency {
    const sorted = this.#latencies.sort((a, b) => a - b);
    this.#latencies = [];
    const tenths = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms * 10) / 10);
    return { at: Date.now(), median: tenths(sorted[Math.floor(sorted.length / 2)]), worst: tenths(sorted.at(-1)) };
  }
}
