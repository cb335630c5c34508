import { Observable, type OperatorFunction } from 'rxjs';
import { checkOptions, duration, integer, type Shape } from '../options';
import { Batching, type BatchOptions } from './batching';
import type { Delivery } from '../consumer/delivery';
import type { Batch } from './gathered-batch';

const BATCH: Shape<BatchOptions> = { size: integer(1, 2 ** 31 - 1), within: duration() };

/**
 * Gathers deliveries, to be dealt with and settled together: inserted in one statement, sent in one request.
 *
 * Emits: batches, of `size`, or what has come `within` ms of the first; never an empty one, and nothing that was settled
 * or lost before. Completes: with the source; what is gathered is emitted first. Errors: with the source; what is
 * gathered is released. Unsubscribe: what is gathered and was not emitted is released at once, as it is when the consumer
 * drains (`until`, `close()`) or is paused; batches that were emitted are yours to settle, for as long as the drain timeout
 * allows.
 *
 * @throws OptionsError if an option cannot be right
 * @example
 * consume(connection, { queue: 'readings', prefetch: 500 }).pipe(
 *   batch({ size: 200, within: 1000 }),
 *   concatMap(async (readings) => {
 *     await insert(readings.bodies);
 *     readings.ack();
 *   }),
 * );
 */
export function batch<T>(options: BatchOptions): OperatorFunction<Delivery<T>, Batch<T>> {
  checkOptions(options, BATCH, { of: 'batch()', required: ['size', 'within'] });
  return (source) =>
    new Observable((subscriber) => {
      const batching = new Batching(options, subscriber);
      // Before the source can emit: whoever has enough of what it emits at once is heard at once.
      subscriber.add(() => {
        batching.unsubscribed();
      });
      batching.gather(source);
    });
}
