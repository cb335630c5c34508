import { Ring } from '../collections/ring';
import type { Delivery, Message } from '../consumer/delivery';
import { isPromiseLike } from './attempt';

/** Deliveries that wait inside an operator, and which of them is next. */
export interface DeliveryQueue<T> {
  readonly length: number;
  push(delivery: Delivery<T>): void;
  /** The next delivery that may start and is not settled. Once its work has ended, call `done`. */
  take(): Delivery<T> | undefined;
  done(delivery: Delivery<T>): void;
  /** Removes the deliveries that match; returns them in the order in which they came. */
  remove(matches: (delivery: Delivery<T>) => boolean): readonly Delivery<T>[];
}

/** First in, first out. */
export class ArrivalQueue<T> implements DeliveryQueue<T> {
  readonly #waiting = new Ring<Delivery<T>>();

  get length(): number {
    return this.#waiting.length;
  }

  push(delivery: Delivery<T>): void {
    this.#waiting.push(delivery);
  }

  take(): Delivery<T> | undefined {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      // It may have been lost, or settled elsewhere, while it waited.
      if (next.settled === undefined) return next;
    }
    return undefined;
  }

  done(): void {
    // No delivery waits for another.
  }

  remove(matches: (delivery: Delivery<T>) => boolean): readonly Delivery<T>[] {
    if (this.#waiting.length === 0) return [];
    const removed: Delivery<T>[] = [];
    this.#waiting.keep((delivery) => {
      if (!matches(delivery)) return true;
      removed.push(delivery);
      return false;
    });
    return removed;
  }
}

interface Waiting<T> {
  readonly delivery: Delivery<T>;
  readonly key: unknown;
  /** Grows with each delivery. */
  readonly place: number;
}

/** Waits behind most keys; an array for each would be a good part of the garbage. */
const NONE = Symbol('none');

/**
 * Deliveries that keep the order of their keys: one at a time per key, and across keys the oldest first. A delivery without a
 * key (`undefined`) waits for no other. A key is remembered only while one of its deliveries waits or runs.
 */
export class KeyedQueue<T> implements DeliveryQueue<T> {
  readonly #keyOf: (message: Message<T>) => unknown;
  /** Deliveries that may start: the oldest of each key that is not running, sorted by place. */
  #ready: Waiting<T>[] = [];
  /** Deliveries behind one of the same key that is ready or running. Has an entry for every key that is remembered. */
  readonly #behind = new Map<unknown, Waiting<T>[] | typeof NONE>();
  readonly #running = new Map<Delivery<T>, unknown>();
  #places = 0;
  #length = 0;

  constructor(keyOf: (message: Message<T>) => unknown) {
    this.#keyOf = keyOf;
  }

  get length(): number {
    return this.#length;
  }
  /** Number of keys remembered. */
  get keys(): number {
    return this.#behind.size;
  }

  /** @throws what the caller's key function throws, TypeError if it is asynchronous; the delivery is not queued then */
  push(delivery: Delivery<T>): void {
    const key = this.#keyOf(delivery);
    if (isPromiseLike(key)) throw new TypeError('`key` returned a promise. Keys have to be known at once.');
    const waiting = { delivery, key, place: this.#places++ };
    this.#length++;
    const behind = key === undefined ? undefined : this.#behind.get(key);
    if (behind === NONE) this.#behind.set(key, [waiting]);
    else if (behind) behind.push(waiting);
    else {
      if (key !== undefined) this.#behind.set(key, NONE);
      this.#ready.push(waiting);
    }
  }

  take(): Delivery<T> | undefined {
    for (let next = this.#ready.shift(); next; next = this.#ready.shift()) {
      this.#length--;
      if (next.delivery.settled === undefined) {
        if (next.key !== undefined) this.#running.set(next.delivery, next.key);
        return next.delivery;
      }
      this.#free(next.key);
    }
    return undefined;
  }

  done(delivery: Delivery<T>): void {
    this.#free(this.#running.get(delivery));
    this.#running.delete(delivery);
  }

  remove(matches: (delivery: Delivery<T>) => boolean): readonly Delivery<T>[] {
    if (this.#length === 0) return [];
    const removed: Waiting<T>[] = [];
    const kept = (waiting: Waiting<T>): boolean => {
      if (!matches(waiting.delivery)) return true;
      removed.push(waiting);
      return false;
    };
    for (const [key, waiting] of this.#behind) if (waiting !== NONE) this.#behind.set(key, waiting.filter(kept));
    const fromBehind = removed.length;
    this.#ready = this.#ready.filter(kept);
    for (const { key } of removed.slice(fromBehind)) this.#free(key);
    this.#length -= removed.length;
    return removed.sort((a, b) => a.place - b.place).map(({ delivery }) => delivery);
  }

  /** Nothing of this key is ready or running any more: its oldest delivery becomes ready, or the key is forgotten. */
  #free(key: unknown): void {
    if (key === undefined) return;
    const behind = this.#behind.get(key);
    const next = behind === NONE ? undefined : behind?.shift();
    if (!next) {
      this.#behind.delete(key);
      return;
    }
    // It is older than most that are ready, so its place is near the front.
    const later = this.#ready.findIndex(({ place }) => place > next.place);
    this.#ready.splice(later < 0 ? this.#ready.length : later, 0, next);
  }
}

/** In the order of arrival; for deliveries of a partitioned queue, one after the other per partition. */
export class PartitionOrder<T> implements DeliveryQueue<T> {
  /** Not keyed before the first delivery of a partition comes: keys cost time, and other queues have no use for them. */
  #queue: DeliveryQueue<T> = new ArrivalQueue();
  #keyed = false;

  get length(): number {
    return this.#queue.length;
  }

  push(delivery: Delivery<T>): void {
    if (!this.#keyed && delivery.partition !== undefined) this.#keyByPartition();
    this.#queue.push(delivery);
  }
  take(): Delivery<T> | undefined {
    return this.#queue.take();
  }
  done(delivery: Delivery<T>): void {
    this.#queue.done(delivery);
  }
  remove(matches: (delivery: Delivery<T>) => boolean): readonly Delivery<T>[] {
    return this.#queue.remove(matches);
  }

  #keyByPartition(): void {
    this.#keyed = true;
    const waiting = this.#queue.remove(() => true);
    this.#queue = new KeyedQueue(({ partition }) => partition);
    for (const delivery of waiting) this.#queue.push(delivery);
  }
}
