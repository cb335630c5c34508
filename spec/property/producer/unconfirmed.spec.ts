import fc from 'fast-check';
import { Unconfirmed } from '../../../lib/producer/outbox';

type Step =
  | { readonly do: 'publish' }
  | { readonly do: 'confirm'; readonly tag: number; readonly multiple: boolean }
  | { readonly do: 'oldest'; readonly parity: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ do: 'publish' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('confirm' as const),
      tag: fc.integer({ min: 1, max: 40 }),
      multiple: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('oldest' as const), parity: fc.nat(1) }) },
);

describe('what is in flight', () => {
  it('is told by confirms of one or of many, in any order, each message once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const inFlight = new Unconfirmed<string>();
        /** Number and message, as the broker counts. */
        let model: { readonly number: number; readonly entry: string }[] = [];
        let published = 0;
        const confirmed: string[] = [];
        for (const next of steps) {
          if (next.do === 'publish') {
            const entry = `m${String(++published)}`;
            inFlight.add(entry);
            model.push({ number: published, entry });
          } else if (next.do === 'confirm') {
            const meant = model.filter(({ number }) => (next.multiple ? number <= next.tag : number === next.tag));
            const told: string[] = [];
            inFlight.confirm(next.tag, next.multiple, (entry) => {
              told.push(entry);
            });
            expect(told).toEqual(meant.map(({ entry }) => entry));
            confirmed.push(...told);
            model = model.filter((one) => !meant.includes(one));
          } else {
            const fits = (entry: string): boolean => Number(entry.slice(1)) % 2 === next.parity;
            expect(inFlight.oldest(fits)).toBe(model.map(({ entry }) => entry).find(fits));
          }
          expect(inFlight.size).toBe(model.length);
          expect(inFlight.all()).toEqual(model.map(({ entry }) => entry));
        }
        expect(new Set(confirmed).size).toBe(confirmed.length);
        expect(inFlight.takeAll()).toEqual(model.map(({ entry }) => entry));
        expect([inFlight.size, inFlight.all()]).toEqual([0, []]);
      }),
      { numRuns: 300 },
    );
  });
});
