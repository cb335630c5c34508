import fc from 'fast-check';
import { Outstanding } from '../../lib/consumer/outstanding';
import { heldBytes, heldMemory } from '../support/memory';

type Step =
  | { readonly do: 'add'; readonly skipped: number }
  /** The share of those outstanding that are older. */
  | { readonly do: 'delete'; readonly behind: number }
  | { readonly do: 'delete-unknown'; readonly number: number }
  | { readonly do: 'clear' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ do: fc.constant('add' as const), skipped: fc.nat(2) }) },
  {
    weight: 36,
    arbitrary: fc.record({ do: fc.constant('delete' as const), behind: fc.constantFrom(0, 0, 0.3, 0.7, 0.99) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete-unknown' as const), number: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'clear' as const }) },
);

describe('what is outstanding', () => {
  it('is what a Map would hold, in whatever order it ends', () => {
    let movedUp = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const outstanding = new Outstanding<string>();
        const model = new Map<number, string>();
        let last = 0;
        let ended = 0;
        for (const next of steps) {
          if (next.do === 'add') {
            last += 1 + next.skipped;
            outstanding.add(last, `item ${String(last)}`);
            model.set(last, `item ${String(last)}`);
          } else if (next.do === 'delete') {
            const number = [...model.keys()][Math.floor(model.size * next.behind)] ?? 0;
            expect(outstanding.delete(number)).toBe(model.delete(number));
            ended++;
          } else if (next.do === 'delete-unknown') {
            expect(outstanding.delete(next.number)).toBe(model.delete(next.number));
          } else {
            outstanding.clear();
            model.clear();
          }
          expect(outstanding.size).toBe(model.size);
          expect(outstanding.lowest).toBe([...model.keys()][0]);
          expect([...outstanding]).toEqual([...model.values()]);
        }
        if (ended > 100) movedUp++;
      }),
      { numRuns: 300 },
    );
    // Else it never came to moving up what is left.
    expect(movedUp).toBeGreaterThan(20);
  });

  it('keeps no trace of what has ended behind one that takes long', () => {
    const outstanding = new Outstanding<Buffer>();
    const first = Buffer.from('first');
    outstanding.add(0, first);
    const before = heldMemory();
    for (let number = 1; number <= 200_000; number++) {
      outstanding.add(number, Buffer.allocUnsafeSlow(64));
      outstanding.delete(number);
    }
    // Of places alone, sixteen bytes each, it would be 3.2 MB.
    expect(heldMemory() - before).toBeLessThan(500_000);
    expect([...outstanding]).toEqual([first]);
  });

  it('lets go of what has ended at once', () => {
    const outstanding = new Outstanding<Buffer>();
    const before = heldBytes();
    for (let number = 1; number <= 30; number++) outstanding.add(number, Buffer.allocUnsafeSlow(1_000_000));
    for (let number = 2; number <= 30; number++) outstanding.delete(number);
    expect(heldBytes() - before).toBeLessThan(2_000_000);
    expect(outstanding.size).toBe(1);
  });
});
