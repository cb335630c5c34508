import type { InstanceQueueEvents, Role } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closeAll, closing } from '../../support/closing';
import { rejection } from '../../support/waiting';

afterEach(closeAll);

/** The events of a queue, each with the role of its connection. */
function eventsOf(queue: FakeInstanceQueue): Record<Role, string[]> {
  const seen: Record<Role, string[]> = { consumer: [], producer: [] };
  const names = ['connecting', 'connected', 'reconnecting', 'closing', 'closed', 'blocked'] as const;
  for (const name of names satisfies readonly (keyof InstanceQueueEvents)[])
    queue.on(name, (_facts: unknown, role: Role) => seen[role].push(name));
  queue.on('unblocked', (role) => seen[role].push('unblocked'));
  return seen;
}

describe('the events of a queue', () => {
  it('are those of its two connections, with the role of each', async () => {
    const queue = closing(new FakeInstanceQueue());
    const events = eventsOf(queue);
    await queue.connect();
    queue.broker.disconnect();
    await queue.rest();
    queue.broker.reconnect();
    await queue.connect();
    await queue.close();
    const life = ['connecting', 'connected', 'reconnecting', 'connected', 'closing', 'closed'];
    // Each failed attempt is another `reconnecting`.
    const seen = (role: Role): string[] => events[role].filter((name, i) => name !== events[role][i - 1]);
    expect({ consumer: seen('consumer'), producer: seen('producer') }).toEqual({ consumer: life, producer: life });
  });

  it('say when the broker blocks publishing, and when no more', async () => {
    const queue = closing(new FakeInstanceQueue());
    await queue.send({ queue: 'orders', body: 1 });
    const events = eventsOf(queue);
    queue.broker.block();
    const held = queue.send({ queue: 'orders', body: 2 });
    await new Promise(setImmediate);
    queue.broker.unblock();
    await held;
    expect(events).toEqual({ consumer: [], producer: ['blocked', 'unblocked'] });
  });
});

describe('admin.get()', () => {
  it('takes one message after the other, to be settled, and nothing from an empty queue', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.put({ queue: 'orders', body: 1 });
    queue.broker.declare({ queues: [{ name: 'orders' }] });
    const message = await queue.admin.get<number>('orders');
    expect(message).toMatchObject({ body: 1, redelivered: false });
    expect(await queue.admin.get('orders')).toBeUndefined();
    expect(message?.requeue()).toBe(true);
    await new Promise(setImmediate);
    const again = await queue.admin.get('orders');
    expect(again).toMatchObject({ body: 1, redelivered: true });
    expect(again?.ack()).toBe(true);
    await queue.rest();
    expect(queue.broker.messages('orders')).toEqual([]);
    expect(queue.broker.queues.find(({ name }) => name === 'orders')?.unsettled).toBe(0);
  });

  it('refuses options that it does not know, by name', async () => {
    const queue = closing(new FakeInstanceQueue());
    const unknown: object = { noAck: true };
    expect(await rejection(queue.admin.get('orders', unknown))).toMatchObject({
      code: 'OPTIONS_INVALID',
      message: expect.stringContaining('Unknown option `noAck` for get()') as string,
    });
  });
});
