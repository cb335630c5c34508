import fc from 'fast-check';
import { Ring } from '../../../lib/collections/ring';

type Step =
  | { readonly do: 'push'; readonly many: number }
  /** Empties the ring once it has grown so large that it shrinks then. */
  | { readonly do: 'burst'; readonly many: number }
  | { readonly do: 'shift'; readonly many: number }
  | { readonly do: 'set'; readonly behind: number }
  | { readonly do: 'keep'; readonly parity: number }
  | { readonly do: 'clear' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ do: fc.constant('push' as const), many: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 20, arbitrary: fc.record({ do: fc.constant('shift' as const), many: fc.integer({ min: 1, max: 40 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('burst' as const), many: fc.integer({ min: 2049, max: 2200 }) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('set' as const), behind: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('keep' as const), parity: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'clear' as const }) },
);

/** As `expect(actual).toBe(expected)`, which takes most of the time of a test that says it a million times. */
function same(actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) expect(actual).toBe(expected);
}

describe('a ring', () => {
  it('holds what an array would after the same pushes and shifts', () => {
    let [wrapped, shrunk] = [0, 0];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: 'max' }), fc.nat(20), (steps, begin) => {
        let next = 0;
        const first = Array.from({ length: begin }, () => next++);
        const ring = new Ring<number | undefined>(first);
        let model: (number | undefined)[] = first;
        let shifted = 0;
        for (const one of steps) {
          switch (one.do) {
            case 'push':
              for (let i = 0; i < one.many; i++) {
                // An undefined item takes a slot as well.
                const item = next % 7 === 0 ? undefined : next;
                next++;
                ring.push(item);
                model.push(item);
              }
              break;
            case 'shift':
              for (let i = 0; i < one.many; i++) same(ring.shift(), model.shift());
              shifted += one.many;
              break;
            case 'burst':
              for (let i = 0; i < one.many; i++) ring.push(next + i);
              for (const item of model) same(ring.shift(), item);
              for (let i = 0; i < one.many; i++) same(ring.shift(), next + i);
              next += one.many;
              model = [];
              shrunk++;
              break;
            case 'set':
              ring.set(one.behind, -1);
              if (one.behind < model.length) model[one.behind] = -1;
              break;
            case 'keep':
              ring.keep((item) => (item ?? 0) % 2 === one.parity);
              model = model.filter((item) => (item ?? 0) % 2 === one.parity);
              break;
            case 'clear':
              ring.clear();
              model = [];
          }
          expect(ring.length).toBe(model.length);
          let at = 0;
          for (const item of ring) same(item, model[at++]);
          same(at, model.length);
          expect(ring.at(0)).toBe(model[0]);
          expect(ring.at(one.do === 'set' ? one.behind : 3)).toBe(model[one.do === 'set' ? one.behind : 3]);
          expect(ring.at(model.length)).toBeUndefined();
        }
        if (shifted > 32 && model.length > 16) wrapped++;
      }),
      { numRuns: 300 },
    );
    // Otherwise the runs never wrapped around.
    expect(wrapped).toBeGreaterThan(50);
    expect(shrunk).toBeGreaterThan(50);
  });
});
