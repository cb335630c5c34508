import { jest } from '@jest/globals';
import { closeAll } from './closing';

/** Lets this much time pass, ms. */
export const later = (ms = 10): Promise<void> => jest.advanceTimersByTimeAsync(ms);

/** Runs each test of a file in virtual time. What it opened is closed behind it, for which `closing` ms pass. */
export function inVirtualTime(closing = 60_000): void {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(async () => {
    const closed = closeAll();
    await later(closing);
    await closed;
    jest.useRealTimers();
  });
}

/**
 * Runs each test of a file in virtual time that goes by itself, to the next timer as soon as nothing happens before it: seconds of
 * waiting take milliseconds. For tests that wait for timers alone, not for a socket, a file or a thread.
 */
export function withoutWaiting(): void {
  beforeEach(() => {
    jest.useFakeTimers();
    jest.setTimerTickMode({ mode: 'nextAsync' });
  });
  afterAll(() => {
    jest.useRealTimers();
  });
}
