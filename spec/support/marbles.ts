import { TestScheduler, type RunHelpers } from 'rxjs/testing';

/** Runs a test in virtual time. Each test has its own scheduler, because virtual time carries over otherwise. */
export function marbles(test: (helpers: RunHelpers) => void): () => void {
  return () => {
    new TestScheduler((actual, expected) => {
      expect(actual).toEqual(expected);
    }).run(test);
  };
}
