import { Subject, Subscription, isObservable, takeUntil, timer, type Observable, type Subscriber } from 'rxjs';
import { ConsumerError } from '../errors';
import { DEFAULTS, expected, oneOf } from '../options';
import { ChannelDelivery, type DeliveryChannel } from './channel-delivery';
import type { Delivery, Message, Settlement } from './delivery';
import type { HandleOptions, Handled, Worker } from './work';

/** Makes a signal only for work that asks for one. */
class Context {
  #controller: AbortController | undefined;
  #reason: Error | undefined;
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }
  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}

/** Work under way. `finish` counts once: the outcome, the timeout or the end of waiting. */
interface Running<T> {
  readonly delivery: Delivery<T>;
  readonly channel: DeliveryChannel | undefined;
  readonly context: Context;
  /** Can it be stopped from outside? Observables can: they are unsubscribed. */
  readonly stoppable: () => boolean;
  readonly giveUp: (reason: Error) => void;
}

/**
 * One subscription of `handle()`. It keeps its own queue, because that of `mergeMap` is stranded on unsubscribe, and
 * settles in the promise of the work, because a pipe that nobody listens to any more loses the result.
 */
export class Handling<T, R> {
  readonly #work: Worker<T, R>;
  readonly #options: HandleOptions<T>;
  readonly #subscriber: Subscriber<Handled<T, R>>;
  readonly #concurrency: number;
  #queue: Delivery<T>[] = [];
  readonly #running = new Set<Running<T>>();
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
    this.#concurrency = options.concurrency ?? Infinity;
  }

  handle(source: Observable<Delivery<T>>): void {
    source.pipe(takeUntil(this.#stop$)).subscribe({
      next: (delivery) => {
        this.#watch(ChannelDelivery.channelOf(delivery));
        this.#queue.push(delivery);
        this.#pump();
      },
      error: (error: unknown) => {
        this.#subscriber.error(error);
      },
      complete: () => {
        if (this.#stopped) return;
        this.#sourceCompleted = true;
        for (const entry of this.#running) if (entry.channel?.ended) entry.giveUp(lost(entry));
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

  #watch(channel: DeliveryChannel | undefined): void {
    if (!channel || this.#watched.has(channel) || channel.ended) return;
    const { concurrency } = this.#options;
    if (concurrency !== undefined && concurrency !== Infinity && concurrency > channel.prefetch) {
      channel.log.warn({ concurrency, prefetch: channel.prefetch }, 'concurrency above prefetch is never reached');
    }
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
    for (const entry of this.#running) {
      if (entry.channel !== channel || entry.delivery.settled !== 'lost') continue;
      entry.context.abort(lost(entry));
      // No other message will come: waiting for work that ignores its signal would hang the whole stream.
      if (this.#sourceCompleted || this.#stopped || entry.stoppable()) entry.giveUp(lost(entry));
    }
  }

  #release(which: (delivery: Delivery<T>) => boolean): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const delivery of queue) {
      if (which(delivery)) delivery.release();
      else this.#queue.push(delivery);
    }
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (!this.#stopped && this.#running.size < this.#concurrency) {
      const delivery = this.#queue.shift();
      if (!delivery) break;
      // Lost, or settled by somebody else, while it waited.
      if (delivery.settled === undefined) this.#start(delivery);
    }
    this.#pumping = false;
  }

  #start(delivery: Delivery<T>): void {
    const context = new Context();
    let over = false;
    let inner: Subscription | undefined;
    const resources = new Subscription();
    const finish = (settle: () => void): void => {
      if (over) return;
      over = true;
      resources.unsubscribe();
      settle();
    };
    const failed = (error: unknown): void => {
      finish(() => {
        void this.#failed(entry, error);
      });
    };
    const succeeded = (value: R | undefined): void => {
      finish(() => {
        this.#emit(entry, {
          message: delivery,
          settlement: 'ack',
          sent: delivery.ack(),
          ...(value !== undefined && { value }),
        });
      });
    };
    const entry: Running<T> = {
      delivery,
      channel: ChannelDelivery.channelOf(delivery),
      context,
      stoppable: () => inner !== undefined,
      giveUp: (error) => {
        finish(() => {
          this.#emit(entry, { message: delivery, settlement: 'requeue', sent: false, error });
        });
      },
    };
    this.#running.add(entry);
    const { timeout } = this.#options;
    if (timeout !== undefined) {
      const deadline = timer(timeout).subscribe(() => {
        const error = timedOut(delivery, timeout);
        context.abort(error);
        failed(error);
      });
      resources.add(deadline);
    }
    try {
      const result = this.#work(delivery, context);
      if (isObservable(result)) {
        let last: R | undefined;
        inner = result.subscribe({
          next: (value) => {
            last = value;
          },
          error: failed,
          complete: () => {
            succeeded(last);
          },
        });
        resources.add(inner);
      } else if (isPromiseLike(result)) result.then(succeeded, failed);
      else succeeded(result);
    } catch (error) {
      failed(error);
    }
  }

  async #failed(entry: Running<T>, error: unknown): Promise<void> {
    const { delivery } = entry;
    const policy = this.#options.onError ?? DEFAULTS.onError;
    let settlement: Settlement;
    let told = error;
    if (typeof policy === 'function') {
      try {
        settlement = decided(await policy(error, delivery));
      } catch (policyError) {
        told = new AggregateError([error, policyError], 'The work failed, and the error policy too.');
        settlement = requeueOnce(delivery);
      }
    } else settlement = policy === 'requeue-once' ? requeueOnce(delivery) : policy === 'reject' ? 'reject' : 'requeue';
    const sent = settleBy(delivery, settlement);
    if (policy === 'fail') {
      this.#running.delete(entry);
      this.#subscriber.error(error);
      return;
    }
    this.#emit(entry, { message: delivery, settlement, sent, error: told });
  }

  /** Before the next is started, so that results come in the order in which work ends. */
  #emit(entry: Running<T>, handled: Handled<T, R>): void {
    this.#running.delete(entry);
    this.#subscriber.next(handled);
    this.#pump();
    this.#completeIfDone();
    this.#unwatchIfDone();
  }

  #completeIfDone(): void {
    if (this.#sourceCompleted && this.#running.size === 0 && this.#queue.length === 0) this.#subscriber.complete();
  }

  #unwatchIfDone(): void {
    if (!this.#stopped || this.#running.size > 0) return;
    for (const unwatch of this.#watched.values()) unwatch();
    this.#watched.clear();
  }
}

const isPromiseLike = <V>(value: unknown): value is PromiseLike<V> =>
  typeof value === 'object' && value !== null && typeof Reflect.get(value, 'then') === 'function';

const requeueOnce = (message: Message<unknown>): Settlement =>
  message.redelivered || message.deliveryCount > 0 ? 'reject' : 'requeue';

const settlementCheck = oneOf('ack', 'requeue', 'release', 'reject');

/** What a policy returned: anything else would leave the delivery open for ever. */
function decided(settlement: Settlement): Settlement {
  const wrong = settlementCheck(settlement);
  if (wrong !== undefined) throw expected('onError()', wrong, settlement);
  return settlement;
}

function settleBy(delivery: Delivery<unknown>, how: Settlement): boolean {
  switch (how) {
    case 'ack':
      return delivery.ack();
    case 'requeue':
      return delivery.requeue();
    case 'release':
      return delivery.release();
    case 'reject':
      return delivery.reject();
  }
}

function timedOut({ queue }: Message<unknown>, timeout: number): ConsumerError {
  return new ConsumerError(
    'WORK_TIMEOUT',
    queue,
    `Work on a message of queue \`${queue}\` took longer than ${String(timeout)} ms (\`timeout\`).`,
  );
}

function lost({ delivery, channel }: Running<unknown>): Error {
  if (channel?.cause) return channel.cause;
  return new ConsumerError(
    'CONSUMER_CANCELLED',
    delivery.queue,
    'The delivery was lost before it was settled: it comes again.',
  );
}
