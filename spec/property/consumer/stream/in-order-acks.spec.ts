import fc from 'fast-check';
import { InOrderAcks } from '../../../../lib/consumer/stream/stream-channel';

describe('acks of a stream', () => {
  it('tell of a delivery when all before it are settled, and then all at once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(fc.tuple(fc.nat(39), fc.boolean())), (count, steps) => {
        const window = new InOrderAcks();
        const open = new Set<number>();
        for (let tag = 1; tag <= count; tag++) {
          window.open(tag);
          open.add(tag);
        }
        let told = 0;
        for (const [which, flush] of steps) {
          const tag = 1 + (which % count);
          if (open.delete(tag)) window.add(tag);
          const upTo = Math.min(count + 1, ...open) - 1;
          expect(window.size).toBe(upTo - told);
          if (!flush) continue;
          expect(window.take()).toEqual({ upTo: upTo > told ? upTo : undefined, singly: [] });
          told = upTo;
          expect(window.size).toBe(0);
        }
      }),
    );
  });
});
