import { Subject, takeUntil, timer, type Observable, type Subscriber, type Subscription } from 'rxjs';

import { ChannelDelivery, type DeliveryChannel } from '../consumer/channel-delivery';
import type { Delivery } from '../consumer/delivery';
import { GatheredBatch, type Batch } from './gathered-batch';

/** How large a batch may get, and how long its first delivery may wait. */
export interface BatchOptions {
  /**
   * Deliveries at most; a batch is emitted when it has so many. More than the consumer's `prefetch` never come together:
   * then `within` applies.
   */
  readonly size: number;
  /** ms after its first delivery when a batch is emitted, however small; 0 waits for no more than what comes together. */
  readonly within: number;
}

/** One subscription of `batch()`: what it has gathered, and until when it waits for more. */
export class Batching<T> {
  readonly #options: BatchOptions;
  readonly #subscriber: Subscriber<Batch<T>>;
  readonly #watched = new Map<DeliveryChannel, () => void>();
  readonly #stop$ = new Subject<void>();
  #gathered: Delivery<T>[] = [];
  #waiting: Subscription | undefined;
  #stopped = false;

  constructor(options: BatchOptions, subscriber: Subscriber<Batch<T>>) {
    this.#options = options;
    this.#subscriber = subscriber;
  }

  gather(source: Observable<Delivery<T>>): void {
    source.pipe(takeUntil(this.#stop$)).subscribe({
      next: (delivery) => {
        this.#add(delivery);
      },
      error: (error: unknown) => {
        this.#subscriber.error(error);
      },
      complete: () => {
        // Stopped, it completes as well, and nobody listens.
        if (this.#stopped) return;
        this.#flush();
        this.#subscriber.complete();
      },
    });
  }

  /** Nobody listens any more: what is gathered and was not emitted is released. */
  unsubscribed(): void {
    this.#stopped = true;
    this.#stop$.next();
    this.#release(() => true);
    for (const unwatch of this.#watched.values()) unwatch();
    this.#watched.clear();
  }

  #add(delivery: Delivery<T>): void {
    this.#watch(ChannelDelivery.channelOf(delivery));
    this.#gathered.push(delivery);
    if (this.#gathered.length >= this.#options.size) this.#flush();
    else {
      this.#waiting ??= timer(this.#options.within).subscribe(() => {
        this.#flush();
      });
    }
  }

  #flush(): void {
    const open = this.#gathered.filter(({ settled }) => settled === undefined);
    this.#keep([]);
    if (open.length > 0) this.#subscriber.next(new GatheredBatch(open));
  }

  #watch(channel: DeliveryChannel | undefined): void {
    if (!channel || this.#watched.has(channel) || channel.ended) return;
    const { size } = this.#options;
    const { log, prefetch } = channel;
    if (size > prefetch) log.warn({ size, prefetch }, 'batch size above prefetch is never reached: `within` applies');
    const unwatch = channel.watch(() => {
      if (channel.ended) {
        this.#watched.delete(channel);
        this.#keep(this.#gathered.filter(({ settled }) => settled === undefined));
      } else if (channel.draining) this.#release((delivery) => ChannelDelivery.channelOf(delivery) === channel);
    });
    this.#watched.set(channel, unwatch);
  }

  #release(which: (delivery: Delivery<T>) => boolean): void {
    const released = this.#gathered.filter(which);
    // First: each release is told to whoever watches the channel, us among them.
    this.#keep(this.#gathered.filter((delivery) => !which(delivery)));
    for (const delivery of released) delivery.release();
  }

  /** What stays gathered. The time starts with the first of a batch, and ends with the last. */
  #keep(deliveries: Delivery<T>[]): void {
    this.#gathered = deliveries;
    if (deliveries.length > 0) return;
    this.#waiting?.unsubscribe();
    this.#waiting = undefined;
  }
}
