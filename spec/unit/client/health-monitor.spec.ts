import type { Delivery, Health } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

/** ms */
const DOWN_AFTER = 30_000;

function opened() {
  const broker = new MemoryBroker();
  for (const name of ['orders', 'invoices']) broker.declare({ name });
  const entries: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[] = [];
  const queue = closing(
    new FakeInstanceQueue({ broker, downAfter: DOWN_AFTER, logger: (entry) => void entries.push(entry) }),
  );
  const seen: Health[] = [];
  let complete = false;
  queue.health$.subscribe({ next: (health) => seen.push(health), complete: () => (complete = true) });
  const stalls = () => entries.filter(({ message }) => message.startsWith('consumer stalled'));
  return { broker, queue, seen, stalls, isComplete: () => complete };
}

describe('a consumer at its prefetch', () => {
  it('that settles nothing for `downAfter` is stalled, until it settles one; others are not', async () => {
    const { broker, queue, seen, stalls } = opened();
    for (let i = 0; i < 4; i++) broker.put({ queue: 'orders', body: i });
    broker.put({ queue: 'invoices', body: 0 });
    const held: Delivery<unknown>[] = [];
    queue.consume({ queue: 'orders', prefetch: 3 }).subscribe((delivery) => held.push(delivery));
    queue.consume({ queue: 'invoices', prefetch: 3 }).subscribe();
    await later(0);
    expect(held).toHaveLength(3);
    const began = Date.now();
    await later(DOWN_AFTER - 1);
    expect(queue.health.consumers.map(({ stalled }) => stalled)).toEqual([undefined, undefined]);
    await later(DOWN_AFTER / 3 + 1);
    const [orders, invoices] = queue.health.consumers;
    expect(orders).toMatchObject({ queueName: 'orders', status: 'attached', stalled: { unsettled: 3, prefetch: 3 } });
    expect(orders!.stalled!.since.getTime() - began).toBeGreaterThanOrEqual(0);
    expect(orders!.stalled!.since.getTime() - began).toBeLessThanOrEqual(DOWN_AFTER / 3);
    expect(invoices).not.toHaveProperty('stalled');
    expect(queue.health.status).toBe('up');
    // Said once, however long it lasts.
    await later(10 * DOWN_AFTER);
    expect(stalls().map(({ fields }) => fields)).toEqual([
      {
        connection: 'instance-queue.consumer',
        queue: 'orders',
        unsettled: 3,
        prefetch: 3,
        since: orders!.stalled!.since,
      },
    ]);
    const before = seen.length;
    held[1]!.ack();
    await later(DOWN_AFTER / 3);
    expect(queue.health.consumers[0]).not.toHaveProperty('stalled');
    expect(seen.length).toBe(before + 1);
    expect(stalls()).toHaveLength(1);
  });

  it('of a partitioned queue counts as one, which is stalled if any of its partitions is', async () => {
    const { queue, stalls } = opened();
    const parts = queue.partitioned<number>({ name: 'parts', partitions: 3 });
    const held: Delivery<number>[] = [];
    parts.consume({ prefetch: 1 }).subscribe((delivery) => void held.push(delivery));
    await later(1000);
    expect(queue.health.consumers).toMatchObject([{ queueName: 'parts', status: 'attached' }]);
    for (const body of [1, 2]) await Promise.all([parts.send({ key: 'a', body }), later()]);
    expect(held).toHaveLength(1);
    await later(2 * DOWN_AFTER);
    expect(queue.health.consumers).toMatchObject([{ queueName: 'parts', stalled: { unsettled: 1, prefetch: 1 } }]);
    expect(stalls().map(({ fields }) => fields['queue'])).toEqual(['parts']);
    held[0]!.ack();
    await later(DOWN_AFTER / 2);
    expect(queue.health.consumers[0]).not.toHaveProperty('stalled');
    held[1]!.ack();
    const closed = parts.close();
    await later(1000);
    await closed;
    expect(queue.health.consumers).toEqual([]);
  });

  it('that was stalled is not while it is paused or detached, and is again some time after it is back', async () => {
    const { broker, queue } = opened();
    for (let i = 0; i < 4; i++) broker.put({ queue: 'orders', body: i });
    queue.consume({ queue: 'orders', prefetch: 2 }).subscribe();
    await later(2 * DOWN_AFTER);
    expect(queue.health.consumers[0]).toHaveProperty('stalled');
    broker.disconnect();
    await later(1000);
    expect(queue.health.consumers[0]).toMatchObject({ status: 'detached' });
    expect(queue.health.consumers[0]).not.toHaveProperty('stalled');
    broker.reconnect();
    await later(DOWN_AFTER - 1000);
    expect(queue.health.consumers[0]).toMatchObject({ status: 'attached' });
    expect(queue.health.consumers[0]).not.toHaveProperty('stalled');
    await later(2 * DOWN_AFTER);
    expect(queue.health.consumers[0]).toHaveProperty('stalled');
  });
});

describe('health', () => {
  it('of a consumer that gave up is kept until another consumes from its queue', async () => {
    const { broker, queue } = opened();
    broker.declare({ name: 'taken', maxLength: 6 });
    queue.consume({ queue: { name: 'taken', arguments: { 'x-max-length': 5 } } }).subscribe({ error: () => undefined });
    queue.consume({ queue: 'invoices' }).subscribe();
    await later(1000);
    expect(queue.health.consumers.map(({ queueName, status }) => [queueName, status])).toEqual([
      ['taken', 'stopped'],
      ['invoices', 'attached'],
    ]);
    expect(queue.health.status).toBe('down');
    broker.deleteQueue('taken');
    queue.consume({ queue: { name: 'taken' } }).subscribe();
    await later(1000);
    expect(queue.health.consumers.map(({ queueName, status }) => [queueName, status])).toEqual([
      ['invoices', 'attached'],
      ['taken', 'attached'],
    ]);
    expect(queue.health.status).toBe('up');
  });

  it('forgets a consumer that was closed, and a producer', async () => {
    const { queue } = opened();
    const reading = queue.consume({ queue: 'orders' }).subscribe();
    const producer = queue.producer();
    await producer.send({ queue: 'invoices', body: 1 });
    await later(0);
    expect([queue.health.consumers.length, queue.health.producers.length]).toEqual([1, 1]);
    reading.unsubscribe();
    const closed = producer.close();
    await later(1000);
    await closed;
    expect([queue.health.consumers, queue.health.producers]).toEqual([[], []]);
  });

  it('has no producer before its first message', () => {
    const { queue } = opened();
    queue.producer();
    expect(queue.health.producers).toEqual([]);
  });

  it('has the outbox of all producers, as it is when it is asked', async () => {
    const { broker, queue } = opened();
    const [first, second] = [queue.producer(), queue.producer()];
    await first.send({ queue: 'orders', body: 1 });
    broker.hold();
    const sent = [first, second, second].map((producer) => producer.send({ queue: 'orders', body: 'text' }));
    await later(100);
    const { queued, unconfirmed, bytes } = queue.health.outbox;
    expect(queued + unconfirmed).toBe(3);
    expect(bytes).toBe(first.outbox.bytes + second.outbox.bytes);
    expect(bytes).toBeGreaterThan(0);
    expect(queue.metrics.outbox).toEqual({ queued, unconfirmed, bytes });
    broker.release();
    await Promise.all(sent);
    expect(queue.health.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
  });

  it('completes when the queue is closed, and says so last', async () => {
    const { queue, seen, isComplete } = opened();
    queue.consume({ queue: 'orders' }).subscribe();
    await later(100);
    const closed = queue.close();
    await later(1000);
    await closed;
    expect(isComplete()).toBe(true);
    expect(seen.at(-1)).toMatchObject({
      status: 'down',
      connections: { producer: { status: 'closed' }, consumer: { status: 'closed' } },
    });
    expect(jest.getTimerCount()).toBe(0);
  });
});
