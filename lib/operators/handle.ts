/**
 * Operators on deliveries: `handle` works on each and settles it by the outcome, `batch` gathers several.
 *
 * A delivery comes from `consume()` into `Handling.#enqueue`, waits in `HeldDeliveries` until it is next in its `DeliveryQueue`,
 * runs as an `Attempt`, is settled by the outcome or by its `ErrorPolicy`, and leaves as a `Handled`. This room imports consumer/,
 * reactive/, collections/ and the files in no room; it knows deliveries and their channels, and no connection.
 */
import { Observable, isObservable, type OperatorFunction, type Subscriber } from 'rxjs';
import { nameOf } from '../errors';
import { DEFAULTS } from '../options';
import type { DeliveryChannel } from '../consumer/channel-delivery';
import type { Delivery, Settlement } from '../consumer/delivery';
import { OrderedMap } from '../collections/ordered-map';
import { Attempt, type AttemptEnd } from './attempt';
import { judge, namedSettlement, settleBy, type Verdict } from './error-policy';
import { checkHandling, checkedLimits, type HandleOptions, type Handled, type Worker } from './handle-options';
import { HeldDeliveries, isSettleable, notSettleable, type ChannelEvents } from './held-deliveries';
import { KeyedQueue, PartitionOrder } from './delivery-queue';

/**
 * Works on deliveries and settles each by its outcome: ack when the work succeeded, by `onError` when it failed.
 *
 * Emits: for each message what became of it, in the order in which work ends. Completes: when the source has completed
 * and all work is done. Errors: with the source, or under the policy 'fail'. Unsubscribe: what is not started is released at once;
 * work under way goes on and settles, for as long as the drain timeout allows.
 *
 * @throws OptionsError if an option cannot be right
 * @example
 * consume(connection, { queue: 'orders' }).pipe(handle((order) => ship(order.body))).subscribe({ error: console.error });
 */
export function handle<T, R>(
  work: Worker<T, R>,
  options: HandleOptions<NoInfer<T>> = {},
): OperatorFunction<Delivery<T>, Handled<T, R>> {
  checkHandling(work, options);
  return (source$) =>
    new Observable((subscriber) => {
      const handling = new Handling(work, options, subscriber);
      // Added before the source is subscribed to: a subscriber may leave while the source still emits synchronously.
      subscriber.add(() => {
        handling.unsubscribed();
      });
      handling.handle(source$);
    });
}

/**
 * One subscription of `handle`. It has a queue of its own, because `mergeMap` strands its buffer on unsubscribe, and settles
 * from the work's own callbacks, because a pipe without a subscriber loses the result.
 */
class Handling<T, R> implements AttemptEnd<T, R>, ChannelEvents {
  readonly #work: Worker<T, R>;
  readonly #options: HandleOptions<T>;
  readonly #subscriber: Subscriber<Handled<T, R>>;
  readonly #held: HeldDeliveries<T>;
  /** Attempts that may run at once. */
  #limit: number;
  /** Attempts whose outcome was not emitted yet. */
  readonly #running = new OrderedMap<Attempt<T, R>>(({ number }) => number);
  #begun = 0;
  #starting = false;
  #sourceCompleted = false;
  #stopped = false;

  constructor(work: Worker<T, R>, options: HandleOptions<T>, subscriber: Subscriber<Handled<T, R>>) {
    const { key, concurrency = Infinity } = options;
    this.#work = work;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#held = new HeldDeliveries(key ? new KeyedQueue(key) : new PartitionOrder(), this);
    this.#limit = isObservable(concurrency) ? 0 : concurrency;
  }

  handle(source$: Observable<Delivery<T>>): void {
    if (isObservable(this.#options.concurrency)) this.#follow(this.#options.concurrency);
    if (this.#stopped) return;
    this.#held.until(source$).subscribe({
      next: (delivery) => {
        this.#enqueue(delivery);
      },
      error: (error: unknown) => {
        this.#subscriber.error(error);
      },
      complete: () => {
        if (this.#stopped) return;
        this.#sourceCompleted = true;
        this.#held.keep();
        for (const attempt of this.#running) if (attempt.channel?.ended) attempt.giveUp();
        this.#completeIfDone();
      },
    });
  }

  /** Releases what is not started, and gives up what is lost. What else runs settles without a subscriber. */
  unsubscribed(): void {
    this.#stopped = true;
    this.#held.stop();
    // The result of work on a lost delivery cannot count any more, and its timeout would keep the process running.
    for (const attempt of this.#running) if (attempt.delivery.settled === 'lost') attempt.giveUp();
    this.#unwatchIfDone();
  }

  succeeded(attempt: Attempt<T, R>, value: R | undefined): void {
    const { delivery } = attempt;
    const already = settledByWork(delivery);
    const settlement = already ?? 'ack';
    const sent = already !== undefined || delivery.ack();
    const message = delivery;
    this.#emit(attempt, value === undefined ? { message, settlement, sent } : { message, settlement, sent, value });
  }

  failed(attempt: Attempt<T, R>, error: unknown): void {
    const { delivery } = attempt;
    const { onError = DEFAULTS.onError } = this.#options;
    const already = settledByWork(delivery);
    // No policy can change that the broker delivers it again; and that it was lost may be why the work failed.
    if (delivery.settled === 'lost') this.gaveUp(attempt, error);
    else if (onError === 'fail') this.#fail(attempt, error);
    else if (already !== undefined) this.#emit(attempt, { message: delivery, settlement: already, sent: true, error });
    else if (typeof onError === 'function') {
      void judge(onError, error, delivery).then((verdict) => {
        this.#settle(attempt, verdict);
      });
    } else this.#settle(attempt, { settlement: namedSettlement(onError, delivery), error });
  }

  gaveUp(attempt: Attempt<T, R>, error: unknown): void {
    this.#emit(attempt, { message: attempt.delivery, settlement: 'requeue', sent: false, error });
  }

  seen({ log, prefetch }: DeliveryChannel): void {
    if (this.#limit === Infinity || this.#limit <= prefetch) return;
    log.warn({ concurrency: this.#limit, prefetch }, 'concurrency above prefetch is never reached');
  }

  left(channel: DeliveryChannel): void {
    if (!channel.ended) return;
    for (const attempt of this.#running) {
      if (attempt.channel !== channel || attempt.delivery.settled !== 'lost') continue;
      // With no further message to come, waiting for work that ignores its signal would hang the whole stream.
      if (this.#sourceCompleted || this.#stopped || attempt.stoppable) attempt.giveUp();
      else attempt.abort();
    }
    this.#completeIfDone();
  }

  /** Follows the limit for as long as the source: raising it starts more at once, lowering it lets running work end. */
  #follow(limit$: Observable<number>): void {
    const limits = checkedLimits(limit$).subscribe({
      next: (limit) => {
        this.#limit = limit;
        for (const channel of this.#held.channels) this.seen(channel);
        this.#start();
        // All that waited may have been settled elsewhere.
        this.#completeIfDone();
      },
      error: (error: unknown) => {
        this.#subscriber.error(error);
      },
    });
    this.#subscriber.add(limits);
  }

  #enqueue(delivery: Delivery<T>): void {
    if (!isSettleable(delivery)) {
      this.#subscriber.error(notSettleable('handle()', '`mergeMap`'));
      return;
    }
    let channel: DeliveryChannel | undefined;
    try {
      channel = this.#held.push(delivery);
    } catch (error) {
      // Without its key its order is unknown: it fails as if its work had.
      this.failed(this.#begin(delivery), error);
      return;
    }
    this.#start();
    this.#held.releaseIfDraining(channel);
  }

  #start(): void {
    if (this.#starting) return;
    this.#starting = true;
    while (!this.#stopped && this.#running.size < this.#limit) {
      const delivery = this.#held.take();
      if (!delivery) break;
      this.#begin(delivery).run(this.#work, this.#options.timeout);
    }
    this.#starting = false;
  }

  #begin(delivery: Delivery<T>): Attempt<T, R> {
    const attempt = new Attempt<T, R>(this.#begun++, delivery, this);
    this.#running.add(attempt);
    return attempt;
  }

  #settle(attempt: Attempt<T, R>, { settlement, error }: Verdict): void {
    const { delivery } = attempt;
    // It may have been lost while the policy decided.
    const sent = delivery.settled === undefined && settleBy(delivery, settlement);
    if (sent && settlement === 'reject') {
      const { queue, deliveryCount, properties } = delivery;
      // The error's message may quote the body: it goes into `Handled` and stays out of the log.
      const facts = { queue, messageId: properties.messageId, deliveryCount, error: nameOf(error) };
      attempt.channel?.log.warn(facts, 'work failed: message rejected');
    }
    this.#emit(attempt, { message: delivery, settlement, sent, error });
  }

  #fail(attempt: Attempt<T, R>, error: unknown): void {
    attempt.delivery.requeue();
    this.#running.delete(attempt.number);
    this.#subscriber.error(error);
    this.#unwatchIfDone();
  }

  /** Emits before the next is started, so that results come in the order in which work ends. */
  #emit(attempt: Attempt<T, R>, handled: Handled<T, R>): void {
    // A policy may decide long after its attempt was given up.
    if (!this.#running.delete(attempt.number)) return;
    this.#held.done(attempt.delivery);
    this.#subscriber.next(handled);
    this.#start();
    this.#completeIfDone();
    this.#unwatchIfDone();
  }

  #completeIfDone(): void {
    if (this.#sourceCompleted && this.#running.size === 0 && this.#held.length === 0) this.#subscriber.complete();
  }

  #unwatchIfDone(): void {
    if (this.#stopped && this.#running.size === 0) this.#held.unwatch();
  }
}

/** The types give work a `Message`, which has no verbs; JavaScript gives it the delivery, and the first settlement counts. */
function settledByWork({ settled }: Delivery<unknown>): Settlement | undefined {
  return settled === 'lost' ? undefined : settled;
}
