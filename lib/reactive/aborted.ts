import { Observable, firstValueFrom, from, ignoreElements, race, tap, type ObservableInput } from 'rxjs';

/** Cold. Emits: once, when `signal` is aborted, or at once if it is; then completes. Errors: never. */
export function whenAborted(signal: AbortSignal): Observable<void> {
  return new Observable((subscriber) => {
    const tell = (): void => {
      subscriber.next();
      subscriber.complete();
    };
    if (signal.aborted) {
      tell();
      return undefined;
    }
    signal.addEventListener('abort', tell, { once: true });
    return () => {
      signal.removeEventListener('abort', tell);
    };
  });
}

/** The first value, or the rejection with the signal's reason if that comes first: then nobody waits any longer. */
export function firstUnlessAborted<T>(values: ObservableInput<T>, signal: AbortSignal): Promise<T> {
  const aborted$ = whenAborted(signal).pipe(
    tap(() => {
      signal.throwIfAborted();
    }),
    ignoreElements(),
  );
  return firstValueFrom(race(aborted$, from(values)));
}
