import { Observable, firstValueFrom, from, race, type ObservableInput } from 'rxjs';
import { isolated } from './isolated';

/** The shared listener of every signal in use. Weak: a signal that is never aborted can still be collected. */
const shared = new WeakMap<AbortSignal, SharedListener>();

/**
 * Calls `aborted` when `signal` is aborted. A signal that is aborted already never calls it. Returns how to stop listening.
 *
 * A signal gets one listener from this library, however many sends, producers and requests share it: from the eleventh on
 * Node warns of a leak (MaxListenersExceededWarning).
 */
export function onAbort(signal: AbortSignal, aborted: () => void): () => void {
  return (shared.get(signal) ?? new SharedListener(signal)).add(aborted);
}

class SharedListener {
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<{ readonly aborted: () => void }>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#abort);
    shared.set(signal, this);
  }

  add(aborted: () => void): () => void {
    // An object of its own, because the same function may be added twice.
    const waiting = { aborted };
    this.#waiting.add(waiting);
    return () => {
      if (this.#waiting.delete(waiting) && this.#waiting.size === 0) this.#remove();
    };
  }

  readonly #abort = (): void => {
    this.#remove();
    for (const waiting of this.#waiting) {
      this.#waiting.delete(waiting);
      isolated(waiting.aborted);
    }
  };

  #remove(): void {
    this.#signal.removeEventListener('abort', this.#abort);
    shared.delete(this.#signal);
  }
}

/**
 * The first value of `values`. Rejects: with the error of `values`, EmptyError if it has no value, or with the signal's reason
 * as soon as that is aborted.
 */
export function firstUnlessAborted<T>(values: ObservableInput<T>, signal: AbortSignal): Promise<T> {
  const aborted$ = new Observable<never>((subscriber) => {
    const fail = (): void => {
      subscriber.error(signal.reason);
    };
    if (signal.aborted) fail();
    return signal.aborted ? undefined : onAbort(signal, fail);
  });
  return firstValueFrom(race(aborted$, from(values)));
}
