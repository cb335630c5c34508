import { Observable, type OperatorFunction } from 'rxjs';
import { checkOptions, duration, either, expected, func, oneOf, type Shape } from '../options';
import { concurrency } from './concurrency';
import type { Delivery } from '../consumer/delivery';
import { Handling } from './handling';
import type { HandleOptions, Handled, Worker } from './handle-options';

const HANDLE: Shape<HandleOptions<never>> = {
  concurrency,
  key: func,
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
export function handle<T, R>(
  work: Worker<T, R>,
  options: HandleOptions<T> = {},
): OperatorFunction<Delivery<T>, Handled<T, R>> {
  checkHandling(work, options);
  return (source) =>
    new Observable((subscriber) => {
      const handling = new Handling(work, options, subscriber);
      // Before the source can emit: whoever has enough of what it emits at once is heard at once.
      subscriber.add(() => {
        handling.unsubscribed();
      });
      handling.handle(source);
    });
}

/** @throws OptionsError if the work or an option cannot be right */
export function checkHandling<T, R>(work: Worker<T, R>, options: HandleOptions<T>): void {
  if (typeof work !== 'function') throw expected('work', 'a function', work);
  checkOptions<HandleOptions<never>>(options, HANDLE, { of: 'handle()' });
}
