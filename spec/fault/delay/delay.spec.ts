import { writtenDefinitions } from '../../support/brokers/written-definitions';
import { InstanceQueue } from 'instance-queue';
import { collect } from '../../support/collect';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

const given = proxiedFixture({ private: true });

const quick = { min: 10, max: 50 };

test('the time that a message waits for its connection counts towards its delay', async () => {
  const { bystander, newClient, proxy } = given;
  const queue = await bystander.declareQueue();
  const client = newClient({ reconnect: quick });
  await client.send({ queue, body: 'warm', delay: 1000 });
  await bystander.takeAtLeast(queue, 1);
  proxy.refuse();
  proxy.cut();
  const began = performance.now();
  const sent = Promise.all([
    client.send({ queue, body: 'short', delay: 300 }),
    client.send({ queue, body: 'long', delay: 2500 }),
  ]);
  await eventually(() => performance.now() > began + 1000);
  await proxy.restore();
  await sent;
  const arrived = collect(client.consume({ queue, noAck: true }));
  await eventually(() => arrived.values.length === 2);
  expect(arrived.values.map(({ body }) => body)).toEqual(['short', 'long']);
  const took = performance.now() - began;
  expect(took).toBeGreaterThanOrEqual(2500);
  expect(took).toBeLessThan(3500);
});

test('over lost connections no delayed message is lost, and none is early', async () => {
  const { bystander, newClient, proxy, url } = given;
  const queue = await bystander.declareQueue();
  const client = newClient({ reconnect: quick, reopen: quick });
  const due = new Map<unknown, number>();
  const early: unknown[] = [];
  const arrived = new Set<unknown>();
  const reader = new InstanceQueue(url);
  reader.consume({ queue, noAck: true }).subscribe(({ body }) => {
    if (performance.now() < (due.get(body) ?? 0)) early.push(body);
    arrived.add(body);
  });
  const sends: Promise<unknown>[] = [];
  for (const i of numbers(300)) {
    const delay = 100 + ((i * 37) % 1500);
    due.set(i, performance.now() + delay);
    sends.push(client.send({ queue, body: i, delay }));
    if (i % 60 === 59) {
      const { confirmed } = client.metrics;
      await eventually(() => client.metrics.confirmed > confirmed);
      proxy.cut();
    }
  }
  await Promise.all(sends);
  await eventually(() => arrived.size === 300, 30_000);
  expect(early).toEqual([]);
  expect(client.metrics.reconnects).toBeGreaterThan(1);
  await reader.close();
});

test('delayed messages survive a restart of the broker, and those that came due meanwhile come after it', async () => {
  const { broker, bystander, newClient } = given;
  const queue = await bystander.declareQueue({ durable: true });
  const client = newClient({ reconnect: quick, reopen: quick });
  await client.send({ queue, body: 'meanwhile', delay: 2000 });
  await client.send({ queue, body: 'later', delay: 15_000 });
  await writtenDefinitions(broker);
  await broker.kill();
  await broker.start();
  const arrived = collect(client.consume({ queue, noAck: true }));
  await eventually(() => arrived.values.length === 2, 60_000);
  expect(arrived.values).toMatchObject([{ body: 'meanwhile' }, { body: 'later' }]);
}, 120_000);
