import { Observable, type Observer, share, skip, type Subscriber, Subscription, type Unsubscribable } from 'rxjs';
import { type Connection, coreOf } from '../connection/connection';
import type { ConnectionCore } from '../connection/connection-core';
import { drainTimeoutOf } from '../connection/connection-options';
import type { CloseOptions, CloseReport, Member } from '../connection/member';
import type { ConsumerError, InstanceQueueError } from '../errors';
import { isolated } from '../reactive/isolated';
import { pull, type Pulled } from '../reactive/iterate';
import { type EventsOf, StateSubject } from '../reactive/state-subject';
import { TypedEmitter } from '../reactive/typed-emitter';
import { ChannelDelivery } from './channel-delivery';
import { consuming } from './consume';
import { type ConsumeOptions, resolveConsumeOptions } from './consume-options';
import type { ConsumeSubscription } from './consume-subscription';
import type { ConsumerState } from './consumer-state';
import type { Delivery, Message } from './delivery';

/** One event per status, and one for each message that could not be decoded and each delivery that was lost. */
export type ConsumerEvents = EventsOf<ConsumerState> & {
  undecodable: [message: Message<Buffer>, cause: ConsumerError];
  lost: [message: Message<unknown>];
};

/**
 * A consumer whose deliveries are shared and whose state can be observed. At most one AMQP consumer at a time: it attaches
 * when `deliveries$` gets its first subscriber, and drains when the last one leaves.
 *
 * @example
 * const orders = new Consumer(connection, { queue: 'orders' });
 * orders.on('attached', ({ tag }) => console.log(tag));
 * orders.deliveries$.pipe(handle(work)).subscribe({ error: console.error });
 */
export class Consumer<T = unknown> extends TypedEmitter<ConsumerEvents> implements AsyncDisposable {
  /**
   * `consume()`, shared: all subscribers see the same delivery objects, and the first settlement counts.
   *
   * Hot while it has subscribers. Emits: deliveries, to be settled once each.
   * Completes: as `consume()` does; when the consumer is closed, also for later subscribers.
   * Errors: as `consume()` does; CONNECTION_CLOSED for subscribers that come after the connection is closed.
   * Unsubscribe: the last subscriber's cancels and drains.
   */
  readonly deliveries$: Observable<Delivery<T>>;
  readonly #state = new StateSubject<ConsumerState>(Object.freeze({ status: 'detached' }));
  readonly #core: ConnectionCore;
  readonly #active = new Set<Pick<Member, 'close'>>();
  readonly #connection = new Subscription();
  #latest: ConsumeSubscription<T> | undefined;
  #closing = false;
  #closed: Promise<CloseReport> | undefined;

  /** @throws OptionsError if an option cannot be right */
  constructor(connection: Connection, options: ConsumeOptions<T>) {
    super();
    this.#core = coreOf(connection);
    const resolved = resolveConsumeOptions(options);
    const shared$ = consuming(connection, resolved, (subscription) => {
      this.#follow(subscription);
    }).pipe(share({ connector: () => new Relay() }));
    this.deliveries$ = new Observable((subscriber) => {
      const { state } = this;
      if (state.status !== 'stopped' && !this.#closing) return shared$.subscribe(subscriber);
      if (state.status === 'stopped' && state.cause) subscriber.error(state.cause);
      else if (this.#closing) subscriber.complete();
      else subscriber.error(this.#core.closedError());
      return undefined;
    });
    this.state$.pipe(skip(1)).subscribe((state) => {
      emitState(this, state);
    });
    const watch = this.#core.state$.subscribe({
      complete: () => {
        const { state } = this.#core;
        // Now, and not with the subscription's end: that comes when the last state was published already.
        this.#stopped(state.status === 'closed' ? state.cause : undefined);
      },
    });
    this.#connection.add(watch);
  }

  /** Hot. Emits: the present state, then each new one. Completes: behind `stopped`. Errors: never. */
  get state$(): Observable<ConsumerState> {
    return this.#state.value$;
  }
  /** The present state. */
  get state(): ConsumerState {
    return this.#state.value;
  }

  /**
   * `for await (const delivery of consumer)`: subscribes to `deliveries$` at the first step. What arrives meanwhile waits, at most the
   * prefetch of unsettled deliveries. Ends when `deliveries$` completes, throws what it errors with.
   *
   * `break`, `return` and a throw close the consumer: deliveries that the loop has not had are released, those that it has had can
   * still be settled. The loop waits for the end of the consumer, unless one of them is unsettled.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Delivery<T>, undefined> {
    return pull(this.deliveries$, new WaitingDeliveries(this));
  }

  /**
   * Cancels, drains, completes `deliveries$`. Idempotent; always resolves, within `drainTimeout`. A later call may shorten the time
   * that is left.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    const within = drainTimeoutOf(options, this.#core.drainTimeout);
    if (this.#closed) for (const consumption of this.#active) void consumption.close(within);
    return (this.#closed ??= this.#close(within));
  }

  /** `await using`: closes at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(within: number): Promise<CloseReport> {
    // Set first: a subscriber may subscribe again when `deliveries$` completes, and that must not attach.
    this.#closing = true;
    const reports = await Promise.all([...this.#active].map((consumption) => consumption.close(within)));
    this.#stopped(undefined);
    return { unsettled: reports.reduce((sum, { unsettled }) => sum + unsettled, 0), unconfirmed: 0 };
  }

  #follow(subscription: ConsumeSubscription<T>): void {
    this.#latest = subscription;
    this.#active.add(subscription);
    subscription.state$.subscribe((state) => {
      if (state.status === 'stopped') this.#active.delete(subscription);
      // Not the state of a subscription that still drains while its successor attaches.
      if (this.#latest !== subscription) return;
      if (state.status !== 'stopped') this.#state.next(state);
      else if (state.cause) this.#stopped(state.cause);
      // It ended with its last subscriber; the next one attaches again.
      else this.#state.next(Object.freeze({ status: 'detached' }));
    });
    subscription.undecodable$.subscribe(({ message, cause }) => {
      isolated(() => this.emit('undecodable', message, cause));
    });
    subscription.lost$.subscribe((message) => {
      isolated(() => this.emit('lost', message));
    });
  }

  #stopped(cause: InstanceQueueError | undefined): void {
    this.#state.end(Object.freeze(cause ? { status: 'stopped', cause } : { status: 'stopped' }));
    // The connection outlives many consumers.
    this.#connection.unsubscribe();
  }
}

/** Emits a state as the event of its status. One call per status, or the types do not agree. */
function emitState(emitter: TypedEmitter<ConsumerEvents>, state: ConsumerState): void {
  switch (state.status) {
    case 'detached':
      emitter.emit('detached', state);
      break;
    case 'attached':
      emitter.emit('attached', state);
      break;
    case 'paused':
      emitter.emit('paused', state);
      break;
    case 'draining':
      emitter.emit('draining', state);
      break;
    case 'stopped':
      emitter.emit('stopped', state);
      break;
  }
}

/**
 * A Subject for `share({ connector })`, reduced to what that needs. An RxJS Subject allocates a closure and an iterator per
 * value, which was a fifth of the garbage made while consuming.
 */
export class Relay<T> implements Observer<T> {
  /** Replaced, never changed: a subscriber may come or go while a value is delivered. */
  #subscribers: readonly Subscriber<T>[] = [];
  readonly #relayed$ = new Observable<T>((subscriber) => {
    this.#subscribers = [...this.#subscribers, subscriber];
    return () => {
      this.#subscribers = this.#subscribers.filter((other) => other !== subscriber);
    };
  });

  subscribe(observer: Partial<Observer<T>>): Unsubscribable {
    return this.#relayed$.subscribe(observer);
  }

  next(value: T): void {
    for (const subscriber of this.#subscribers) subscriber.next(value);
  }

  error(error: unknown): void {
    for (const subscriber of this.#subscribers) subscriber.error(error);
  }

  complete(): void {
    for (const subscriber of this.#subscribers) subscriber.complete();
  }
}

/** The consumer whose deliveries wait. */
interface Source {
  readonly state$: Observable<ConsumerState>;
  close(): Promise<unknown>;
}

/** The deliveries of a consumer that a `for await` loop has not asked for yet. */
class WaitingDeliveries<T> implements Pulled<Delivery<T>> {
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
    if (isToBeSettled(delivery)) this.#unsettled.add(delivery);
    return { value: delivery };
  }

  ended(): void {
    this.#states?.unsubscribe();
    // An error reaches the loop before the consumer drains.
    this.#release();
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
    for (const delivery of this.#waiting.splice(0)) {
      // What came with `noAck` is gone from its queue: the loop has to get it.
      if (!isToBeSettled(delivery)) this.#waiting.push(delivery);
      else if (delivery.settled === undefined) delivery.release();
    }
  }
}

const isToBeSettled = (message: Message<unknown>): boolean => ChannelDelivery.channelOf(message) !== undefined;
