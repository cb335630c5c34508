import { catchError, concat, defer, finalize, ignoreElements, type Observable, throwError } from 'rxjs';
import { isError, sentenceOf } from '../errors';
import type { QueueScan } from './queue-scan';

/** Closes the scan behind what is read from it: before that completes or errors, and on unsubscribe. */
export function closingBehind<T>(read$: Observable<T>, scan: Pick<QueueScan, 'close'>): Observable<T> {
  const closed$ = defer(() => scan.close()).pipe(ignoreElements());
  const failing$ = read$.pipe(
    catchError((cause: unknown) => {
      const error = isError(cause) ? cause : new Error(sentenceOf(cause));
      return concat(
        closed$,
        throwError(() => error),
      );
    }),
  );
  return concat(failing$, closed$).pipe(finalize(() => void scan.close()));
}
