import { Observable, Subject, switchMap, timer, Subscription } from 'rxjs';

/** ms after which another dial starts beside one that has not opened. */
export const RIVAL_AFTER = 1000;

/**
 * Dials the candidates until one opens. The next dial starts when one has failed, or has not opened after `RIVAL_AFTER`. When all
 * candidates are being dialled, one further dial (the rival) runs beside them, and every `RIVAL_AFTER` a new one replaces it, in
 * rotation: dials that began while packets were dropped may never be answered, and must not delay recovery. The first dial of each
 * candidate keeps its full time, for slow brokers. The first to open wins, and the others are unsubscribed.
 *
 * Cold. Emits: the winner's link. Errors: when the first dial of each candidate failed, with the error that `tell` chooses
 * among all; after the link, with the link's own error. Completes: never. Unsubscribe: ends every dial.
 */
export function happyEyeballs<C, L>(
  candidates: readonly C[],
  dial: (candidate: C) => Observable<L>,
  tell: (errors: readonly unknown[]) => unknown,
): Observable<L> {
  return new Observable((subscriber) => {
    const waiting = [...candidates];
    const turns = [...candidates];
    const firsts = new Set<Subscription>();
    let rival: Subscription | undefined;
    let winner: Subscription | undefined;
    const errors: unknown[] = [];

    const launched$ = new Subject<void>();
    const rivals = launched$.pipe(switchMap(() => timer(RIVAL_AFTER))).subscribe(() => {
      if (waiting.length > 0) launchNext();
      else launchRival();
    });

    const launchNext = (): void => {
      const candidate = waiting.shift();
      if (candidate === undefined) return;
      const attempt = new Subscription();
      firsts.add(attempt);
      launch(candidate, attempt);
    };
    const launchRival = (): void => {
      const candidate = turns.shift();
      if (candidate === undefined) return;
      turns.push(candidate);
      rival?.unsubscribe();
      rival = new Subscription();
      launch(candidate, rival);
    };

    const launch = (candidate: C, attempt: Subscription): void => {
      launched$.next();
      attempt.add(
        dial(candidate).subscribe({
          next: (link) => {
            winner = attempt;
            rivals.unsubscribe();
            for (const loser of [...firsts, rival]) if (loser !== attempt) loser?.unsubscribe();
            subscriber.next(link);
          },
          error: (error: unknown) => {
            if (winner === attempt) subscriber.error(error);
            if (winner !== undefined) return;
            errors.push(error);
            // A failed rival is replaced by the timer only. Where dials fail at once, the first ones fail too.
            if (!firsts.delete(attempt)) return;
            if (waiting.length > 0) launchNext();
            else if (firsts.size === 0) subscriber.error(tell(errors));
          },
        }),
      );
    };

    if (candidates.length === 0) subscriber.error(tell([]));
    else launchNext();
    return () => {
      rivals.unsubscribe();
      for (const attempt of [...firsts, rival]) attempt?.unsubscribe();
    };
  });
}
