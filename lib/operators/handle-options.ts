import type { Observable } from 'rxjs';
import type { Message, Settlement } from '../consumer/delivery';

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
  /**
   * Messages worked on at once. An Observable changes it while it runs: nothing starts before it emits; raising starts
   * more at once, lowering lets running work end, 0 starts nothing more; when it completes, its last value stays. When it
   * errors, emits what is no such number, or completes without a value, the stream errors with that.
   * @default Infinity: as many as the consumer's prefetch lets through
   */
  readonly concurrency?: number | Observable<number>;
  /**
   * What has to stay in order: messages of the same key (as the keys of a Map are the same) are worked on one after the
   * other, as they came; different keys, and those without one (`undefined`), side by side. A key is held until its work
   * has ended, its policy has decided, or its `timeout` has passed. A message that is requeued comes behind those of its
   * key that were delivered already. If `key` throws, the message has failed. @default none: all side by side
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
  /** Was the settlement accepted? `false`: the delivery was lost meanwhile; the message comes again. */
  readonly sent: boolean;
  /** What the work returned, if it succeeded. */
  readonly value?: R;
  /** Why the work failed, if it did. */
  readonly error?: unknown;
}
