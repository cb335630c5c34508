import type { QueueScan } from '../../../lib/consumer/queue-scan';
import type { DeadLetter } from '../../../lib/dead-letters/dead-letter';
import { DeliveryGuard } from '../../../lib/dead-letters/letter-scan';
import { OptionsError } from '../../../lib/errors';

/** A letter that was delivered so often. */
const delivered = (deliveryCount: number, counted = true): DeadLetter =>
  ({
    message: { deliveryCount, properties: { headers: counted ? { 'x-delivery-count': deliveryCount } : {} } },
  }) as unknown as DeadLetter;

const guard = (broker: number | undefined, limit?: number): DeliveryGuard =>
  new DeliveryGuard({ deliveryLimit: broker } as QueueScan, 'orders.dead', limit);

describe('a look at letters, where each delivery counts', () => {
  it('goes on while a letter keeps two deliveries', () => {
    const one = guard(20);
    expect([1, 5, 17].map((count) => one.passes(delivered(count)))).toEqual([true, true, true]);
    expect(one.passes(delivered(18))).toBe(false);
    expect(one.highest).toBe(18);
  });

  it('does not begin where the first letter has spent half of them, and says what to do', () => {
    expect(guard(20).passes(delivered(9))).toBe(true);
    const refused = (): boolean => guard(20).passes(delivered(10));
    expect(refused).toThrow(OptionsError);
    expect(refused).toThrow(
      'Queue `orders.dead` was not looked at: its first letter was delivered 10 times, and this version of RabbitMQ drops or ' +
        'dead-letters a message of a quorum queue after 20 deliveries, of which a look is one. Move the letters into their own queue ' +
        '(`move` to `orders.dead`), which begins the counts anew and keeps the order. If the queue has another limit, give it as ' +
        '`deliveryLimit`; -1 for none.',
    );
  });

  it('heeds the limit of the queue where the caller names one, and none at -1', () => {
    expect(() => guard(20, 6).passes(delivered(3))).toThrow(OptionsError);
    expect(guard(20, 100).passes(delivered(40))).toBe(true);
    expect(guard(20, -1).passes(delivered(1000))).toBe(true);
  });

  it('goes on anyhow where a look costs nothing, whatever the caller names', () => {
    expect(guard(undefined).passes(delivered(1000))).toBe(true);
    expect(guard(undefined, 5).passes(delivered(1000))).toBe(true);
    expect(guard(-1).passes(delivered(1000))).toBe(true);
  });

  it('counts only what the broker has counted', () => {
    const one = guard(20);
    expect(one.passes(delivered(100, false))).toBe(true);
    expect(one.highest).toBe(0);
  });
});
