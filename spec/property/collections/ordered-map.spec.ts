import fc from 'fast-check';
import { OrderedMap } from '../../../lib/collections/ordered-map';
import { heldBytes, heldMemory } from '../../support/memory';

type Step =
  | { readonly do: 'add'; readonly skipped: number }
  /** `behind`: the share of items with lower numbers. */
  | { readonly do: 'delete'; readonly behind: number }
  | { readonly do: 'delete-unknown'; readonly number: number }
  /** As of a broker that counts backwards, or repeats a number. */
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

describe('an ordered map', () => {
  it('holds what a Map would, in whatever order items are deleted', () => {
    let compacted = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const map = new OrderedMap<{ readonly number: number }>(({ number }) => number);
        let model = new Map<number, { readonly number: number }>();
        let last = 0;
        let deleted = 0;
        for (const next of steps) {
          if (next.do === 'add') {
            last += 1 + next.skipped;
            const item = { number: last };
            map.add(item);
            expect(map.latest).toBe(last);
            model.set(last, item);
          } else if (next.do === 'delete') {
            const number = [...model.keys()][Math.floor(model.size * next.behind)] ?? 0;
            expect(map.delete(number)).toBe(model.delete(number));
            deleted++;
          } else if (next.do === 'delete-unknown') {
            expect(map.delete(next.number)).toBe(model.delete(next.number));
          } else if (next.do === 'add-any') {
            const { number } = next;
            const item = { number };
            map.add(item);
            last = Math.max(last, number);
            model = new Map([...model.set(number, item)].sort(([a], [b]) => a - b));
          } else {
            map.clear();
            model.clear();
          }
          expect(map.size).toBe(model.size);
          if (next.do === 'clear') expect(map.latest).toBe(0);
          expect(map.first).toBe([...model.values()][0]);
          const items = [...map];
          // The assertion compares deeply, and takes most of the time of the test.
          if (items.length !== model.size || [...model.values()].some((item, i) => item !== items[i]))
            expect(items).toEqual([...model.values()]);
        }
        if (deleted > 100) compacted++;
      }),
      { numRuns: 300 },
    );
    // Otherwise the runs were too short to compact.
    expect(compacted).toBeGreaterThan(20);
  });

  it('knows the highest number so far, which a deletion of others does not change, and 0 as long as it is empty', () => {
    const map = new OrderedMap<{ readonly number: number }>(({ number }) => number);
    expect([map.latest, map.first, map.size]).toEqual([0, undefined, 0]);
    for (const number of [3, 1, 7, 5]) map.add({ number });
    expect([map.latest, map.first?.number]).toEqual([7, 1]);
    map.delete(1);
    map.delete(5);
    expect([map.latest, map.first?.number]).toEqual([7, 3]);
    map.clear();
    expect([map.latest, map.first, map.size, map.delete(7)]).toEqual([0, undefined, 0, false]);
  });

  it('skips an item that is deleted before its turn, as a Map does', () => {
    const map = new OrderedMap<{ readonly number: number }>(({ number }) => number);
    for (let number = 1; number <= 100; number++) map.add({ number });
    const visited: number[] = [];
    for (const { number } of map) {
      visited.push(number);
      // Enough to compact the rest in the middle of the iteration.
      if (number === 2) for (let other = 1; other <= 99; other++) if (other !== 50) map.delete(other);
    }
    expect(visited).toEqual([1, 2, 50, 100]);
  });

  interface Numbered {
    readonly number: number;
    readonly bytes: Buffer;
  }
  const numbered = (number: number, size: number): Numbered => ({ number, bytes: Buffer.allocUnsafeSlow(size) });

  it('keeps no slots of deleted items behind one that stays', () => {
    const map = new OrderedMap<Numbered>(({ number }) => number);
    const first = numbered(0, 1);
    map.add(first);
    const before = heldMemory();
    for (let number = 1; number <= 200_000; number++) {
      map.add(numbered(number, 1));
      map.delete(number);
    }
    // Empty slots alone, eight bytes each, would take 1.6 MB.
    expect(heldMemory() - before).toBeLessThan(500_000);
    expect([...map]).toEqual([first]);
  });

  it('releases a deleted item at once', () => {
    const map = new OrderedMap<Numbered>(({ number }) => number);
    const before = heldBytes();
    for (let number = 1; number <= 30; number++) map.add(numbered(number, 1_000_000));
    for (let number = 2; number <= 30; number++) map.delete(number);
    expect(heldBytes() - before).toBeLessThan(2_000_000);
    expect(map.size).toBe(1);
  });
});
