import { config } from 'rxjs';

/**
 * What would be an uncaught exception in the tests of the caller's scope: errors that RxJS reports, and errors thrown in a
 * callback of `setImmediate`, which is how the library reports those of listeners. The list is emptied before each test.
 */
export function uncaughtErrors(): readonly unknown[] {
  const uncaught: unknown[] = [];
  beforeEach(() => {
    uncaught.length = 0;
    config.onUnhandledError = (error) => {
      uncaught.push(error);
    };
    const { setImmediate: original } = globalThis;
    jest.spyOn(globalThis, 'setImmediate').mockImplementation((callback, ...args) =>
      original(() => {
        try {
          callback(...args);
        } catch (error) {
          uncaught.push(error);
        }
      }),
    );
  });
  afterEach(() => {
    config.onUnhandledError = null;
    jest.restoreAllMocks();
  });
  return uncaught;
}
