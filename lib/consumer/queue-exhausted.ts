import { catchError, EMPTY, exhaustMap, filter, from, interval, map, type Observable, of, scan, take } from 'rxjs';

/** ms without a message after which the broker is asked whether there are more. */
const QUIET = 300;
/** ms without a message after which the rest counts as out of reach, though there are more: only others get them. */
const OUT_OF_REACH = 10_000;
const LOOK_EVERY = 100;
/** Answers in a row that there are no more: the counts of a quorum queue lag a little. */
const ANSWERS = 2;

/**
 * Finds out that a consumer has got what it can get from a queue. A pause proves nothing: a busy broker makes pauses of seconds, so it
 * is asked. `last`: when a message came, by the clock of `performance`; `ready`: how many messages the queue has.
 *
 * Cold. Emits: once. Completes: then. Errors: never.
 */
export function exhausted$(last: () => number, ready: () => Promise<number>): Observable<void> {
  const silent = (): number => performance.now() - last();
  return interval(LOOK_EVERY).pipe(
    filter(() => silent() > QUIET),
    exhaustMap(() =>
      silent() > OUT_OF_REACH
        ? of(ANSWERS)
        : from(ready()).pipe(
            map((messages) => (messages === 0 && silent() > QUIET ? 1 : -1)),
            // The channel of the consumer ends with its connection, and says why.
            catchError(() => EMPTY),
          ),
    ),
    scan((answers, answer) => (answer < 0 ? 0 : answers + answer), 0),
    filter((answers) => answers >= ANSWERS),
    map(() => undefined),
    take(1),
  );
}
