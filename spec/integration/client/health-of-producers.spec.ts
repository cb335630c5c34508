import { InstanceQueue } from 'instance-queue';
import { of } from 'rxjs';
import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const { url } = sharedBroker();
const reopen = { min: 10, max: 20 };
afterEach(closeAll);

/** What its producer needs and does not declare. */
const needing = (name: string) => ({ topology: { queues: [{ name, passive: true }] } });

it('is up when a producer that was used can confirm, and counts no producer that was not', async () => {
  const bystander = closing(await Bystander.at(url));
  const queue = closing(new InstanceQueue(url));
  await queue.connect();
  queue.producer();
  expect(queue.health).toMatchObject({ status: 'up', producers: [] });
  await queue.send({ queue: await bystander.declareQueue(), body: 1 });
  expect(queue.health).toMatchObject({ status: 'up', producers: [{ status: 'open', epoch: 1 }] });
});

it.each<[string, (queue: InstanceQueue, name: string) => Promise<unknown>]>([
  ['both connections', (queue) => queue.connect()],
  [
    'a consumer',
    (queue, name) => {
      queue.consume({ queue: name }).subscribe();
      return until(queue.health$, ({ status }) => status === 'up');
    },
  ],
])('stays up, with %s up before, while the first message opens what it needs', async (_what, use) => {
  const bystander = closing(await Bystander.at(url));
  const name = await bystander.declareQueue();
  const queue = closing(new InstanceQueue(url));
  await use(queue, name);
  const seen = new Set<string>();
  queue.health$.subscribe(({ status }) => seen.add(status));
  await queue.send({ queue: name, body: 1 });
  await queue.producer().send({ queue: name, body: 2 });
  expect([...seen]).toEqual(['up']);
  expect(queue.health.producers).toMatchObject([{ status: 'open' }, { status: 'open' }]);
});

it('is degraded when the channel of a producer does not open for a second, however well its connection is', async () => {
  let silent = true;
  const fake = closing(
    await FakeBroker.start((client) => {
      client.onMethod('confirm.select', () => (silent ? undefined : 'default'));
    }),
  );
  const queue = closing(new InstanceQueue({ url: fake.url, reconnect: reopen }));
  await queue.connect();
  const sent = queue.send({ queue: 'q', body: 1 });
  await eventually(() => fake.clients.some(({ received }) => received.some(({ name }) => name === 'confirm.select')));
  // Up for the second that opening a channel may take.
  expect(queue.health).toMatchObject({ status: 'up', producers: [{ status: 'opening' }] });
  await until(queue.health$, ({ status }) => status === 'degraded');
  expect(queue.health).toMatchObject({
    connections: { producer: { status: 'connected' } },
    producers: [{ status: 'opening' }],
  });
  silent = false;
  for (const client of fake.clients) client.reset();
  await sent;
  await until(queue.health$, ({ status }) => status === 'up');
});

it('says why a producer cannot confirm, is down when that lasts, and up when it is mended', async () => {
  const bystander = closing(await Bystander.at(url));
  const name = bystander.freeQueueName();
  const queue = closing(new InstanceQueue({ url, reopen, downAfter: 150 }));
  await queue.connect();
  const producer = queue.producer(needing(name));
  const sent = producer.send({ queue: name, body: 1 });
  const settled = outcomes([sent]);
  const seen: string[] = [];
  queue.health$.subscribe(({ status }) => {
    if (seen.at(-1) !== status) seen.push(status);
  });
  const told = await until(queue.health$, ({ producers: [first] }) => first?.status === 'opening' && !!first.cause);
  expect(told.producers).toMatchObject([{ cause: { code: 'CHANNEL_CLOSED', replyCode: 404 } }]);
  await until(queue.health$, ({ status }) => status === 'down');
  await bystander.declareQueue({}, name);
  await until(queue.health$, ({ status }) => status === 'up');
  expect(seen).toEqual(['up', 'degraded', 'down', 'up']);
  expect(await settled).toEqual(['confirmed']);
});

it('is down while a producer has given up, until that is closed', async () => {
  const bystander = closing(await Bystander.at(url));
  const name = bystander.freeQueueName();
  const queue = closing(new InstanceQueue({ url, reopen: { ...reopen, initialAttempts: 2 } }));
  await queue.connect();
  const producer = queue.producer(needing(name));
  const error = await publishError(producer.send({ queue: name, body: 1 }));
  expect(error.code).toBe('PUBLISH_CLOSED');
  expect(queue.health).toMatchObject({ status: 'down', producers: [{ status: 'stopped', cause: error.cause }] });
  await producer.close();
  expect(queue.health).toMatchObject({ status: 'up', producers: [] });
});

it('counts a pause on purpose as up', async () => {
  const bystander = closing(await Bystander.at(url));
  const queue = closing(new InstanceQueue(url));
  queue.consume({ queue: await bystander.declareQueue(), pause: of(true) }).subscribe();
  const { consumers } = await until(queue.health$, ({ status }) => status === 'up');
  expect(consumers).toMatchObject([{ status: 'paused' }]);
});
