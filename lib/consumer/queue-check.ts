import { EMPTY, Observable, catchError, defer, exhaustMap, filter, ignoreElements, takeWhile, tap } from 'rxjs';
import type { QueuePresence } from '../transport/transport';
import { ConsumerError } from '../errors';
import { LONGEST } from '../options';

/**
 * Whether a consumer that hears nothing still has a queue. A broker that loses one should cancel its consumers, and does not
 * always: one that is deleted in the last moments of a start of RabbitMQ 4.3 is taken for dead, and only what is known of
 * it goes; its process and the consumers stay, without a name (seen on 4.3.6).
 */
export class QueueCheck {
  readonly #after: number;
  #heard = false;

  /** Looks after so many ms without a message, up to twice as many; 0: never. */
  constructor(after: number) {
    this.#after = after;
  }

  /** A message came. */
  heard(): void {
    this.#heard = true;
  }

  /**
   * Cold. `queueOf` names the queue while there is something to look for. Emits: nothing. Errors: CONSUMER_CANCELLED, when
   * it is missing. Completes: when nobody may look.
   */
  watch(look: (queue: string) => Promise<QueuePresence>, queueOf: () => string | undefined): Observable<never> {
    if (this.#after === 0) return EMPTY;
    return ticks(this.#after).pipe(
      filter(() => this.#quiet()),
      exhaustMap(() => {
        const queue = queueOf();
        return queue === undefined ? EMPTY : told(look, queue);
      }),
      takeWhile((presence) => presence !== 'hidden'),
      ignoreElements(),
    );
  }

  #quiet(): boolean {
    const quiet = !this.#heard;
    this.#heard = false;
    return quiet;
  }
}

/** Every `ms` to twice that, lest a thousand consumers ask in one moment. It keeps no process alive. */
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

function told(look: (queue: string) => Promise<QueuePresence>, queue: string): Observable<QueuePresence> {
  return defer(() => look(queue)).pipe(
    // Who could not find out looks again later.
    catchError(() => EMPTY),
    tap((presence) => {
      if (presence === 'missing') throw forgotten(queue);
    }),
  );
}

const forgotten = (queue: string): ConsumerError =>
  new ConsumerError(
    'CONSUMER_CANCELLED',
    queue,
    `Queue \`${queue}\` is gone, and its consumer with it, though the broker did not say so.`,
  );
