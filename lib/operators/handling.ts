import { Subject, isObservable, takeUntil, type Observable, type Subscriber } from 'rxjs';
import { nameOf } from '../errors';
import { DEFAULTS } from '../options';
import { Attempt, type AttemptEnd } from './attempt';
import { ChannelDelivery, type DeliveryChannel } from '../consumer/channel-delivery';
import { checkedLimits } from './concurrency';
import type { Delivery } from '../consumer/delivery';
import { OrderedMap } from '../collections/ordered-map';
import { judge, settleBy, type Verdict } from './verdict';
import { KeyedLine, SingleLine, type WaitingLine } from './keyed-queue';
import type { HandleOptions, Handled, Worker } from './handle-options';

/**
 * One subscription of `handle()`. It keeps its own queue, because that of `mergeMap` is stranded on unsubscribe, and
 * settles in the promise of the work, because a pipe that nobody listens to any more loses the result.
 */
export class Handling<T, R> implements AttemptEnd<T, R> {
  readonly #work: Worker<T, R>;
  readonly #options: HandleOptions<T>;
  readonly #subscriber: Subscriber<Handled<T, R>>;
  readonly #line: WaitingLine<T>;
  /** How many may run at once; 0 until an Observable says how many. */
  #limit: number;
  readonly #running = new OrderedMap<Attempt<T, R>>(({ number }) => number);
  #begun = 0;
  readonly #watched = new Map<DeliveryChannel, () => void>();
  /** Ends the source, also from within its own `subscribe`: one that emits all at once is not held by any subscription yet. */
  readonly #stop$ = new Subject<void>();
  #pumping = false;
  #sourceCompleted = false;
  #stopped = false;

  constructor(work: Worker<T, R>, options: HandleOptions<T>, subscriber: Subscriber<Handled<T, R>>) {
    this.#work = work;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#line = options.key ? new KeyedLine(options.key) : new SingleLine();
    const { concurrency = Infinity } = options;
    this.#limit = isObservable(concurrency) ? 0 : concurrency;
  }

  handle(source: Observable<Delivery<T>>): void {
    if (isObservable(this.#options.concurrency)) this.#follow(this.#options.concurrency);
    if (this.#stopped) return;
    source.pipe(takeUntil(this.#stop$)).subscribe({
      next: (delivery) => {
        this.#watch(ChannelDelivery.channelOf(delivery));
        this.#enqueue(delivery);
      },
      error: (error: unknown) => {
        this.#subscriber.error(error);
      },
      complete: () => {
        if (this.#stopped) return;
        this.#sourceCompleted = true;
        for (const attempt of this.#running) if (attempt.channel?.ended) attempt.giveUp();
        this.#completeIfDone();
      },
    });
  }

  /** Nobody listens any more: release what is not started; what runs settles by itself. */
  unsubscribed(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stop$.next();
    this.#release(() => true);
    this.#unwatchIfDone();
  }

  succeeded(attempt: Attempt<T, R>, value: R | undefined): void {
    const { delivery } = attempt;
    const sent = delivery.ack();
    const handled = { message: delivery, settlement: 'ack', sent } as const;
    this.#emit(attempt, value === undefined ? handled : { ...handled, value });
  }

  failed(attempt: Attempt<T, R>, error: unknown): void {
    const verdict = judge(this.#options.onError ?? DEFAULTS.onError, error, attempt.delivery);
    if (!(verdict instanceof Promise)) this.#settle(attempt, verdict);
    else {
      void verdict.then((judged) => {
        this.#settle(attempt, judged);
      });
    }
  }

  gaveUp(attempt: Attempt<T, R>, error: Error): void {
    this.#emit(attempt, { message: attempt.delivery, settlement: 'requeue', sent: false, error });
  }

  /** Beside the source, and for as long: raising starts more at once, lowering lets what runs end. */
  #follow(concurrency$: Observable<number>): void {
    checkedLimits(concurrency$)
      .pipe(takeUntil(this.#stop$))
      .subscribe({
        next: (limit) => {
          this.#limit = limit;
          for (const channel of this.#watched.keys()) this.#warn(channel);
          this.#pump();
        },
        error: (error: unknown) => {
          this.#subscriber.error(error);
        },
      });
  }

  #enqueue(delivery: Delivery<T>): void {
    try {
      this.#line.push(delivery);
    } catch (error) {
      // Without its key nobody knows what it has to wait for: it fails, as its work would.
      this.failed(this.#begin(delivery), error);
      return;
    }
    this.#pump();
  }

  #warn({ log, prefetch }: DeliveryChannel): void {
    if (this.#limit === Infinity || this.#limit <= prefetch) return;
    log.warn({ concurrency: this.#limit, prefetch }, 'concurrency above prefetch is never reached');
  }

  #watch(channel: DeliveryChannel | undefined): void {
    if (!channel || this.#watched.has(channel) || channel.ended) return;
    this.#warn(channel);
    const unwatch = channel.watch(() => {
      if (channel.ended) this.#lost(channel);
      // A source that completed before (`take(5)`) wants what it let through to be worked on.
      else if (channel.draining && !this.#sourceCompleted) {
        this.#release((delivery) => ChannelDelivery.channelOf(delivery) === channel);
      }
    });
    this.#watched.set(channel, unwatch);
  }

  #lost(channel: DeliveryChannel): void {
    this.#watched.delete(channel);
    this.#line.remove(({ settled }) => settled !== undefined);
    for (const attempt of this.#running) {
      if (attempt.channel !== channel || attempt.delivery.settled !== 'lost') continue;
      attempt.abort();
      // No other message will come: waiting for work that ignores its signal would hang the whole stream.
      if (this.#sourceCompleted || this.#stopped || attempt.stoppable) attempt.giveUp();
    }
    // What waited may have been the last.
    this.#completeIfDone();
  }

  #release(which: (delivery: Delivery<T>) => boolean): void {
    for (const delivery of this.#line.remove(which)) delivery.release();
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (!this.#stopped && this.#running.size < this.#limit) {
      const delivery = this.#line.take();
      if (!delivery) break;
      this.#begin(delivery).run(this.#work, this.#options.timeout);
    }
    this.#pumping = false;
  }

  #begin(delivery: Delivery<T>): Attempt<T, R> {
    const attempt = new Attempt<T, R>(this.#begun++, delivery, this);
    this.#running.add(attempt);
    return attempt;
  }

  #settle(attempt: Attempt<T, R>, { settlement, error }: Verdict): void {
    const { delivery } = attempt;
    const sent = settleBy(delivery, settlement);
    if (settlement === 'reject') {
      const { queue, deliveryCount, properties } = delivery;
      // Their own error may quote the message: it is in `Handled`, and stays out of our log.
      const facts = { queue, messageId: properties.messageId, deliveryCount, error: nameOf(error) };
      attempt.channel?.log.warn(facts, 'work failed: message rejected');
    }
    if (this.#options.onError === 'fail') {
      this.#running.delete(attempt.number);
      this.#subscriber.error(error);
      return;
    }
    this.#emit(attempt, { message: delivery, settlement, sent, error });
  }

  /** Before the next is started, so that results come in the order in which work ends. */
  #emit(attempt: Attempt<T, R>, handled: Handled<T, R>): void {
    this.#running.delete(attempt.number);
    this.#line.done(attempt.delivery);
    this.#subscriber.next(handled);
    this.#pump();
    this.#completeIfDone();
    this.#unwatchIfDone();
  }

  #completeIfDone(): void {
    if (this.#sourceCompleted && this.#running.size === 0 && this.#line.length === 0) this.#subscriber.complete();
  }

  #unwatchIfDone(): void {
    if (!this.#stopped || this.#running.size > 0) return;
    for (const unwatch of this.#watched.values()) unwatch();
    this.#watched.clear();
  }
}
