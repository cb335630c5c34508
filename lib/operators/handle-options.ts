import { isObservable, tap, throwIfEmpty, type Observable } from 'rxjs';
import { checkOptions, countFrom, duration, either, expected, func, oneOf, type Check, type Shape } from '../options';
import type { Message, Settlement } from '../consumer/delivery';
import type { ErrorPolicy } from './error-policy';

/** What work may return. Of an Observable the last value counts; a promise of an Observable, or a generator, fails. */
export type Work<R> = R | PromiseLike<R> | Observable<R>;

/**
 * Works on one message. If it fails (throws, rejects or errors), that concerns this message alone. `signal` is aborted when
 * the result cannot count any more: the delivery is lost, `timeout` has passed, or the drain timeout has.
 */
export type Worker<T, R> = (message: Message<T>, context: { readonly signal: AbortSignal }) => Work<R>;

/** How much work runs at once, how long it may take, and how a failure is settled. */
export interface HandleOptions<T> {
  /**
   * Messages worked on at once. An Observable changes the limit at runtime: nothing starts before its first value, raising
   * starts more at once, lowering lets running work end, 0 starts nothing more. When it completes, its last value stays.
   * When it errors, emits anything else, or completes without a value, the stream errors.
   * @default Infinity: as many as the consumer's prefetch lets through
   */
  readonly concurrency?: number | Observable<number>;
  /**
   * Keeps order: messages with the same key are worked on one after the other, in the order of delivery. Messages with
   * different keys, or without one (`undefined`), run side by side. Keys are compared as those of a Map are: an array or object
   * made anew for each message is a key of its own. A key is held until its work has ended and its policy has decided, or until
   * `timeout`. A requeued message comes after those of its key that were already delivered. If `key` throws, or returns a
   * promise, the message has failed. @default none: all side by side; the partition, for messages of a partitioned queue
   */
  readonly key?: (message: Message<T>) => unknown;
  /** ms after which work counts as failed (WORK_TIMEOUT) and its signal is aborted. @default none */
  readonly timeout?: number;
  /** @default 'requeue-once' */
  readonly onError?: ErrorPolicy<T>;
}

/** What became of one message. */
export interface Handled<T, R> {
  readonly message: Message<T>;
  readonly settlement: Settlement;
  /** Was the settlement accepted? `false`: the delivery was lost before, and the broker delivers the message again. */
  readonly sent: boolean;
  /** What the work returned, if it succeeded. */
  readonly value?: R;
  /** Why the work failed, if it did. */
  readonly error?: unknown;
}

const fixedLimit = countFrom(1);
const emittedLimit = countFrom(0);
const concurrency: Check = (value) =>
  isObservable(value) || fixedLimit(value) === undefined
    ? undefined
    : `${fixedLimit(value) ?? ''}, or an Observable of such numbers`;

const HANDLE: Shape<HandleOptions<never>> = {
  concurrency,
  key: func,
  timeout: duration(1),
  onError: either(oneOf('requeue-once', 'requeue', 'reject', 'fail'), func),
};

/** @throws OptionsError if the work or an option cannot be right */
export function checkHandling<T, R>(work: Worker<T, R>, options: HandleOptions<T>): void {
  if (typeof work !== 'function') throw expected('work', 'a function', work);
  checkOptions<HandleOptions<never>>(options, HANDLE, { of: 'handle()' });
}

/**
 * The limits that `limit$` emits, checked. Completes with it. Errors: with it; OptionsError when it emits anything that is no
 * limit, or completes without a value.
 */
export function checkedLimits(limit$: Observable<number>): Observable<number> {
  return limit$.pipe(
    tap((limit) => {
      const wrong = emittedLimit(limit);
      if (wrong !== undefined) throw expected('concurrency', `an Observable of which each value is ${wrong}`, limit);
    }),
    throwIfEmpty(() => expected('concurrency', 'an Observable that emits before it completes', undefined)),
  );
}
