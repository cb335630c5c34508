import { waitQueue } from '../../../lib/retry/wait-queues';
import { queueArguments } from '../../../lib/topology-arguments';

describe('the wait queue', () => {
  const long = 'ä'.repeat(127);
  it.each([
    ['orders', 'orders.retry.1000'],
    ['amq.gen-x', 'gen-x.retry.1000'],
    [long, expect.stringMatching(/^[\da-f]{64}\.retry\.1000$/)],
  ])('of %s has a name that clients may declare', (origin, name) => {
    expect(waitQueue(origin, 1000, 'classic').name).toEqual(name);
  });

  it.each(['classic', 'quorum'] as const)('(%s) returns to its origin alone, and outlives its messages', (kind) => {
    const args = queueArguments(waitQueue('orders', 2 ** 31 - 1, kind)).arguments as Record<string, unknown>;
    expect(args).toMatchObject({
      'x-queue-type': kind,
      'x-message-ttl': 2 ** 31 - 1,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'orders',
    });
    const expires = args['x-expires'];
    if (kind === 'quorum') expect(expires).toBeUndefined();
    else expect(expires).toBeGreaterThan(2 ** 31 - 1);
    expect(Number(expires ?? 0)).toBeLessThan(2 ** 32);
  });

  it('has room for names up to 200 bytes', () => {
    const edge = 'x'.repeat(200);
    expect(waitQueue(edge, 5, 'classic').name).toBe(`${edge}.retry.5`);
    expect(waitQueue(`${edge}x`, 5, 'classic').name).toMatch(/^[\da-f]{64}\.retry\.5$/);
    expect(waitQueue(`my.amq.${edge}`, 5, 'classic').name).not.toBe(waitQueue(`amq.${edge}`, 5, 'classic').name);
    expect(waitQueue('my.amq.q', 5, 'classic').name).toBe('my.amq.q.retry.5');
  });

  it('of the kind `quorum` holds one priority, and turns away what it cannot hold', () => {
    const names = [undefined, 0, 9].map((priority) => waitQueue('orders', 5, 'quorum', priority).name);
    expect(new Set(names).size).toBe(3);
    expect(names[0]).toBe('orders.retry.5.quorum');
    expect(waitQueue('orders', 5, 'classic', 9).name).toBe('orders.retry.5');
    expect(waitQueue('orders', 5, 'quorum')).toMatchObject({ durable: true, overflow: 'reject-publish' });
    expect(waitQueue('orders', 5, 'classic')).toMatchObject({ durable: true, expires: 600_005 });
  });
});
