import { isObservable, tap, throwIfEmpty, type Observable } from 'rxjs';
import { countFrom, expected, type Check } from '../options';

const fixed = countFrom(1);
const emitted = countFrom(0);

/** A number, or a stream of them. */
export const concurrency: Check = (value) =>
  isObservable(value) || fixed(value) === undefined
    ? undefined
    : `${fixed(value) ?? ''}, or an Observable of such numbers`;

/**
 * The same numbers, checked. Emits, completes and errors with `given$`; errors also with an OptionsError, when it emits
 * what is no concurrency, or completes before it emits.
 */
export function checkedLimits(given$: Observable<number>): Observable<number> {
  return given$.pipe(
    tap((limit) => {
      const wrong = emitted(limit);
      if (wrong !== undefined) throw expected('concurrency', `an Observable of which each value is ${wrong}`, limit);
    }),
    throwIfEmpty(() => expected('concurrency', 'an Observable that emits before it completes', undefined)),
  );
}
