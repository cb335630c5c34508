import { Connection, InstanceQueue, Producer, handle } from 'instance-queue';
import { firstValueFrom } from 'rxjs';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const broker = sharedBroker();
const { url } = broker;
let bystander: Bystander;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
});
afterEach(closeAll);

const argumentsOf = async (queue: string): Promise<string> => {
  const rows = (await broker.ctl('list_queues', 'name', 'arguments', '--silent')).split('\n');
  return rows.find((row) => row.startsWith(`${queue}\t`)) ?? '';
};

test('the queue of a route is made if it is missing, and durable', async () => {
  const queue = bystander.freeQueueName();
  await closing(new InstanceQueue(url)).send({ queue, body: 1 });
  const row = (await broker.queues()).find(({ name }) => name === queue);
  expect(row).toMatchObject({ durable: true, ready: 1 });
});

test('a queue that is there is used as it is, whatever its arguments', async () => {
  const queue = await bystander.declareQueue({ arguments: { 'x-max-length': 5 }, durable: true });
  expect(await closing(new InstanceQueue(url)).send({ queue, body: 1 })).toMatchObject({ attempts: 1 });
  expect((await bystander.count(queue)).ready).toBe(1);
});

test('a queue deleted under a running producer comes back, and no message sent after is lost', async () => {
  const queue = bystander.freeQueueName();
  const front = closing(new InstanceQueue(url));
  await front.send({ queue, body: 'before' });
  await bystander.deleteQueue(queue);
  const confirmed = await Promise.all([1, 2, 3].map((body) => front.send({ queue, body })));
  expect(confirmed.map(({ attempts }) => attempts)).toEqual([2, 2, 2]);
  expect(bodies(await bystander.takeAtLeast(queue, 3))).toEqual([1, 2, 3]);
});

test('a queue deleted again and again under a stream of sends loses only what died with it', async () => {
  const queue = bystander.freeQueueName();
  const front = closing(new InstanceQueue(url));
  await front.send({ queue, body: 'first' });
  const sends: Promise<unknown>[] = [];
  for (let round = 0; round < 5; round++) {
    sends.push(...Array.from({ length: 100 }, (_, i) => front.send({ queue, body: round * 100 + i })));
    await bystander.deleteQueue(queue);
  }
  await Promise.allSettled(sends);
  await front.send({ queue, body: 'last' });
  // Whatever is sent behind the last deletion is there, and it works as if nothing had been.
  expect(bodies(await bystander.takeAtLeast(queue, 1)).at(-1)).toBe('last');
  expect(front.health.outbox).toMatchObject({ queued: 0, unconfirmed: 0 });
});

test('the name of a queue that the topology knows means its entry there', async () => {
  const queue = bystander.freeQueueName();
  const front = closing(
    new InstanceQueue({ url, topology: { queues: [{ name: queue, type: 'quorum', deliveryLimit: 3 }] } }),
  );
  await front.send({ queue, body: 1 });
  expect(await argumentsOf(queue)).toMatch(/x-queue-type.*quorum/);
  // Deleted under the producer, it is declared as the topology says, too.
  await bystander.deleteQueue(queue);
  await front.send({ queue, body: 2 });
  expect(await argumentsOf(queue)).toMatch(/x-queue-type.*quorum/);
});

test('the spec of a consumer is what a send to that queue declares', async () => {
  const queue = bystander.freeQueueName();
  const front = closing(new InstanceQueue(url));
  const deliveries$ = front.consume({ queue: { name: queue, type: 'quorum' } });
  await front.send({ queue, body: 'sent first' });
  expect(await argumentsOf(queue)).toMatch(/x-queue-type.*quorum/);
  const handled = await firstValueFrom(deliveries$.pipe(handle(({ body }) => body)));
  expect(handled).toMatchObject({ value: 'sent first', settlement: 'ack' });
});

test('a send does not take an exclusive queue away from its consumer', async () => {
  const queue = bystander.freeQueueName();
  const front = closing(new InstanceQueue({ url, reopen: { min: 10, max: 10 } }));
  const deliveries$ = front.consume({ queue: { name: queue, exclusive: true } });
  // Before anybody consumes the queue does not exist, and is nobody's but the consumer's to make.
  expect(await publishError(front.send({ queue, body: 'early' }))).toMatchObject({ code: 'PUBLISH_RETURNED' });
  const received: unknown[] = [];
  deliveries$.pipe(handle(({ body }) => received.push(body))).subscribe();
  await eventually(() => front.health.consumers[0]?.status === 'attached');
  await front.send({ queue, body: 'late' });
  await eventually(() => received.includes('late'));
});

test('`declare: false` declares nothing', async () => {
  const queue = bystander.freeQueueName();
  const producer = closing(
    new Producer(closing(new Connection(url)), { declare: false, topology: { queues: [{ name: queue }] } }),
  );
  expect(await publishError(producer.send({ queue, body: 1 }))).toMatchObject({ code: 'PUBLISH_RETURNED' });
  expect(await bystander.hasQueue(queue)).toBe(false);
});

test('a user who may only write sends to what is there', async () => {
  const queue = await bystander.declareQueue();
  await broker.ctl('add_user', queue, 'secret');
  await broker.ctl('set_permissions', queue, '^$', '.*', '^$');
  const target = new URL(url);
  target.username = queue;
  target.password = 'secret';
  const front = closing(new InstanceQueue(target.href));
  try {
    expect(await front.send({ queue, body: 1 })).toMatchObject({ attempts: 1 });
    expect((await bystander.count(queue)).ready).toBe(1);
  } finally {
    await front.close();
    await broker.ctl('delete_user', queue);
  }
});

test('an exclusive queue of another connection can be sent to', async () => {
  const queue = await bystander.declareQueue({ exclusive: true, durable: false });
  expect(await closing(new InstanceQueue(url)).send({ queue, body: 1 })).toMatchObject({ attempts: 1 });
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual([1]);
});
