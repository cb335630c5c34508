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
