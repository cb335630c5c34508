import { StallDetector } from '../../../lib/health/stall';

const full = (latest: number) => ({ unsettled: 2, prefetch: 2, latest });
const at = (now: number): Date => new Date(performance.timeOrigin + now);

it('is a stall when no delivery came for the time, with all of the prefetch unsettled', () => {
  const detector = new StallDetector(30);
  expect(detector.sample(full(2), 1000)).toBeUndefined();
  expect(detector.sample(full(2), 1029)).toBeUndefined();
  expect(detector.sample(full(2), 1030)).toEqual({ unsettled: 2, prefetch: 2, since: at(1000) });
});

it('is none while one is settled, and the next comes, now and then', () => {
  const detector = new StallDetector(30);
  for (let step = 0; step < 10; step++) expect(detector.sample(full(2 + step), 20 * step)).toBeUndefined();
});

it('is none below the prefetch: the broker could send more', () => {
  const detector = new StallDetector(30);
  for (const now of [0, 30, 60]) expect(detector.sample({ unsettled: 1, prefetch: 2, latest: 1 }, now)).toBeUndefined();
});

it.each([
  ['a settlement', { unsettled: 1, prefetch: 2, latest: 2 }],
  ['a loss', undefined],
])('counts anew after %s', (_what, backlog) => {
  const detector = new StallDetector(30);
  for (const [sample, now] of [
    [full(2), 0],
    [backlog, 10],
    [full(2), 20],
    [full(2), 49],
  ] as const)
    expect(detector.sample(sample, now)).toBeUndefined();
  expect(detector.sample(full(2), 50)).toMatchObject({ since: at(20) });
});
