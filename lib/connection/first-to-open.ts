import { EMPTY, Observable, Subject, switchMap, timer, Subscription } from 'rxjs';

/** ms after which a dial that has not opened gets a rival. */
export const RIVAL_AFTER = 1000;

/**
 * Dials the candidates until one opens, each once: the next when one failed, or beside it when it has not opened after
 * `RIVAL_AFTER`. When all are under way the last is tried once more beside itself: a dial begun inside a black hole
 * does not delay the way back. The first to open wins, the losers are unsubscribed.
 *
 * Cold. Emits: the winner's link. Errors: when all failed, with the error that `tell` chooses among theirs; after the
 * link, with the link's own error. Completes: never. Unsubscribe: ends every dial.
 */
export function firstToOpen<C, L>(
  candidates: readonly C[],
  dial: (candidate: C) => Observable<L>,
  tell: (errors: readonly unknown[]) => unknown,
): Observable<L> {
  return new Observable((subscriber) => {
    const last = candidates.at(-1);
    const waiting = last === undefined ? [] : [...candidates, last];
    const dials = new Map<number, Subscription>();
    const errors: unknown[] = [];
    let launched = 0;
    let winner: number | undefined;

    const launched$ = new Subject<void>();
    const rivals = launched$.pipe(switchMap(() => (waiting.length > 0 ? timer(RIVAL_AFTER) : EMPTY))).subscribe(() => {
      launch();
    });

    const launch = (): void => {
      const candidate = waiting.shift();
      if (candidate === undefined) return;
      const id = launched++;
      const attempt = new Subscription();
      dials.set(id, attempt);
      launched$.next();
      attempt.add(
        dial(candidate).subscribe({
          next: (link) => {
            winner = id;
            rivals.unsubscribe();
            for (const [other, subscription] of dials) if (other !== id) subscription.unsubscribe();
            subscriber.next(link);
          },
          error: (error: unknown) => {
            dials.delete(id);
            if (winner === id) subscriber.error(error);
            if (winner !== undefined) return;
            errors.push(error);
            // The last entry of `waiting` is the second try of one that failed already: no use without a rival.
            if (waiting.length > 1) launch();
            else if (dials.size === 0) subscriber.error(tell(errors));
          },
        }),
      );
    };

    if (last === undefined) subscriber.error(tell([]));
    else launch();
    return () => {
      rivals.unsubscribe();
      for (const attempt of dials.values()) attempt.unsubscribe();
    };
  });
}
