import { Counter, type CounterConfiguration } from 'prom-client';
import { lowCardinality } from '../client/traffic';

/**
 * A counter by queue that adds up to the counter of the whole InstanceQueue: what was counted before it was registered
 * stands under an empty queue name.
 */
export class QueueCounter {
  readonly #counts = new Map<string, number>();

  /** `total` reads the counter of the whole. */
  constructor(configuration: Omit<CounterConfiguration<'queue'>, 'labelNames' | 'collect'>, total: () => number) {
    const counts = this.#counts;
    new Counter({
      ...configuration,
      labelNames: ['queue'],
      collect() {
        this.reset();
        let rest = total();
        for (const [queue, count] of counts) {
          this.inc({ queue }, count);
          rest -= count;
        }
        if (rest > 0 || counts.size === 0) this.inc({ queue: '' }, rest);
      },
    });
  }

  count(queueName: string): void {
    const queue = lowCardinality(queueName);
    this.#counts.set(queue, (this.#counts.get(queue) ?? 0) + 1);
  }
}
