import type { Metrics } from '../client/metrics';

/** One point of the charts. */
export interface Point {
  /** Wall clock, in ms. */
  readonly at: number;
  /** Messages a second. */
  readonly sent: number;
  readonly confirmed: number;
  readonly delivered: number;
  /** At this moment: messages in the outbox, unsettled deliveries. */
  readonly queued: number;
  readonly inFlight: number;
}

const COUNTED = ['sent', 'confirmed', 'delivered'] as const;

/** Turns counters into rates. */
export class Rates {
  #since = performance.now();
  #before: Metrics;

  constructor(metrics: Metrics) {
    this.#before = metrics;
  }

  next(metrics: Metrics): Point {
    const now = performance.now();
    const seconds = Math.max(1, now - this.#since) / 1000;
    const [sent = 0, confirmed = 0, delivered = 0] = COUNTED.map(
      (name) => Math.round(((metrics[name] - this.#before[name]) / seconds) * 10) / 10,
    );
    this.#since = now;
    this.#before = metrics;
    const { outbox, inFlight } = metrics;
    return { at: Date.now(), sent, confirmed, delivered, queued: outbox.queued, inFlight };
  }
}
