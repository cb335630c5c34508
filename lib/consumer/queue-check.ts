import { EMPTY, Observable, catchError, defer, exhaustMap, filter, ignoreElements, takeWhile, tap } from 'rxjs';
import type { QueuePresence } from '../transport/transport';
import { ConsumerError } from '../errors';
import { LONGEST } from '../options';

/**
 * Checks now and then that the queue of an idle consumer still exists. A broker that loses a queue should cancel its
 * consumers, and does not always: RabbitMQ 4.3 takes a queue that is deleted at the end of the broker's start for dead, and
 * removes only its record; the queue's process and its consumers stay (seen on 4.3.6).
 */
export class QueueCheck {
  readonly #after: number;
  #received = false;

  /** `after`: idle time in ms before a check (jittered up to 2×); 0: never. */
  constructor(after: number) {
    this.#after = after;
  }

  /** A message came. */
  received(): void {
    this.#received = true;
  }

  /**
   * Cold. `queueOf` returns the queue while the consumer is attached. Emits: nothing. Errors: CONSUMER_CANCELLED, when the
   * queue is missing. Completes: when the broker refuses the check.
   */
  watch(look: (queue: string) => Promise<QueuePresence>, queueOf: () => string | undefined): Observable<never> {
    if (this.#after === 0) return EMPTY;
    return ticks(this.#after).pipe(
      filter(() => this.#isIdle()),
      exhaustMap(() => {
        const queue = queueOf();
        return queue === undefined ? EMPTY : presenceOf(look, queue);
      }),
      takeWhile((presence) => presence !== 'hidden'),
      ignoreElements(),
    );
  }

  #isIdle(): boolean {
    const idle = !this.#received;
    this.#received = false;
    return idle;
  }
}

/** Emits every `ms` to twice that, at random, so that a thousand consumers do not ask at once. Keeps no process alive. */
function ticks(ms: number): Observable<void> {
  return new Observable((subscriber) => {
    let timer: NodeJS.Timeout;
    const next = (): void => {
      timer = setTimeout(
        () => {
          next();
          subscriber.next();
        },
        Math.min(ms * (1 + Math.random()), LONGEST),
      ).unref();
    };
    next();
    return () => {
      clearTimeout(timer);
    };
  });
}

function presenceOf(look: (queue: string) => Promise<QueuePresence>, queue: string): Observable<QueuePresence> {
  return defer(() => look(queue)).pipe(
    // A check that failed is repeated at the next tick.
    catchError(() => EMPTY),
    tap((presence) => {
      if (presence === 'missing') throw missing(queue);
    }),
  );
}

const missing = (queue: string): ConsumerError =>
  new ConsumerError(
    'CONSUMER_CANCELLED',
    queue,
    `Queue \`${queue}\` is gone, and the broker did not cancel its consumer.`,
  );
