import { types } from 'node:util';
import { Subscription, isObservable, timer, type Observable } from 'rxjs';
import { ConsumerError } from '../errors';
import { ChannelDelivery, type DeliveryChannel } from '../consumer/channel-delivery';
import type { Delivery, Message } from '../consumer/delivery';
import type { Work, Worker } from './handle-options';

/** Where an attempt reports its end: one of the three. */
export interface AttemptEnd<T, R> {
  succeeded(attempt: Attempt<T, R>, value: R | undefined): void;
  failed(attempt: Attempt<T, R>, error: unknown): void;
  /** The delivery is lost. Neither its work nor the policy is waited for, though either may still be running. */
  gaveUp(attempt: Attempt<T, R>, reason: Error): void;
}

/** Work on one delivery, from its start to its first end: an outcome, its timeout, or giving up on it. */
export class Attempt<T, R> {
  /** Grows from attempt to attempt. */
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

  /** Observables can be stopped from outside, by unsubscribing; promises cannot. */
  get stoppable(): boolean {
    return this.#inner !== undefined;
  }

  run(work: Worker<T, R>, timeout: number | undefined): void {
    if (timeout !== undefined) {
      this.#deadline = timer(timeout).subscribe(() => {
        const error = timedOut(this.delivery, timeout);
        // First: work that ends because its signal is aborted has not done what it should.
        this.#finish();
        this.#context.abort(error);
        this.#end.failed(this, error);
      });
    }
    let result: Work<R>;
    try {
      result = work(this.delivery, this.#context);
      if (isRxObservable(result)) {
        this.#follow(result);
        return;
      }
      if (isPromiseLike<R>(result)) {
        this.#await(result);
        return;
      }
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#succeeded(result);
  }

  /** The delivery is lost, so the result cannot count any more. */
  abort(): void {
    this.#context.abort(lost(this));
  }

  /** Ends the attempt without waiting for its work or, if that has failed, for its policy. */
  giveUp(): void {
    this.#finish();
    this.abort();
    this.#end.gaveUp(this, lost(this));
  }

  /** As `await` does: a thenable may resolve with a promise. */
  #await(result: PromiseLike<R>): void {
    const failed = (error: unknown): void => {
      this.#failed(error);
    };
    try {
      result.then((value) => {
        if (isPromiseLike<R>(value)) this.#await(value);
        else this.#succeeded(value);
      }, failed);
    } catch (error) {
      failed(error);
    }
  }

  #follow(result$: Observable<R>): void {
    let last: R | undefined;
    // Made before the work can emit: work that ends synchronously is unsubscribed as well.
    this.#inner = new Subscription();
    const inner = result$.subscribe({
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
  }

  #succeeded(value: R | undefined): void {
    const notRun = whyNotRun(value);
    if (notRun !== undefined) this.#failed(notRun);
    else if (this.#finish()) this.#end.succeeded(this, value);
  }

  #failed(error: unknown): void {
    if (this.#finish()) this.#end.failed(this, error);
  }

  /** `true` for the first end. */
  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#deadline?.unsubscribe();
    this.#inner?.unsubscribe();
    return true;
  }
}

/** What work gets beside its message. Creates the signal only for work that reads it. */
class WorkContext {
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
    'The delivery was lost before it was settled: the broker delivers it again.',
  );
}

/** Is it an Observable? What throws when it is asked for a member that it does not have is none. */
export function isRxObservable(value: unknown): value is Observable<unknown> {
  try {
    return isObservable(value);
  } catch {
    return false;
  }
}

/** Will the work settle later? Judged by its shape: a promise may come from another realm or library. */
export const isPromiseLike = <V>(value: unknown): value is PromiseLike<V> =>
  ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
  typeof Reflect.get(value, 'then') === 'function';

/**
 * Why the result of work means that the work never ran: nothing subscribes to an Observable that a promise resolves with,
 * and nothing iterates a generator. Counted as success, the message would be acked with nothing done.
 */
export function whyNotRun(result: unknown): TypeError | undefined {
  if (typeof result !== 'object' || result === null) return undefined;
  if (isRxObservable(result)) {
    return new TypeError(
      'The work resolved with an Observable, and nothing subscribes to that. Return the Observable from a function that is not `async`, or await `lastValueFrom(…)`.',
    );
  }
  if (types.isGeneratorObject(result)) {
    return new TypeError(
      'The work returned a generator, and nothing iterates that. Use a function without `*`, or iterate inside the work.',
    );
  }
  return undefined;
}
