import fc from 'fast-check';
import {
  HIGHEST,
  LONGEST_DELAY,
  LOWEST,
  landingOf,
  levelHeaders,
  planOf,
  resolutionOf,
} from '../../../lib/delay/levels';

const sumOf = (levels: readonly number[]): number => levels.reduce((sum, level) => sum + 2 ** level, 0);
/** Each order of magnitude has its share. */
const delay = fc.double({ min: 0, max: 1, noNaN: true }).map((x) => Math.max(1, LONGEST_DELAY ** x));

describe('the levels of a delay', () => {
  it('make it up, and no more than its resolution on top', () => {
    fc.assert(
      fc.property(delay, (ms) => {
        const { levels } = planOf(ms);
        expect(sumOf(levels)).toBeGreaterThanOrEqual(Math.min(ms, LONGEST_DELAY));
        expect(sumOf(levels) - ms).toBeLessThan(2 ** resolutionOf(ms));
      }),
    );
  });

  it('are each passed once, from the largest to the smallest', () => {
    fc.assert(
      fc.property(delay, (ms) => {
        const { levels, top, bottom } = planOf(ms);
        expect(levels).toEqual([...new Set(levels)].sort((a, b) => b - a));
        expect([top, bottom]).toEqual([levels[0], levels.at(-1)]);
        expect(bottom).toBeGreaterThanOrEqual(LOWEST);
        expect(top).toBeLessThanOrEqual(HIGHEST);
      }),
    );
  });

  it.each([
    ['a second', 1000, 16, 7],
    ['a minute', 60_000, 512, 7],
    ['an hour', 3_600_000, 512, 13],
    ['a day', 86_400_000, 1024, 17],
    ['8 years', 8 * 366 * 86_400_000, 1024, 28],
  ])('up to %s resolve as stated, and are as few as stated', (_, longest, resolution, most) => {
    expect(2 ** resolutionOf(longest)).toBeLessThanOrEqual(resolution);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: longest }), (ms) => {
        expect(planOf(ms).levels.length).toBeLessThanOrEqual(most);
        expect(2 ** resolutionOf(ms)).toBeLessThanOrEqual(resolution);
      }),
    );
  });

  it.each([
    [1, 4],
    [2047, 4],
    [2048, 5],
    [32_767, 8],
    [32_768, 9],
    [2 ** 22 - 1, 9],
    [2 ** 22, 10],
    [LONGEST_DELAY, 10],
  ])('of %i ms resolve to 2 to the power of %i', (ms, exponent) => {
    expect(resolutionOf(ms)).toBe(exponent);
  });

  it('each have a header that leads there, or past it, down to the exit', () => {
    fc.assert(
      fc.property(delay, (ms) => {
        const plan = planOf(ms);
        const headers = levelHeaders(plan);
        const visited = [plan.top];
        for (let level = plan.top - 1; headers[`iq-delay-${String(level)}`] !== 'exit'; level--) {
          const how = headers[`iq-delay-${String(level)}`];
          expect(['wait', 'pass']).toContain(how);
          if (how === 'wait') visited.push(level);
        }
        expect(visited).toEqual(plan.levels);
        expect(Object.values(headers).filter((how) => how === 'exit')).toHaveLength(1);
      }),
    );
  });
});

it('the queue before a target is named after it, and after longer names by what fits into 255 bytes, each another', () => {
  const [short, long] = ['q'.repeat(200), 'ü'.repeat(101)];
  expect(landingOf({ queue: short })).toBe(`instance-queue.delay.v1.quorum.to-queue.${short}`);
  expect(landingOf({ exchange: short })).toBe(`instance-queue.delay.v1.quorum.to-exchange.${short}`);
  const names = [long, `${long}ü`, 'q'.repeat(255)].map((queue) => landingOf({ queue }));
  for (const name of names) {
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
    expect(name).toMatch(/^instance-queue\.delay\.v1\.quorum\.to-queue\.[0-9a-f]{64}$/);
  }
  expect(new Set(names).size).toBe(3);
});
