import { Observable, timer, type OperatorFunction, type Subscriber, type Subscription } from 'rxjs';
import { checkOptions, duration, integer, type Shape } from '../options';
import type { DeliveryChannel } from '../consumer/channel-delivery';
import type { Delivery } from '../consumer/delivery';
import { ArrivalQueue } from './delivery-queue';
import { HeldDeliveries, isSettleable, notSettleable, type ChannelEvents } from './held-deliveries';

/** How large a batch may get, and how long its first delivery may wait. */
export interface BatchOptions {
  /**
   * Deliveries at most: a batch of this size is emitted at once. No more than the consumer's `prefetch` come together; with a
   * larger `size` every batch waits for `within`.
   */
  readonly size: number;
  /** ms from its first delivery until a batch is emitted, however small. 0: in the next turn of the event loop. */
  readonly within: number;
}

/** Deliveries to be worked on together. Each can still be settled by itself. */
export interface Batch<T> {
  /** In the order in which they came; none was settled when the batch was emitted. */
  readonly deliveries: readonly Delivery<T>[];
  /** Their bodies, in the same order. */
  readonly bodies: readonly T[];
  /** Acks every delivery that is open. Returns how many acks were accepted: not those settled before, or lost. */
  ack(): number;
  /** Requeues every delivery that is open: failed, try again. Returns as `ack` does. */
  requeue(): number;
  /** Releases every delivery that is open: never tried. Returns as `ack` does. */
  release(): number;
  /** Rejects every delivery that is open: failed for good. Returns as `ack` does. */
  reject(): number;
}

const BATCH: Shape<BatchOptions> = { size: integer(1, 2 ** 31 - 1), within: duration() };

/**
 * Gathers deliveries, to be worked on and settled together: inserted in one statement, sent in one request.
 *
 * Emits: batches, of `size`, or what has come `within` ms of the first; never an empty one, and nothing that was settled
 * or lost before. Completes: with the source; what is gathered is emitted first. Errors: with the source; what is
 * gathered is released. Unsubscribe: what is gathered and was not emitted is released at once, as it is when the consumer
 * drains (`until`, `close()`) or is paused; batches that were emitted are yours to settle, for as long as the drain timeout
 * allows.
 *
 * @throws OptionsError if an option cannot be right
 * @example
 * consume(connection, { queue: 'readings', prefetch: 500 }).pipe(
 *   batch({ size: 200, within: 1000 }),
 *   concatMap(async (readings) => {
 *     await insert(readings.bodies);
 *     readings.ack();
 *   }),
 * );
 */
export function batch<T>(options: BatchOptions): OperatorFunction<Delivery<T>, Batch<T>> {
  checkOptions(options, BATCH, { of: 'batch()', required: ['size', 'within'] });
  return (source$) =>
    new Observable((subscriber) => {
      const batching = new Batching(options, subscriber);
      // Added before the source is subscribed to: a subscriber may leave while the source still emits synchronously.
      subscriber.add(() => {
        batching.unsubscribed();
      });
      batching.gather(source$);
    });
}

/** One subscription of `batch`: what it has gathered, and the time until it emits that. */
class Batching<T> implements ChannelEvents {
  readonly #options: BatchOptions;
  readonly #subscriber: Subscriber<Batch<T>>;
  readonly #gathered = new HeldDeliveries<T>(new ArrivalQueue(), this);
  #deadline: Subscription | undefined;

  constructor(options: BatchOptions, subscriber: Subscriber<Batch<T>>) {
    this.#options = options;
    this.#subscriber = subscriber;
  }

  gather(source$: Observable<Delivery<T>>): void {
    this.#gathered.until(source$).subscribe({
      next: (delivery) => {
        this.#add(delivery);
      },
      error: (error: unknown) => {
        this.#subscriber.error(error);
      },
      complete: () => {
        // Our own `stop` completes the source as well.
        if (this.#subscriber.closed) return;
        this.#flush();
        this.#subscriber.complete();
      },
    });
  }

  unsubscribed(): void {
    this.#gathered.stop();
    this.#gathered.unwatch();
    this.#stopWaitingIfEmpty();
  }

  seen({ log, prefetch }: DeliveryChannel): void {
    const { size } = this.#options;
    if (size > prefetch) log.warn({ size, prefetch }, 'batch size above prefetch is never reached: `within` applies');
  }

  left(): void {
    this.#stopWaitingIfEmpty();
  }

  #add(delivery: Delivery<T>): void {
    if (!isSettleable(delivery)) {
      this.#subscriber.error(notSettleable('batch()', '`bufferTime`'));
      return;
    }
    const channel = this.#gathered.push(delivery);
    if (this.#gathered.length >= this.#options.size) this.#flush();
    this.#gathered.releaseIfDraining(channel);
    if (this.#gathered.length === 0) return;
    this.#deadline ??= timer(this.#options.within).subscribe(() => {
      this.#flush();
    });
  }

  #flush(): void {
    const open: Delivery<T>[] = [];
    for (let next = this.#gathered.take(); next; next = this.#gathered.take()) open.push(next);
    this.#stopWaitingIfEmpty();
    if (open.length > 0) this.#subscriber.next(new GatheredBatch(open));
  }

  /** The time of a batch starts with its first delivery. */
  #stopWaitingIfEmpty(): void {
    if (this.#gathered.length > 0) return;
    this.#deadline?.unsubscribe();
    this.#deadline = undefined;
  }
}

class GatheredBatch<T> implements Batch<T> {
  readonly deliveries: readonly Delivery<T>[];
  readonly bodies: readonly T[];

  constructor(deliveries: readonly Delivery<T>[]) {
    this.deliveries = deliveries;
    this.bodies = deliveries.map(({ body }) => body);
  }

  ack(): number {
    return this.#settle((delivery) => delivery.ack());
  }
  requeue(): number {
    return this.#settle((delivery) => delivery.requeue());
  }
  release(): number {
    return this.#settle((delivery) => delivery.release());
  }
  reject(): number {
    return this.#settle((delivery) => delivery.reject());
  }

  #settle(settle: (delivery: Delivery<T>) => boolean): number {
    let accepted = 0;
    // Deliveries settled before are skipped: settling one twice is a mistake elsewhere, and logged as one.
    for (const delivery of this.deliveries) if (delivery.settled === undefined && settle(delivery)) accepted++;
    return accepted;
  }
}
