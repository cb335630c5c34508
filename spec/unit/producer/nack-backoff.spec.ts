import { json } from 'instance-queue';
import { NackBackoff } from '../../../lib/producer/verdicts';
import { encode } from '../../../lib/producer/encoded-message';
import { PendingSend } from '../../../lib/producer/pending-send';
import { heldMemory } from '../../support/memory';

const nothing = (): void => undefined;
const nacked = (order: number): PendingSend => {
  const message = { exchange: 'orders', routingKey: `created.${String(order)}`, body: order };
  return new PendingSend(order, encode(message, json(), { persistent: true, mandatory: true }), nothing, nothing);
};

const to = (order: number, message: object): PendingSend => {
  const given = { body: order, ...message } as Parameters<typeof encode>[0];
  return new PendingSend(order, encode(given, json(), { persistent: true, mandatory: true }), nothing, nothing);
};
const orders = (entries: readonly PendingSend[]): number[] => entries.map(({ order }) => order);

describe('what was nacked', () => {
  let random: jest.SpyInstance;
  let again: number[][];
  let backoff: NackBackoff;

  beforeEach(() => {
    jest.useFakeTimers();
    random = jest.spyOn(Math, 'random').mockReturnValue(1);
    again = [];
    backoff = new NackBackoff((entries) => again.push(orders(entries)));
  });
  afterEach(() => {
    backoff.stop();
    random.mockRestore();
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });
  /** ms until the next are sent again. */
  const delay = (): number => {
    const begun = performance.now();
    jest.advanceTimersToNextTimer();
    return Math.round(performance.now() - begun);
  };

  it.each([
    ['a queue', { queue: 'q' }, [100, 150, 225, 338]],
    ['an exchange', { exchange: 'x', routingKey: 'k' }, [200, 800, 3200, 5000]],
  ])('is sent again to %s, after delays that grow with each round and are half random', (_to, message, delays) => {
    for (const [round, expected] of delays.entries()) {
      backoff.add(to(round, message));
      expect(delay()).toBe(expected);
    }
    random.mockReturnValue(0);
    backoff.taken(to(0, message));
    backoff.add(to(9, message));
    expect(delay()).toBe((delays[0] ?? 0) / 2);
    expect(again).toEqual([...delays.keys(), 9].map((order) => [order]));
  });

  it('of one route is sent again together, and waits for no other route', () => {
    backoff.add(to(1, { queue: 'a' }));
    jest.advanceTimersByTime(50);
    backoff.add(to(3, { queue: 'a' }));
    backoff.add(to(2, { queue: 'b' }));
    expect([backoff.size, orders(backoff.all)]).toEqual([3, [1, 3, 2]]);
    jest.advanceTimersByTime(50);
    expect(again).toEqual([[1, 3]]);
    expect([backoff.size, orders(backoff.all)]).toEqual([1, [2]]);
    jest.advanceTimersByTime(50);
    expect(again).toEqual([[1, 3], [2]]);
    expect([backoff.size, backoff.bytes]).toEqual([0, 0]);
  });

  it('waits as at first once a message of its route was taken, also while others of it still wait', () => {
    for (let round = 0; round < 3; round++) {
      backoff.add(to(round, { queue: 'a' }));
      delay();
    }
    backoff.add(to(3, { queue: 'a' }));
    backoff.taken(to(4, { queue: 'b' }));
    backoff.taken(to(4, { queue: 'a' }));
    expect([backoff.size, orders(backoff.all)]).toEqual([1, [3]]);
    expect(delay()).toBe(338);
    backoff.add(to(5, { queue: 'a' }));
    expect(delay()).toBe(100);
  });

  it('is kept while it waits, however many routes there are', () => {
    const all = Array.from({ length: 200 }, (_, order) => order);
    for (const order of all) backoff.add(nacked(order));
    expect([backoff.size, orders(backoff.all)]).toEqual([200, all]);
    jest.advanceTimersByTime(200);
    expect(again.flat()).toEqual(all);
    expect([backoff.size, backoff.bytes]).toEqual([0, 0]);
  });

  it('is taken out when it is settled from outside: once, and with its bytes', () => {
    const [one, other] = [to(1, { queue: 'a' }), to(2, { queue: 'a', body: 'longer' })];
    backoff.add(one);
    backoff.add(other);
    expect(backoff.bytes).toBe(one.bytes + other.bytes);
    backoff.delete(other);
    backoff.delete(other);
    backoff.delete(to(3, { queue: 'a' }));
    backoff.delete(to(3, { queue: 'b' }));
    expect([backoff.size, backoff.bytes, orders(backoff.all)]).toEqual([1, one.bytes, [1]]);
    jest.advanceTimersByTime(100);
    expect(again).toEqual([[1]]);
  });

  it('is taken out oldest first, if it is older than something', () => {
    for (const order of [5, 3, 8, 6]) backoff.add(to(order, { queue: String(order) }));
    expect(backoff.takeBefore(3)).toBeUndefined();
    expect(backoff.takeBefore(4)?.order).toBe(3);
    expect(backoff.takeBefore(4)).toBeUndefined();
    expect([backoff.takeBefore()?.order, backoff.takeBefore()?.order, backoff.takeBefore()?.order]).toEqual([5, 6, 8]);
    expect([backoff.takeBefore(), backoff.size, backoff.bytes]).toEqual([undefined, 0, 0]);
    jest.advanceTimersByTime(5000);
    expect(again.flat()).toEqual([]);
  });

  it('is forgotten with its route, when many routes are idle and new ones come', () => {
    const routingKey = (i: number): string => `${String(i)}${'x'.repeat(200)}`;
    const before = heldMemory();
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 200; i++) backoff.add(to(i, { exchange: 'x', routingKey: routingKey(200 * round + i) }));
      jest.advanceTimersByTime(200);
    }
    expect(heldMemory() - before).toBeLessThan(2_500_000);
    expect([again.flat().length, backoff.size]).toEqual([10_000, 0]);
  });
});

describe('nacked messages that wait for another attempt', () => {
  it('take time that grows with their number, and no faster, when each has a route of its own', () => {
    const backoff = new NackBackoff(nothing);
    try {
      const entries = Array.from({ length: 40_000 }, (_, order) => nacked(order));
      const began = performance.now();
      for (const entry of entries) backoff.add(entry);
      expect(performance.now() - began).toBeLessThan(4000);
      expect(backoff.size).toBe(40_000);
    } finally {
      backoff.stop();
    }
  });

  it('leave no route behind when they were given up', () => {
    jest.useFakeTimers();
    try {
      const again: number[] = [];
      const backoff = new NackBackoff((entries) => again.push(...entries.map(({ order }) => order)));
      for (let order = 0; order < 1000; order++) backoff.add(nacked(order));
      jest.advanceTimersByTime(60_000);
      expect(again).toHaveLength(1000);
      expect([backoff.size, backoff.bytes, backoff.all.length, jest.getTimerCount()]).toEqual([0, 0, 0, 0]);
    } finally {
      jest.useRealTimers();
    }
  });
});
