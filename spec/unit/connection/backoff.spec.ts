import { backoffDelay } from '../../../lib/connection/backoff';

const exact = { min: 100, max: 1000, factor: 2, jitter: 0 };
const delays = (options: Parameters<typeof backoffDelay>[0], more?: Parameters<typeof backoffDelay>[2]): number[] =>
  [1, 2, 3, 4, 5, 6].map((attempt) => backoffDelay(options, attempt, more));

describe('the delay before an attempt', () => {
  it('grows by the factor from `min` to `max`', () => {
    expect(delays(exact)).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  it('stays the same with the factor 1', () => {
    expect(delays({ ...exact, factor: 1 })).toEqual([100, 100, 100, 100, 100, 100]);
  });

  it('is drawn from the whole range with full jitter', () => {
    expect(delays({ ...exact, jitter: 1 }, { random: () => 0 })).toEqual([0, 0, 0, 0, 0, 0]);
    expect(delays({ ...exact, jitter: 1 }, { random: () => 0.5 })).toEqual([50, 100, 200, 400, 500, 500]);
  });

  it('keeps the share that is not random', () => {
    expect(delays({ ...exact, jitter: 0.25 }, { random: () => 0 })).toEqual([75, 150, 300, 600, 750, 750]);
  });

  it('is ten times as long, and half of it fixed, for what only a human can mend', () => {
    expect(delays({ ...exact, max: 30_000 }, { slowly: true })).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000]);
    expect(backoffDelay({ ...exact, max: 30_000, jitter: 1 }, 1, { slowly: true, random: () => 0 })).toBe(500);
  });

  it('is `max` after an outage of any length', () => {
    expect(backoffDelay(exact, 1_000_000)).toBe(1000);
    expect(backoffDelay({ ...exact, factor: 100 }, 1_000_000)).toBe(1000);
  });

  it('is nothing for ever with `min: 0`, and always a number', () => {
    expect(backoffDelay({ ...exact, min: 0 }, 1)).toBe(0);
    expect(backoffDelay({ ...exact, min: 0 }, 1_000_000)).toBe(0);
  });
});
