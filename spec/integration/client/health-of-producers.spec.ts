import { InstanceQueue } from 'instance-queue';
import { of } from 'rxjs';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const given = rabbitmqFixture();
const { start } = fakeBrokerFixture();
const reopen = { min: 10, max: 20 };

/** Options of a producer that needs a queue and does not declare it. */
const needing = (name: string) => ({ topology: { queues: [{ name, passive: true }] } });

it('health is up when every producer in use can confirm; unused producers do not count', async () => {
  const { bystander, newClient } = given;
  const client = newClient();
  await client.connect();
  client.producer();
  expect(client.health).toMatchObject({ status: 'up', producers: [] });
  await client.send({ queue: await bystander.declareQueue(), body: 1 });
  expect(client.health).toMatchObject({ status: 'up', producers: [{ status: 'open', epoch: 1 }] });
});

it.each<[string, (client: InstanceQueue, name: string) => Promise<unknown>]>([
  ['both connections', (client) => client.connect()],
  [
    'a consumer',
    (client, name) => {
      client.consume({ queue: name }).subscribe();
      return until(client.health$, ({ status }) => status === 'up');
    },
  ],
])('health stays up, with %s up before, while the first message opens its channel', async (_what, use) => {
  const { bystander, newClient } = given;
  const name = await bystander.declareQueue();
  const client = newClient();
  await use(client, name);
  const seen = new Set<string>();
  client.health$.subscribe(({ status }) => seen.add(status));
  await client.send({ queue: name, body: 1 });
  await client.producer().send({ queue: name, body: 2 });
  expect([...seen]).toEqual(['up']);
  expect(client.health.producers).toMatchObject([{ status: 'open' }, { status: 'open' }]);
});

it('health is degraded if the channel of a producer does not open within a second, even if its connection is up', async () => {
  let silent = true;
  const { fake } = await start((peer) => {
    peer.onMethod('confirm.select', () => (silent ? undefined : 'default'));
  });
  const client = closing(new InstanceQueue({ url: fake.url, reconnect: reopen }));
  await client.connect();
  const sent = client.send({ queue: 'q', body: 1 });
  await eventually(() => fake.clients.some(({ received }) => received.some(({ name }) => name === 'confirm.select')));
  // Still up during the second that opening a channel may take.
  expect(client.health).toMatchObject({ status: 'up', producers: [{ status: 'opening' }] });
  await until(client.health$, ({ status }) => status === 'degraded');
  expect(client.health).toMatchObject({
    connections: { producer: { status: 'connected' } },
    producers: [{ status: 'opening' }],
  });
  silent = false;
  for (const peer of fake.clients) peer.reset();
  await sent;
  await until(client.health$, ({ status }) => status === 'up');
});

it('health has the cause why a producer cannot confirm, is down if that lasts, and up afterwards', async () => {
  const { bystander, newClient } = given;
  const name = bystander.freeQueueName();
  const client = newClient({ reopen, downAfter: 150 });
  await client.connect();
  const producer = client.producer(needing(name));
  const sent = producer.send({ queue: name, body: 1 });
  const settled = outcomes([sent]);
  const seen: string[] = [];
  client.health$.subscribe(({ status }) => {
    if (seen.at(-1) !== status) seen.push(status);
  });
  const degraded = await until(
    client.health$,
    ({ producers: [first] }) => first?.status === 'opening' && !!first.cause,
  );
  expect(degraded.producers).toMatchObject([{ cause: { code: 'CHANNEL_CLOSED', replyCode: 404 } }]);
  await until(client.health$, ({ status }) => status === 'down');
  await bystander.declareQueue({}, name);
  await until(client.health$, ({ status }) => status === 'up');
  expect(seen).toEqual(['up', 'degraded', 'down', 'up']);
  expect(await settled).toEqual(['confirmed']);
});

it('health is down while a producer has given up, until that is closed', async () => {
  const { bystander, newClient } = given;
  const name = bystander.freeQueueName();
  const client = newClient({ reopen: { ...reopen, initialAttempts: 2 } });
  await client.connect();
  const producer = client.producer(needing(name));
  const error = await publishError(producer.send({ queue: name, body: 1 }));
  expect(error.code).toBe('PUBLISH_CLOSED');
  expect(client.health).toMatchObject({ status: 'down', producers: [{ status: 'stopped', cause: error.cause }] });
  await producer.close();
  expect(client.health).toMatchObject({ status: 'up', producers: [] });
});

it('health counts a paused consumer as up', async () => {
  const { bystander, newClient } = given;
  const client = newClient();
  client.consume({ queue: await bystander.declareQueue(), pause: of(true) }).subscribe();
  const { consumers } = await until(client.health$, ({ status }) => status === 'up');
  expect(consumers).toMatchObject([{ status: 'paused' }]);
});
