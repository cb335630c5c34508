import { asUser } from '../../support/brokers/as-user';
import { InstanceQueue, handle } from 'instance-queue';
import { firstValueFrom } from 'rxjs';
import { bodies } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = producingFixture();

const argumentsOf = async (queue: string): Promise<string> => {
  const rows = (await given.broker.ctl('list_queues', 'name', 'arguments', '--silent')).split('\n');
  return rows.find((row) => row.startsWith(`${queue}\t`)) ?? '';
};

test('the queue of a route is declared durable if it is missing', async () => {
  const { broker, bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  await newClient().send({ queue, body: 1 });
  const row = (await broker.queues()).find(({ name }) => name === queue);
  expect(row).toMatchObject({ durable: true, ready: 1 });
});

test('a queue that exists is used as it is, whatever its arguments', async () => {
  const { bystander, newClient } = given;
  const queue = await bystander.declareQueue({ arguments: { 'x-max-length': 5 }, durable: true });
  expect(await newClient().send({ queue, body: 1 })).toMatchObject({ attempts: 1 });
  expect((await bystander.count(queue)).ready).toBe(1);
});

test('a queue that is deleted is declared again, and no message sent afterwards is lost', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  const client = newClient();
  await client.send({ queue, body: 'before' });
  await bystander.deleteQueue(queue);
  const confirmed = await Promise.all([1, 2, 3].map((body) => client.send({ queue, body })));
  expect(confirmed.map(({ attempts }) => attempts)).toEqual([2, 2, 2]);
  expect(bodies(await bystander.takeAtLeast(queue, 3))).toEqual([1, 2, 3]);
});

test('a queue that is deleted again and again during sends loses only the messages deleted with it', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  const client = newClient();
  await client.send({ queue, body: 'first' });
  const sends: Promise<unknown>[] = [];
  for (let round = 0; round < 5; round++) {
    sends.push(...Array.from({ length: 100 }, (_, i) => client.send({ queue, body: round * 100 + i })));
    await bystander.deleteQueue(queue);
  }
  await Promise.allSettled(sends);
  await client.send({ queue, body: 'last' });
  // A message sent after the last deletion is in the queue, and the producer works as before.
  expect(bodies(await bystander.takeAtLeast(queue, 1)).at(-1)).toBe('last');
  expect(client.health.outbox).toMatchObject({ queued: 0, unconfirmed: 0 });
});

test('a queue with an entry in the topology is declared by that entry', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  const client = newClient({ topology: { queues: [{ name: queue, type: 'quorum', deliveryLimit: 3 }] } });
  await client.send({ queue, body: 1 });
  expect(await argumentsOf(queue)).toMatch(/x-queue-type.*quorum/);
  // So it is after it was deleted.
  await bystander.deleteQueue(queue);
  await client.send({ queue, body: 2 });
  expect(await argumentsOf(queue)).toMatch(/x-queue-type.*quorum/);
});

test('a queue with a spec in a consumer of the client is declared by that spec', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  const client = newClient();
  const deliveries$ = client.consume({ queue: { name: queue, type: 'quorum' } });
  await client.send({ queue, body: 'sent first' });
  expect(await argumentsOf(queue)).toMatch(/x-queue-type.*quorum/);
  const handled = await firstValueFrom(deliveries$.pipe(handle(({ body }) => body)));
  expect(handled).toMatchObject({ value: 'sent first', settlement: 'ack' });
});

test('a send does not take an exclusive queue away from its consumer', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  const client = newClient({ reopen: { min: 10, max: 10 } });
  const deliveries$ = client.consume({ queue: { name: queue, exclusive: true } });
  // Until the consumer attaches the queue does not exist, and only the consumer may declare it.
  expect(await publishError(client.send({ queue, body: 'early' }))).toMatchObject({ code: 'PUBLISH_RETURNED' });
  const received: unknown[] = [];
  deliveries$.pipe(handle(({ body }) => received.push(body))).subscribe();
  await eventually(() => client.health.consumers[0]?.status === 'attached');
  await client.send({ queue, body: 'late' });
  await eventually(() => received.includes('late'));
});

test('with `declare: false` no queue is declared', async () => {
  const { bystander, newProducer } = given;
  const queue = bystander.freeQueueName();
  const producer = newProducer({ declare: false, topology: { queues: [{ name: queue }] } });
  expect(await publishError(producer.send({ queue, body: 1 }))).toMatchObject({ code: 'PUBLISH_RETURNED' });
  expect(await bystander.hasQueue(queue)).toBe(false);
});

test('a user with the write permission alone can send to a queue that exists', async () => {
  const { broker, bystander, queue } = given;
  await asUser(broker, { name: queue, configure: '^$', write: '.*', read: '^$' }, async (userUrl) => {
    await using client = new InstanceQueue(userUrl);
    expect(await client.send({ queue, body: 1 })).toMatchObject({ attempts: 1 });
    expect((await bystander.count(queue)).ready).toBe(1);
  });
});

test('a send reaches an exclusive queue of another connection', async () => {
  const { bystander, newClient } = given;
  const queue = await bystander.declareQueue({ exclusive: true, durable: false });
  expect(await newClient().send({ queue, body: 1 })).toMatchObject({ attempts: 1 });
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual([1]);
});
