import type { Observable, Subscription } from 'rxjs';

/** What came of a stream so far. */
export interface Gathered<T> {
  readonly values: readonly T[];
  /** What it ended with, if it failed. */
  readonly error: unknown;
  readonly completed: boolean;
  readonly subscription: Subscription;
}

/** Subscribes and keeps all that comes. */
export function gather<T>(source: Observable<T>): Gathered<T> {
  const values: T[] = [];
  const gathered = { values, error: undefined as unknown, completed: false };
  const subscription = source.subscribe({
    next: (value) => {
      values.push(value);
    },
    error: (error: unknown) => {
      gathered.error = error;
    },
    complete: () => {
      gathered.completed = true;
    },
  });
  return Object.assign(gathered, { subscription });
}
