import { json } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

describe('a message that cannot be decoded', () => {
  it.each([
    ['rejected', 'reject' as const, 'dead'],
    ['put back', 'requeue' as const, 'orders'],
  ])('is %s, and logged by its route and size, without its body', async (_, policy, where) => {
    const warnings: Readonly<Record<string, unknown>>[] = [];
    const queue = closing(
      new FakeInstanceQueue({
        logger: ({ level, message, fields }) => {
          if (level === 'warn') warnings.push({ message, ...fields });
        },
      }),
    );
    queue.broker.declare({ queues: [{ name: 'dead' }] });
    queue.broker.declare({ queues: [{ name: 'orders', deadLetter: { queue: 'dead' } }] });
    queue.broker.put({ queue: 'orders', body: Buffer.from('{secret'), messageId: 'm', contentType: 'text/x' });
    const { values, subscription } = collect(
      queue.consume({ queue: 'orders', codec: json(), ...(policy !== 'reject' && { onUndecodable: policy }) }),
    );
    await later(0);
    subscription.unsubscribe();
    await later();
    expect(values).toEqual([]);
    expect(queue.metrics.undecodable).toBeGreaterThan(0);
    expect(warnings[0]).toMatchObject({
      message: 'undecodable message',
      queue: 'orders',
      exchange: '',
      routingKey: 'orders',
      messageId: 'm',
      contentType: 'text/x',
      bytes: 7,
      error: expect.any(String) as string,
      policy,
    });
    expect(JSON.stringify(warnings)).not.toContain('secret');
    expect(queue.broker.messages(where)).toHaveLength(1);
  });

  it('is an event of its consumer, with its bytes and the error of its codec', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.put({ queue: 'orders', body: Buffer.from('{'), contentType: 'application/json' });
    const consumer = queue.consumer({ queue: 'orders' });
    const told: unknown[] = [];
    consumer.on('undecodable', ({ body, queue: name }, { code, cause }) => told.push([body, name, code, cause]));
    const { values } = collect(consumer.deliveries$);
    await later();
    expect(values).toEqual([]);
    expect(told).toEqual([[Buffer.from('{'), 'orders', 'UNDECODABLE', expect.any(SyntaxError)]]);
  });
});
