import { writtenDefinitions } from '../../support/brokers/written-definitions';
import { asUser } from '../../support/brokers/as-user';
import { handle, type Message } from 'instance-queue';
import { OWN } from '../../../lib/own-headers';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { retryingConsumer } from '../../support/retrying-consumer';
import { eventually, until } from '../../support/waiting';

const given = consumingFixture({ memoryAlarm: true });
const { broker, url } = given;

const waitQueue = (delay: number): string => given.bystander.deletesQueue(`${given.queue}.retry.${String(delay)}`);
/** Fails a message 'bad' once. */
const failsOnce = ({ body, deliveryCount }: Message<unknown>): boolean => body === 'bad' && deliveryCount === 0;

test('while the producing connection is blocked, the failed message stays unacked, and others are acked', async () => {
  const { bystander, newClient, queue } = given;
  waitQueue(50);
  const client = newClient();
  const elsewhere = bystander.freeQueueName();
  await client.send({ queue: elsewhere, body: 'before' });
  await bystander.put(queue, 'bad', ...numbers(30));
  await broker.memoryAlarm(true);
  // RabbitMQ blocks a connection at its next publish.
  const blocked = client.send({ queue: elsewhere, body: 'blocked' });
  await until(client.health$, (health) => health.blocked !== undefined);
  const settled: unknown[] = [];
  const work = (message: Message<unknown>): void => {
    if (failsOnce(message)) throw new Error('bad');
  };
  client
    .consume({ queue })
    .pipe(handle(work, { onError: client.retry({ attempts: 2, delay: 50 }) }))
    .subscribe(({ message, settlement }) => settled.push([message.body, settlement]));
  await eventually(() => settled.length === 30);
  expect(settled).not.toContainEqual(['bad', 'ack']);
  await eventually(async () => (await broker.queues()).find(({ name }) => name === queue)?.unacknowledged === 1);
  await broker.memoryAlarm(false);
  await blocked;
  await eventually(() => settled.length === 32);
  expect(settled.slice(30)).toEqual([
    ['bad', 'ack'],
    ['bad', 'ack'],
  ]);
});

test('a wait queue that is deleted is declared again, and no failed message is lost', async () => {
  const { bystander, queue } = given;
  const wait = waitQueue(50);
  const { client, handled } = retryingConsumer(url, queue, { attempts: 2, delay: 50 }, failsOnce);
  await client.send({ queue, body: 'bad' });
  await eventually(() => handled.values.length === 2);
  for (let round = 2; round <= 4; round++) {
    await bystander.deleteQueue(wait);
    await client.send({ queue, body: 'bad' });
    await eventually(() => handled.values.length === 2 * round);
  }
  expect(handled.values.every(({ settlement, sent }) => settlement === 'ack' && sent)).toBe(true);
  expect(client.metrics.retried).toBe(4);
});

test('a waiting message survives if the broker is killed', async () => {
  const { bystander, queue } = given;
  const wait = waitQueue(8000);
  const quick = { min: 20, max: 100 };
  const { client, runs } = retryingConsumer({ url, reconnect: quick, reopen: quick }, queue, {
    attempts: 2,
    delay: 8000,
  });
  await client.send({ queue, body: 'bad', messageId: 'm1' });
  await eventually(async () => (await bystander.hasQueue(wait)) && (await bystander.count(wait)).ready === 1);
  await writtenDefinitions(broker);
  await broker.kill();
  await broker.start();
  // Its original may come again, too: the broker writes an ack to disk a little later.
  const copy = await eventually(
    () => runs.find(({ message }) => message.properties.headers?.[OWN.attempts] !== undefined)?.message,
    25_000,
  );
  expect(runs[0]?.message).toMatchObject({ properties: { messageId: 'm1' }, deliveryCount: 0 });
  // RabbitMQ 4.3 marks messages of a queue that was not shut down as redelivered.
  const redelivered = Number(copy.redelivered);
  expect(copy).toMatchObject({ properties: { messageId: 'm1' }, deliveryCount: 1 + redelivered });
  for (const name of [queue, wait]) bystander.deletesQueue(name);
}, 60_000);

test('a user without the configure permission can use a wait queue that exists', async () => {
  const { bystander, queue } = given;
  const wait = waitQueue(50);
  await bystander.declareQueue(
    {
      arguments: { 'x-message-ttl': 50, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue },
    },
    wait,
  );
  await asUser(broker, { name: queue, configure: '^$', write: '.*', read: '.*' }, async (userUrl) => {
    const { client, runs } = retryingConsumer(userUrl, queue, { attempts: 3, delay: 50 });
    await bystander.put(queue, 'bad');
    await eventually(() => runs.length === 3);
    await client.close();
  });
});

test('a close while a copy cannot be confirmed requeues the original', async () => {
  const { bystander, newClient, queue } = given;
  waitQueue(50);
  const client = newClient();
  await client.send({ queue, body: 'bad' });
  await broker.memoryAlarm(true);
  const settled: unknown[] = [];
  let called = false;
  void client.send({ queue: bystander.freeQueueName(), body: 'blocked' }).catch(() => undefined);
  await until(client.health$, (health) => health.blocked !== undefined);
  client
    .consume({ queue })
    .pipe(
      handle(() => Promise.reject(new Error('bad')), {
        onError: async (error, message) => {
          called = true;
          const settlement = await client.retry({ attempts: 9, delay: 50 })(error, message);
          settled.push(settlement);
          return settlement;
        },
      }),
    )
    .subscribe();
  await eventually(() => called);
  expect(await client.close({ drainTimeout: 200 })).toMatchObject({ unsettled: 1 });
  expect(settled).toEqual(['requeue']);
  await broker.memoryAlarm(false);
  await eventually(async () => (await bystander.count(queue)).ready === 1);
});
