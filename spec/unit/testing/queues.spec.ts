import type { DelayedRetry } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { MemoryQueue } from '../../../lib/testing/memory/queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

const bodiesIn = (queue: FakeInstanceQueue, name: string): readonly unknown[] =>
  queue.broker.messages(name).map(({ body }) => body);

describe('a queue in memory', () => {
  it('that goes with its last consumer waits for its first', async () => {
    const queue = closing(new FakeInstanceQueue());
    const names = (): readonly string[] => queue.broker.queues.map(({ name }) => name);
    queue.broker.declare({ name: 'passing', autoDelete: true });
    await later(1000);
    const consumers = [1, 2].map(() => collect(queue.consume({ queue: 'passing' })));
    await later(10);
    expect(queue.broker.queues).toMatchObject([{ consumers: 2 }]);
    consumers[1]?.subscription.unsubscribe();
    await later(10);
    expect(queue.broker.queues).toMatchObject([{ name: 'passing', consumers: 1 }]);
    consumers[0]?.subscription.unsubscribe();
    await later(10);
    expect(names()).toEqual([]);
  });

  it.each<[NonNullable<DelayedRetry['type']>, readonly number[]]>([
    ['failed', [100, 100, 300, 300, 600]],
    ['returned', [0, 100, 100, 300, 300]],
    ['all', [100, 200, 400, 600, 900]],
  ])('of delayed retries delays what it is told to: %s', async (type, expected) => {
    const queue = closing(new FakeInstanceQueue());
    const times: number[] = [];
    const began = performance.now();
    queue
      .consume({ queue: { name: 'q', type: 'quorum', delayedRetry: { min: 100, max: 300, type } } })
      .subscribe((delivery) => {
        times.push(Math.round((performance.now() - began) / 10) * 10);
        // In turns: failed, and given back untried.
        if (times.length % 2 === 1) delivery.requeue();
        else delivery.release();
      });
    await queue.send({ queue: 'q', body: 1 });
    await later(1000);
    expect(times.slice(1, 6)).toEqual(expected);
  });

  it('is purged of what waits to be tried again as well', async () => {
    const queue = closing(new FakeInstanceQueue());
    const spec = { name: 'q', type: 'quorum', delayedRetry: { min: 1000 } } as const;
    const deliveries = collect(queue.consume({ queue: spec, prefetch: 1 }));
    for (const body of [1, 2, 3]) await queue.send({ queue: 'q', body });
    await later(10);
    deliveries.values[0]?.requeue();
    await later(10);
    expect([deliveries.values.length, bodiesIn(queue, 'q')]).toEqual([2, [3]]);
    expect(await queue.admin.purge('q')).toBe(2);
    deliveries.values[1]?.ack();
    await later(5000);
    expect(deliveries.values).toHaveLength(2);
  });

  it('hands out what waits as soon as it has a leader again', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.declare({ name: 'q', type: 'quorum' });
    queue.broker.put({ queue: 'q', body: 1 });
    const inside = queue.broker.vhost.find('q');
    if (!(inside instanceof MemoryQueue)) throw new Error('Expected a queue.');
    inside.leaderless = true;
    const deliveries = collect(queue.consume({ queue: 'q' }));
    await later(1000);
    expect([queue.health.status, deliveries.values, queue.broker.put({ queue: 'q', body: 2 })]).toEqual([
      'up',
      [],
      false,
    ]);
    inside.leaderless = false;
    await later(1);
    expect(deliveries.values).toMatchObject([{ body: 1 }]);
  });

  it('takes back what its consumers do not settle in the time that it gives them', async () => {
    const queue = closing(new FakeInstanceQueue());
    const seen: unknown[] = [];
    queue
      .consume({ queue: { name: 'q', type: 'quorum', consumerTimeout: 5000 } })
      .subscribe(({ body, redelivered, deliveryCount }) => seen.push([body, redelivered, deliveryCount]));
    await queue.send({ queue: 'q', body: 1 });
    await later(4900);
    expect(seen).toEqual([[1, false, 0]]);
    await later(1000);
    expect(seen).toEqual([
      [1, false, 0],
      [1, true, 1],
    ]);
  });
});

it('an exchange in memory that goes with its last binding waits for its first', async () => {
  const queue = closing(new FakeInstanceQueue());
  const events = { name: 'events', type: 'topic', autoDelete: true } as const;
  await queue.admin.declare({ exchanges: [events], queues: [{ name: 'other' }, { name: 'orders' }] });
  const there = async (): Promise<boolean> => {
    const declared = queue.admin.declare({ exchanges: [{ ...events, passive: true }] });
    return declared.then(() => true).catch(() => false);
  };
  queue.broker.deleteQueue('other');
  expect(await there()).toBe(true);
  const binding = { exchange: 'events', queue: 'orders', routingKey: 'a' };
  await queue.admin.declare({ bindings: [binding, { ...binding, routingKey: 'b' }] });
  await queue.admin.unbind(binding);
  expect(await there()).toBe(true);
  await queue.admin.unbind({ ...binding, routingKey: 'b' });
  expect(await there()).toBe(false);
});
