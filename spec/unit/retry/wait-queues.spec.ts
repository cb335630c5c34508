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
});
