import { Subject, takeUntil, type Observable } from 'rxjs';
import { ChannelDelivery, type DeliveryChannel } from '../consumer/channel-delivery';
import type { Delivery } from '../consumer/delivery';
import { OptionsError } from '../errors';
import type { DeliveryQueue } from './delivery-queue';

/** What an operator does about the channels of its deliveries. */
export interface ChannelEvents {
  /** The first delivery of this channel came. */
  seen(channel: DeliveryChannel): void;
  /** The channel drains: its deliveries were released. Or it has ended: its deliveries were lost, and removed. */
  left(channel: DeliveryChannel): void;
}

/**
 * The deliveries that an operator has received and not yet started on. When their channel drains, or the operator is
 * unsubscribed from, they are released, so that another consumer gets them without delay. When their channel ends, they are
 * removed, because the broker delivers them again.
 */
export class HeldDeliveries<T> {
  readonly #queue: DeliveryQueue<T>;
  readonly #events: ChannelEvents;
  readonly #watched = new Map<DeliveryChannel, () => void>();
  /** The channel of the last delivery: nearly always that of the next. */
  #last: DeliveryChannel | undefined;
  readonly #stop$ = new Subject<void>();
  #keeping = false;

  constructor(queue: DeliveryQueue<T>, events: ChannelEvents) {
    this.#queue = queue;
    this.#events = events;
  }

  /** The channels that deliveries came on and that have not ended. */
  get channels(): Iterable<DeliveryChannel> {
    return this.#watched.keys();
  }
  get length(): number {
    return this.#queue.length;
  }

  /** `source$` until `stop`, even from within its own `subscribe`: then there is no subscription yet to unsubscribe. */
  until(source$: Observable<Delivery<T>>): Observable<Delivery<T>> {
    return source$.pipe(takeUntil(this.#stop$));
  }

  /** Returns its channel. Ignores a delivery that was settled or lost on its way here. @throws what the queue throws */
  push(delivery: Delivery<T>): DeliveryChannel | undefined {
    if (delivery.settled !== undefined) return undefined;
    const channel = ChannelDelivery.channelOf(delivery);
    if (channel !== this.#last) this.#watch(channel);
    this.#queue.push(delivery);
    return channel;
  }

  /**
   * Call after `push`, once what can start has been taken. A delivery that was on its way here when its channel began to drain
   * would otherwise wait for a settlement that may never come, and hold up `close()` for the whole drain timeout.
   */
  releaseIfDraining(channel: DeliveryChannel | undefined): void {
    if (channel?.draining === true && this.#queue.length > 0) this.#left(channel);
  }

  take(): Delivery<T> | undefined {
    return this.#queue.take();
  }
  done(delivery: Delivery<T>): void {
    this.#queue.done(delivery);
  }

  /** The source has completed, as `take(5)` does: what it let through is wanted, even if the channel drains. */
  keep(): void {
    this.#keeping = true;
  }

  /** Ends the source and releases everything. Channels are still watched, until `unwatch`. */
  stop(): void {
    this.#stop$.next();
    this.#release(() => true);
  }

  unwatch(): void {
    for (const unwatch of this.#watched.values()) unwatch();
    this.#watched.clear();
    this.#last = undefined;
  }

  #watch(channel: DeliveryChannel | undefined): void {
    this.#last = channel;
    if (!channel || this.#watched.has(channel) || channel.ended) return;
    this.#events.seen(channel);
    const unwatch = channel.watch(() => {
      this.#left(channel);
    });
    this.#watched.set(channel, unwatch);
  }

  #left(channel: DeliveryChannel): void {
    if (channel.ended) {
      this.#watched.delete(channel);
      if (this.#last === channel) this.#last = undefined;
      this.#queue.remove(({ settled }) => settled !== undefined);
    } else if (channel.draining && !this.#keeping) {
      this.#release((delivery) => ChannelDelivery.channelOf(delivery) === channel);
    } else return;
    this.#events.left(channel);
  }

  #release(matches: (delivery: Delivery<T>) => boolean): void {
    // All are removed before the first is released: the channel reports each settlement to its watchers, this one included.
    for (const delivery of this.#queue.remove(matches)) delivery.release();
  }
}

/** The types do not allow anything else; in JavaScript its work would be done and the outcome never be reported. */
export const isSettleable = (value: unknown): boolean =>
  typeof (value as { readonly ack?: unknown } | null | undefined)?.ack === 'function';

export function notSettleable(operator: 'handle()' | 'batch()', instead: string): OptionsError {
  return new OptionsError(
    'noAck',
    `${operator} settles deliveries, and got something that cannot be settled: a message of a consumer with \`noAck\`, or what an operator before it has made of a delivery. Consume without \`noAck\` and give it the deliveries themselves, or use ${instead}.`,
  );
}
