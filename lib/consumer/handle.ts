import type { Observable, OperatorFunction } from 'rxjs';
import { Observable as RxObservable } from 'rxjs';
import { checkOptions, countFrom, duration, either, expected, func, oneOf, type Shape } from '../options';
import type { Delivery, Message, Settlement } from './delivery';
import { Handling } from './handling';

/** What work may return; of an Observable the last value counts. */
export type Work<R> = R | PromiseLike<R> | Observable<R>;

/**
 * What is done with one message. Its failure (a throw, a rejection, an error notification) concerns that message alone.
 * `signal` is aborted when the result cannot count any more: the delivery is lost, the time is up, the drain timeout
 * has passed.
 */
export type Worker<T, R> = (message: Message<T>, context: { readonly signal: AbortSignal }) => Work<R>;

/**
 * What becomes of a message whose work failed. 'requeue-once': requeue, and reject when it comes again. 'requeue': for
 * ever. 'reject': dead-letter or drop. 'fail': requeue it and end the stream with the error. A function decides by case;
 * if it fails itself, 'requeue-once' applies.
 */
export type ErrorPolicy<T> =
  | 'requeue-once'
  | 'requeue'
  | 'reject'
  | 'fail'
  | ((error: unknown, message: Message<T>) => Settlement | PromiseLike<Settlement>);

/** How much work at once, for how long, and what becomes of a failure. */
export interface HandleOptions<T> {
  /** Messages worked on at once. @default Infinity: as many as the consumer's prefetch lets through */
  readonly concurrency?: number;
  /** ms after which work counts as failed (WORK_TIMEOUT) and its signal is aborted. @default none */
  readonly timeout?: number;
  /** @default 'requeue-once' */
  readonly onError?: ErrorPolicy<T>;
}

/** What became of one message. */
export interface Handled<T, R> {
  readonly message: Message<T>;
  readonly settlement: Settlement;
  /** Was the settlement accepted? `false`: the delivery was lost meanwhile; the message comes again. */
  readonly sent: boolean;
  /** What the work returned, if it succeeded. */
  readonly value?: R;
  /** Why the work failed, if it did. */
  readonly error?: unknown;
}

const HANDLE: Shape<HandleOptions<never>> = {
  concurrency: countFrom(1),
  timeout: duration(1),
  onError: either(oneOf('requeue-once', 'requeue', 'reject', 'fail'), func),
};

/**
 * Works on deliveries and settles each by its outcome: ack when the work succeeded, by `onError` when it failed.
 *
 * Emits: for each message what became of it, in the order in which work ends. Completes: when the source has and all work
 * is done. Errors: with the source, or under the policy 'fail'. Unsubscribe: what is not started is released at once;
 * work under way goes on and settles, for as long as the drain timeout allows.
 *
 * @throws OptionsError if an option cannot be right
 * @example
 * consume(connection, { queue: 'orders' }).pipe(handle((order) => ship(order.body))).subscribe();
 */
export function handle<T, R>(work: Worker<T, R>, options: HandleOptions<T> = {}): OperatorFunction<Delivery<T>, Handled<T, R>> {
  if (typeof work !== 'function') throw expected('work', 'a function', work);
  checkOptions<HandleOptions<never>>(options, HANDLE, { of: 'handle()' });
  return (source) =>
    new RxObservable((subscriber) => {
      const handling = new Handling(work, options, subscriber);
      // Before the source can emit: whoever has enough of what it emits at once is heard at once.
      subscriber.add(() => {
        handling.unsubscribed();
      });
      handling.handle(source);
    });
}
