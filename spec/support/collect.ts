import type { Observable, Subscription } from 'rxjs';

/** What a subscription has received so far. */
export interface Collected<T> {
  readonly values: readonly T[];
  /** What the Observable errored with; undefined if it did not. */
  readonly error: unknown;
  readonly completed: boolean;
  readonly subscription: Subscription;
}

/** Subscribes, and keeps every value. */
export function collect<T>(source: Observable<T>): Collected<T> {
  const values: T[] = [];
  const collected = { values, error: undefined as unknown, completed: false };
  const subscription = source.subscribe({
    next: (value) => {
      values.push(value);
    },
    error: (error: unknown) => {
      collected.error = error;
    },
    complete: () => {
      collected.completed = true;
    },
  });
  return Object.assign(collected, { subscription });
}
