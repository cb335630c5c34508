import { Subscription, isObservable, timer } from 'rxjs';
import { ConsumerError } from '../errors';
import { ChannelDelivery, type DeliveryChannel } from '../consumer/channel-delivery';
import type { Delivery, Message } from '../consumer/delivery';
import type { Worker } from './handle-options';
import { WorkContext } from './work-context';

/** Who is told how an attempt ended: one of the three, once. */
export interface AttemptEnd<T, R> {
  succeeded(attempt: Attempt<T, R>, value: R | undefined): void;
  failed(attempt: Attempt<T, R>, error: unknown): void;
  /** Nobody waits for it any longer; it may still run. */
  gaveUp(attempt: Attempt<T, R>, reason: Error): void;
}

/** Work on one delivery, from its start to whatever ends it first: its outcome, its timeout, or the end of waiting. */
export class Attempt<T, R> {
  /** Grows from one to the next. */
  readonly number: number;
  readonly delivery: Delivery<T>;
  readonly channel: DeliveryChannel | undefined;
  readonly #end: AttemptEnd<T, R>;
  readonly #context = new WorkContext();
  #deadline: Subscription | undefined;
  #inner: Subscription | undefined;
  #over = false;

  constructor(number: number, delivery: Delivery<T>, end: AttemptEnd<T, R>) {
    this.number = number;
    this.delivery = delivery;
    this.channel = ChannelDelivery.channelOf(delivery);
    this.#end = end;
  }

  /** Can it be stopped from outside? Observables can: they are unsubscribed. */
  get stoppable(): boolean {
    return this.#inner !== undefined;
  }

  run(work: Worker<T, R>, timeout: number | undefined): void {
    if (timeout !== undefined) {
      this.#deadline = timer(timeout).subscribe(() => {
        const error = timedOut(this.delivery, timeout);
        this.#context.abort(error);
        this.#failed(error);
      });
    }
    try {
      const result = work(this.delivery, this.#context);
      if (isObservable(result)) {
        let last: R | undefined;
        // Before it can emit: what ends at once is let go at once.
        this.#inner = new Subscription();
        const inner = result.subscribe({
          next: (value) => {
            last = value;
          },
          error: (error: unknown) => {
            this.#failed(error);
          },
          complete: () => {
            this.#succeeded(last);
          },
        });
        this.#inner.add(inner);
      } else if (isPromiseLike(result)) {
        result.then(
          (value) => {
            this.#succeeded(value);
          },
          (error: unknown) => {
            this.#failed(error);
          },
        );
      } else this.#succeeded(result);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The delivery is lost: its result cannot count any more. */
  abort(): void {
    this.#context.abort(lost(this));
  }

  /** No other message will come, or it can be stopped: no use in waiting for it. */
  giveUp(): void {
    if (this.#finish()) this.#end.gaveUp(this, lost(this));
  }

  #succeeded(value: R | undefined): void {
    if (this.#finish()) this.#end.succeeded(this, value);
  }

  #failed(error: unknown): void {
    if (this.#finish()) this.#end.failed(this, error);
  }

  /** `true` for the first of all ends. */
  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#deadline?.unsubscribe();
    this.#inner?.unsubscribe();
    return true;
  }
}

/** Will it have a value later? */
export const isPromiseLike = <V>(value: unknown): value is PromiseLike<V> =>
  typeof value === 'object' && value !== null && typeof Reflect.get(value, 'then') === 'function';

function timedOut({ queue }: Message<unknown>, timeout: number): ConsumerError {
  return new ConsumerError(
    'WORK_TIMEOUT',
    queue,
    `Work on a message of queue \`${queue}\` took longer than ${String(timeout)} ms (\`timeout\`).`,
  );
}

function lost({ delivery, channel }: Attempt<unknown, unknown>): Error {
  if (channel?.cause) return channel.cause;
  return new ConsumerError(
    'CONSUMER_CANCELLED',
    delivery.queue,
    'The delivery was lost before it was settled: it comes again.',
  );
}
