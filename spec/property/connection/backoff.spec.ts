import fc from 'fast-check';
import { backoffDelay } from '../../../lib/connection/backoff';

const MAX = 2 ** 31 - 1;
const options = fc
  .record({
    min: fc.integer({ min: 0, max: 100_000 }),
    max: fc.integer({ min: 0, max: MAX }),
    factor: fc.double({ min: 1, max: 100, noNaN: true }),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map((given) => ({ ...given, max: Math.max(given.min, given.max) }));
const attempt = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('a delay', () => {
  it('lies within its envelope, and is a number of ms that a timer takes', () => {
    fc.assert(
      fc.property(options, attempt, random, fc.boolean(), (given, nth, drawn, slowly) => {
        const delay = backoffDelay(given, nth, { slowly, random: () => drawn });
        const { min, max, factor, jitter } = given;
        const power = factor ** (nth - 1);
        const bound = min === 0 ? 0 : Math.min(max, min * (slowly ? 10 : 1) * power);
        const share = slowly ? jitter / 2 : jitter;
        expect(Number.isInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(Math.floor(bound * (1 - share)));
        expect(delay).toBeLessThanOrEqual(Math.ceil(bound));
        expect(delay).toBeLessThanOrEqual(MAX);
      }),
      { numRuns: 1000 },
    );
  });

  it('is never shorter than that of an earlier attempt, but for what is random', () => {
    fc.assert(
      fc.property(options, fc.integer({ min: 1, max: 1000 }), random, (given, nth, drawn) => {
        const at = (n: number): number => backoffDelay(given, n, { random: () => drawn });
        expect(at(nth + 1)).toBeGreaterThanOrEqual(at(nth));
      }),
    );
  });

  it('comes within `min` the first time', () => {
    fc.assert(
      fc.property(options, random, (given, drawn) => {
        expect(backoffDelay(given, 1, { random: () => drawn })).toBeLessThanOrEqual(given.min);
      }),
    );
  });

  it('of the wary kind is never short, and never shorter than half of its bound', () => {
    fc.assert(
      fc.property(options, attempt, random, (given, nth, drawn) => {
        const exact = backoffDelay({ ...given, jitter: 0 }, nth, { slowly: true });
        expect(backoffDelay(given, nth, { slowly: true, random: () => drawn })).toBeGreaterThanOrEqual(
          Math.floor(exact / 2),
        );
      }),
    );
  });
});
