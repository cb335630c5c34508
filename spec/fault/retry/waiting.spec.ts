import { InstanceQueue, handle, type Message } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { retryingConsumer } from '../../support/retrying-consumer';
import { eventually, until } from '../../support/waiting';

const broker = privateBroker();
const { url } = broker;
let bystander: Bystander;
let queue: string;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  queue = await bystander.declareQueue();
});
afterEach(async () => {
  await broker.memoryAlarm(false);
  await closeAll();
});

const waitQueue = (delay: number): string => bystander.deletesQueue(`${queue}.retry.${String(delay)}`);
const onceBad = ({ body, deliveryCount }: Message<unknown>): boolean => body === 'bad' && deliveryCount === 0;

test('while the producing connection is blocked the original stays unacked, and its neighbours are acked', async () => {
  waitQueue(50);
  const front = closing(new InstanceQueue(url));
  const elsewhere = bystander.freeQueueName();
  await front.send({ queue: elsewhere, body: 'before' });
  await bystander.put(queue, 'bad', ...Array.from({ length: 30 }, (_, i) => i));
  await broker.memoryAlarm(true);
  // RabbitMQ blocks a connection at its next publish.
  const blocked = front.send({ queue: elsewhere, body: 'blocked' });
  await until(front.health$, (health) => health.blocked !== undefined);
  const settled: unknown[] = [];
  const work = (message: Message<unknown>): void => {
    if (onceBad(message)) throw new Error('bad');
  };
  front
    .consume({ queue })
    .pipe(handle(work, { onError: front.retry({ attempts: 2, delay: 50 }) }))
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
  const wait = waitQueue(50);
  const { front, handled } = retryingConsumer(url, queue, { attempts: 2, delay: 50 }, onceBad);
  await front.send({ queue, body: 'bad' });
  await eventually(() => handled.values.length === 2);
  for (let round = 2; round <= 4; round++) {
    await bystander.deleteQueue(wait);
    await front.send({ queue, body: 'bad' });
    await eventually(() => handled.values.length === 2 * round);
  }
  expect(handled.values.every(({ settlement, sent }) => settlement === 'ack' && sent)).toBe(true);
  expect(front.metrics.retried).toBe(4);
});

test('a waiting message survives a broker that is killed', async () => {
  const wait = waitQueue(8000);
  const quick = { min: 20, max: 100 };
  const { front, runs } = retryingConsumer({ url, reconnect: quick, reopen: quick }, queue, {
    attempts: 2,
    delay: 8000,
  });
  await front.send({ queue, body: 'bad', messageId: 'm1' });
  await eventually(async () => (await bystander.hasQueue(wait)) && (await bystander.count(wait)).ready === 1);
  // RabbitMQ writes its queue definitions to disk with a delay; killed before, it forgets a new queue.
  await broker.ctl('eval', 'catch mnesia:sync_log().');
  await broker.kill();
  await broker.start();
  bystander = closing(await Bystander.at(url));
  await eventually(() => runs.length === 2, 25_000);
  const [first, second] = runs.map(({ message }) => message);
  expect(first).toMatchObject({ properties: { messageId: 'm1' }, deliveryCount: 0 });
  // RabbitMQ 4.3 marks messages of a queue that was not shut down as redelivered.
  const told = Number(second?.redelivered);
  expect(second).toMatchObject({ properties: { messageId: 'm1' }, deliveryCount: 1 + told });
  for (const name of [queue, wait]) bystander.deletesQueue(name);
}, 60_000);

test('a user without permission to declare it uses a wait queue that another client has declared', async () => {
  const wait = waitQueue(50);
  await bystander.declareQueue(
    {
      arguments: { 'x-message-ttl': 50, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue },
    },
    wait,
  );
  await broker.ctl('add_user', queue, 'secret');
  await broker.ctl('set_permissions', queue, '^$', '.*', '.*');
  const target = new URL(url);
  target.username = queue;
  target.password = 'secret';
  try {
    const { front, runs } = retryingConsumer(target.href, queue, { attempts: 3, delay: 50 });
    await bystander.put(queue, 'bad');
    await eventually(() => runs.length === 3);
    await front.close();
  } finally {
    await broker.ctl('delete_user', queue);
  }
});

test('closing while a copy cannot be confirmed returns the original to its queue', async () => {
  waitQueue(50);
  const front = closing(new InstanceQueue(url));
  await front.send({ queue, body: 'bad' });
  await broker.memoryAlarm(true);
  const settled: unknown[] = [];
  let asked = false;
  void front.send({ queue: bystander.freeQueueName(), body: 'blocked' }).catch(() => undefined);
  await until(front.health$, (health) => health.blocked !== undefined);
  front
    .consume({ queue })
    .pipe(
      handle(() => Promise.reject(new Error('bad')), {
        onError: async (error, message) => {
          asked = true;
          const settlement = await front.retry({ attempts: 9, delay: 50 })(error, message);
          settled.push(settlement);
          return settlement;
        },
      }),
    )
    .subscribe();
  await eventually(() => asked);
  expect(await front.close({ drainTimeout: 200 })).toMatchObject({ unsettled: 1 });
  expect(settled).toEqual(['requeue']);
  await broker.memoryAlarm(false);
  await eventually(async () => (await bystander.count(queue)).ready === 1);
});
