import { Outbox, type Sized } from '../../../lib/producer/outbox';
import { collectGarbage } from '../../support/memory';
import { eventually } from '../../support/waiting';

const entry = (order: number, settled = false): Sized => ({ order, settled, bytes: 10, inside: false });
const ordersIn = (outbox: Outbox<Sized>): readonly number[] => outbox.entries().map(({ order }) => order);
const outboxOf = (...orders: readonly number[]): Outbox<Sized> => {
  const outbox = new Outbox<Sized>({ limit: 10, bytes: 100 });
  for (const order of orders) outbox.push(entry(order));
  return outbox;
};

describe('entries that are put back into an outbox', () => {
  it.each<[string, readonly number[], readonly number[]]>([
    ['before all others', [3, 4], [2, 1]],
    ['between the others', [1, 3, 5], [4, 2]],
    ['behind the others', [1, 2], [4, 3]],
    ['among few of many', [2, 3, 4, 6], [5, 1]],
    ['where there are none', [], [3, 1, 2]],
  ])('go to their places: %s', (_, there, back) => {
    const outbox = outboxOf(...there);
    outbox.restore(back.map((order) => entry(order)));
    expect(ordersIn(outbox)).toEqual([...there, ...back].sort((a, b) => a - b));
  });

  it('stay away if they are settled', () => {
    const outbox = outboxOf(2);
    outbox.restore([entry(1, true), entry(3)]);
    expect(ordersIn(outbox)).toEqual([2, 3]);
    expect([outbox.queued, outbox.bytes]).toEqual([2, 20]);
  });

  it('go before one of the same place', () => {
    const [first, second] = [entry(1), entry(1)];
    const outbox = new Outbox<Sized>({ limit: 10, bytes: 100 });
    outbox.push(first);
    outbox.restore([second]);
    expect(outbox.shift()).toBe(second);
    expect(outbox.shift()).toBe(first);
    expect(outbox.shift()).toBeUndefined();
  });
});

describe('the room of an outbox', () => {
  it('is enough for an entry of just its size', () => {
    const outbox = new Outbox<Sized>({ limit: 1, bytes: 10 });
    expect([outbox.fits(10), outbox.fits(11)]).toEqual([true, false]);
    expect([outbox.hasRoom(10), outbox.hasRoom(11)]).toEqual([true, false]);
  });
});

describe('entries that were given up behind one that stays', () => {
  it.each([
    ['inside', 10],
    ['outside', 1],
  ])('are not kept: %s', async (_, limit) => {
    const outbox = new Outbox<Sized>({ limit, bytes: 100 });
    for (const order of [0, 1]) outbox.push(entry(order));
    const forgotten: WeakRef<Sized>[] = [];
    for (let order = 2; order < 10_000; order++) {
      const late: Sized = { bytes: 10, inside: false, order, settled: false };
      outbox.push(late);
      Object.assign(late, { settled: true });
      outbox.settled(late);
      if (order < 5000) forgotten.push(new WeakRef(late));
    }
    // One collection may not free everything: a register may still hold the last entry of the loop above.
    await eventually(() => {
      collectGarbage();
      return forgotten.every((ref) => ref.deref() === undefined);
    }, 5000);
    expect(ordersIn(outbox)).toEqual([0, 1]);
  });
});
