import { catchError, concat, defer, finalize, ignoreElements, Observable, throwError } from 'rxjs';
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

/**
 * Opens a scan, and reads it. Closes it if its reader has left meanwhile: nothing else would, and the connection waits for it when it is
 * closed itself.
 */
export function opening<S extends Pick<QueueScan, 'close'>, T>(
  open: () => Promise<S>,
  read: (scan: S) => Observable<T>,
): Observable<T> {
  return new Observable((subscriber) => {
    open().then(
      (scan) => {
        if (subscriber.closed) void scan.close();
        else defer(() => read(scan)).subscribe(subscriber);
      },
      (error: unknown) => {
        subscriber.error(error);
      },
    );
  });
}
