import type { Delivery } from '../consumer/delivery';

/** Deliveries to be dealt with together. Each can still be settled by itself; what is settled already is left alone. */
export interface Batch<T> {
  /** In the order in which they came; open when the batch was emitted. */
  readonly deliveries: readonly Delivery<T>[];
  /** Their bodies, in the same order. */
  readonly bodies: readonly T[];
  /** Acks all that is open. Returns how many were accepted; the others were settled already, or lost. */
  ack(): number;
  /** Requeues all that is open: failed, try again. Returns as `ack` does. */
  requeue(): number;
  /** Releases all that is open: never tried. Returns as `ack` does. */
  release(): number;
  /** Rejects all that is open: failed for good. Returns as `ack` does. */
  reject(): number;
}

export class GatheredBatch<T> implements Batch<T> {
  readonly deliveries: readonly Delivery<T>[];
  readonly bodies: readonly T[];

  constructor(deliveries: readonly Delivery<T>[]) {
    this.deliveries = deliveries;
    this.bodies = deliveries.map(({ body }) => body);
  }

  ack(): number {
    return this.#accepted((delivery) => delivery.ack());
  }
  requeue(): number {
    return this.#accepted((delivery) => delivery.requeue());
  }
  release(): number {
    return this.#accepted((delivery) => delivery.release());
  }
  reject(): number {
    return this.#accepted((delivery) => delivery.reject());
  }

  #accepted(settle: (delivery: Delivery<T>) => boolean): number {
    let accepted = 0;
    // Not those settled before: asking again is a mistake elsewhere, and logged as one.
    for (const delivery of this.deliveries) if (delivery.settled === undefined && settle(delivery)) accepted++;
    return accepted;
  }
}
