import { json } from 'instance-queue';
import { NackBackoff } from '../../../lib/producer/verdicts';
import { encode } from '../../../lib/producer/encoded-message';
import { PendingSend } from '../../../lib/producer/pending-send';

const nothing = (): void => undefined;
const nacked = (order: number): PendingSend => {
  const message = { exchange: 'orders', routingKey: `created.${String(order)}`, body: order };
  return new PendingSend(order, encode(message, json(), { persistent: true, mandatory: true }), nothing, nothing);
};

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
