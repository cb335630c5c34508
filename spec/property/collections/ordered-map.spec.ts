import fc from 'fast-check';
import { OrderedMap } from '../../../lib/collections/ordered-map';
import { heldBytes, heldMemory } from '../../support/memory';

type Step =
  | { readonly do: 'add'; readonly skipped: number }
  /** The share of those outstanding that are older. */
  | { readonly do: 'delete'; readonly behind: number }
  | { readonly do: 'delete-unknown'; readonly number: number }
  /** Of a broker that counts backward, or twice the same. */
  | { readonly do: 'add-any'; readonly number: number }
  | { readonly do: 'clear' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ do: fc.constant('add' as const), skipped: fc.nat(2) }) },
  {
    weight: 36,
    arbitrary: fc.record({ do: fc.constant('delete' as const), behind: fc.constantFrom(0, 0, 0.3, 0.7, 0.99) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete-unknown' as const), number: fc.nat(200) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('add-any' as const), number: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'clear' as const }) },
);

describe('what is outstanding', () => {
  it('is what a Map would hold, in whatever order it ends', () => {
    let movedUp = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const outstanding = new OrderedMap<{ readonly number: number }>(({ number }) => number);
        let model = new Map<number, { readonly number: number }>();
        let last = 0;
        let ended = 0;
        for (const next of steps) {
          if (next.do === 'add') {
            last += 1 + next.skipped;
            const item = { number: last };
            outstanding.add(item);
            expect(outstanding.latest).toBe(last);
            model.set(last, item);
          } else if (next.do === 'delete') {
            const number = [...model.keys()][Math.floor(model.size * next.behind)] ?? 0;
            expect(outstanding.delete(number)).toBe(model.delete(number));
            ended++;
          } else if (next.do === 'delete-unknown') {
            expect(outstanding.delete(next.number)).toBe(model.delete(next.number));
          } else if (next.do === 'add-any') {
            const { number } = next;
            const item = { number };
            outstanding.add(item);
            last = Math.max(last, number);
            model = new Map([...model.set(number, item)].sort(([a], [b]) => a - b));
          } else {
            outstanding.clear();
            model.clear();
          }
          expect(outstanding.size).toBe(model.size);
          expect(outstanding.first).toBe([...model.values()][0]);
          expect([...outstanding]).toEqual([...model.values()]);
        }
        if (ended > 100) movedUp++;
      }),
      { numRuns: 300 },
    );
    // Else it never came to moving up what is left.
    expect(movedUp).toBeGreaterThan(20);
  });

  it('passes over what ends before its turn, as a Map does', () => {
    const outstanding = new OrderedMap<{ readonly number: number }>(({ number }) => number);
    for (let number = 1; number <= 100; number++) outstanding.add({ number });
    const visited: number[] = [];
    for (const { number } of outstanding) {
      visited.push(number);
      // Also where the rest has moved up meanwhile.
      if (number === 2) for (let other = 1; other <= 99; other++) if (other !== 50) outstanding.delete(other);
    }
    expect(visited).toEqual([1, 2, 50, 100]);
  });

  interface Numbered {
    readonly number: number;
    readonly bytes: Buffer;
  }
  const numbered = (number: number, size: number): Numbered => ({ number, bytes: Buffer.allocUnsafeSlow(size) });

  it('keeps no trace of what has ended behind one that takes long', () => {
    const outstanding = new OrderedMap<Numbered>(({ number }) => number);
    const first = numbered(0, 1);
    outstanding.add(first);
    const before = heldMemory();
    for (let number = 1; number <= 200_000; number++) {
      outstanding.add(numbered(number, 1));
      outstanding.delete(number);
    }
    // Of places alone, eight bytes each, it would be 1.6 MB.
    expect(heldMemory() - before).toBeLessThan(500_000);
    expect([...outstanding]).toEqual([first]);
  });

  it('lets go of what has ended at once', () => {
    const outstanding = new OrderedMap<Numbered>(({ number }) => number);
    const before = heldBytes();
    for (let number = 1; number <= 30; number++) outstanding.add(numbered(number, 1_000_000));
    for (let number = 2; number <= 30; number++) outstanding.delete(number);
    expect(heldBytes() - before).toBeLessThan(2_000_000);
    expect(outstanding.size).toBe(1);
  });
});
