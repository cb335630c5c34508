import { TestScheduler, type RunHelpers } from 'rxjs/testing';

/** A fresh scheduler per test: virtual time carries over otherwise. */
export function marbles(test: (helpers: RunHelpers) => void): () => void {
  return () => {
    new TestScheduler((actual, expected) => {
      expect(actual).toEqual(expected);
    }).run(test);
  };
}
