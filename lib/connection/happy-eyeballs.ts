import { Observable, Subject, switchMap, timer, Subscription } from 'rxjs';

/** ms after which a dial that has not opened gets a rival. */
export const RIVAL_AFTER = 1000;

/**
 * Dials the candidates until one opens: the next when one failed, or beside it when it has not opened after `RIVAL_AFTER`.
 * When all are under way one more is tried beside them, each `RIVAL_AFTER` a fresh one in its place, in turns: of dials
 * begun inside a black hole none is ever answered, and they must not delay the way back; a slow broker is not hurried,
 * since the first dial of each candidate keeps its time. The first to open wins, the losers are unsubscribed.
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
            // A rival has no successor but by the clock: where dials fail at once, the first ones do too.
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
