import type { Observable, Subscription } from 'rxjs';
import type { Pulled } from '../reactive/iterate';
import type { ConsumerState } from './consumer-state';
import type { Delivery } from './delivery';

/** The consumer whose deliveries wait. */
interface Source {
  readonly state$: Observable<ConsumerState>;
  close(): Promise<unknown>;
}

/** The deliveries of a consumer that a `for await` loop has not asked for yet. */
export class WaitingDeliveries<T> implements Pulled<Delivery<T>> {
  readonly #consumer: Source;
  readonly #waiting: Delivery<T>[] = [];
  /** Those that the loop has had, and that were not settled when it asked for the next. */
  readonly #unsettled = new Set<Delivery<T>>();
  #states: Subscription | undefined;

  constructor(consumer: Source) {
    this.#consumer = consumer;
  }

  put(delivery: Delivery<T>): void {
    // Work that has not started would hold up the end of the consumer, or of its pause.
    this.#states ??= this.#consumer.state$.subscribe(({ status }) => {
      if (status === 'draining' || status === 'paused') this.#release();
    });
    this.#dropSettled();
    this.#waiting.push(delivery);
  }

  take(): { readonly value: Delivery<T> } | undefined {
    for (const delivery of this.#unsettled) if (delivery.settled !== undefined) this.#unsettled.delete(delivery);
    this.#dropSettled();
    const delivery = this.#waiting.shift();
    if (!delivery) return undefined;
    this.#unsettled.add(delivery);
    return { value: delivery };
  }

  ended(): void {
    this.#states?.unsubscribe();
  }

  async left(): Promise<void> {
    this.#release();
    const closed = this.#consumer.close();
    const settled = [...this.#unsettled].every((delivery) => delivery.settled !== undefined);
    // The loop is over, so that waiting for its own deliveries could be waiting for what comes after it.
    if (settled) await closed;
  }

  /** Lost with their channel, or settled by another subscriber. */
  #dropSettled(): void {
    while (this.#waiting[0] && this.#waiting[0].settled !== undefined) this.#waiting.shift();
  }

  #release(): void {
    for (const delivery of this.#waiting.splice(0)) delivery.release();
  }
}
