import { asUser } from '../../support/brokers/as-user';
import { InstanceQueue } from 'instance-queue';
import { complaint, delays, randomDelays } from '../../lab/delay/random-delays';
import { bodies } from '../../support/brokers/messages';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { numbers } from '../../support/numbers';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = rabbitmqFixture();

/** All messages of a queue, with those that it tries to dead-letter. */
const held = async (queue: string): Promise<number | undefined> =>
  (await given.broker.queues()).find(({ name }) => name === queue)?.messages;

// The short form of `npm run delays`.
test.each(['quorum', 'classic'] as const)(
  'random delays in %s queues: nothing lost, nothing early',
  async (delayIn) => {
    const { bystander, newClient } = given;
    const queue = bystander.freeQueueName();
    const client = newClient({ producer: { delayIn } });
    await client.admin.declare({ queues: [{ name: queue, type: delayIn }] });
    const lateness = await delays(client, queue, randomDelays(300, 100, 5000), { rate: 100 });
    // How late, is a question of how busy this machine is.
    expect(complaint(delayIn, { ...lateness, p99: 0 })).toEqual([]);
    expect(lateness.duplicates).toBe(0);
  },
);

test('messages for a queue that is gone, or full, wait beside it, and hold up no others', async () => {
  const { bystander, newClient } = given;
  const [gone, full] = [bystander.freeQueueName(), bystander.freeQueueName()];
  const other = await bystander.declareQueue();
  const client = newClient();
  await client.admin.declare({
    queues: [{ name: gone }, { name: full, maxLength: 1, overflow: 'reject-publish' }],
  });
  const landings = [gone, full].map((name) =>
    bystander.deletesQueue(`instance-queue.delay.v1.quorum.to-queue.${name}`),
  );
  await client.send({ queue: full, body: 'full' });
  // A queue hands over 32 dead letters at a time.
  await Promise.all(
    [gone, full].flatMap((queue) => numbers(40).map((body) => client.send({ queue, body, delay: 3000 }))),
  );
  await bystander.deleteQueue(gone);
  await eventually(async () => (await held(landings[0]!)) === 40 && (await held(landings[1]!)) === 40);
  // The guide says how to see them instead.
  for (const landing of landings) expect(await client.admin.inspect(landing)).toEqual({ messages: 0, consumers: 0 });
  const arrived = collect(client.consume({ queue: other, noAck: true }));
  await client.send({ queue: other, body: 1, delay: 400 });
  await eventually(() => arrived.values.length === 1);
});

test('another client sees the exchange, the routing key and the properties that were sent', async () => {
  const { bystander, newClient } = given;
  const exchange = bystander.freeExchangeName();
  const queue = await bystander.declareQueue();
  await bystander.onChannel(async (channel) => {
    await channel.assertExchange(exchange, 'topic');
    await channel.bindQueue(queue, exchange, '#');
  });
  bystander.deletesQueue(`instance-queue.delay.v1.quorum.to-exchange.${exchange}`);
  await newClient().send({ exchange, routingKey: 'orders.paid', body: 1, messageId: 'm1', priority: 2, delay: 100 });
  const [message] = await bystander.takeAtLeast(queue, 1);
  expect(message?.fields).toMatchObject({ exchange, routingKey: 'orders.paid' });
  expect(message?.properties).toMatchObject({ messageId: 'm1', priority: 2, deliveryMode: 2 });
});

test('in an exchange of the classic kind, too, each message ends where it should', async () => {
  const { bystander, newClient } = given;
  const exchange = bystander.freeExchangeName();
  const [eu, us] = [await bystander.declareQueue(), await bystander.declareQueue()];
  await bystander.onChannel(async (channel) => {
    await channel.assertExchange(exchange, 'direct');
    await channel.bindQueue(eu, exchange, 'eu');
    await channel.bindQueue(us, exchange, 'us');
  });
  const client = newClient({ producer: { delayIn: 'classic' } });
  await client.send({ exchange, routingKey: 'eu', body: 'eu', delay: 100 });
  await client.send({ exchange, routingKey: 'us', body: 'us', delay: 120 });
  expect(bodies(await bystander.takeAtLeast(eu, 1))).toEqual(['eu']);
  expect(bodies(await bystander.takeAtLeast(us, 1))).toEqual(['us']);
});

test('messages of a high priority do not make others late', async () => {
  const { bystander, newClient } = given;
  const queue = await bystander.declareQueue();
  const client = newClient();
  const arrived = collect(client.consume({ queue, noAck: true }));
  await client.send({ queue, body: 'warm', priority: 9, delay: 2000 });
  await client.send({ queue, body: 'warm', delay: 2000 });
  await eventually(() => arrived.values.length === 2);
  const began = performance.now();
  await client.send({ queue, body: 'normal', delay: 2000 });
  let high = 0;
  while (arrived.values.every(({ body }) => body !== 'normal') && performance.now() < began + 8000) {
    await client.send({ queue, body: `high ${String(high++)}`, priority: 9, delay: 2000 });
    const next = began + high * 100;
    await eventually(() => performance.now() >= next);
  }
  expect(performance.now() - began).toBeLessThan(4000);
});

test('a user without the configure permission can use levels that exist', async () => {
  const { broker, bystander, newClient } = given;
  const queue = await bystander.declareQueue();
  await newClient().send({ queue, body: 1, delay: 200 });
  await bystander.takeAtLeast(queue, 1);
  await asUser(broker, { name: queue, configure: '^$', write: '.*', read: '.*' }, async (userUrl) => {
    await using restricted = new InstanceQueue(userUrl);
    await restricted.send({ queue, body: 2, delay: 200 });
    expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual([2]);
  });
});

test('messages that are sent together wait each for its own time', async () => {
  const { bystander, newClient } = given;
  const queue = await bystander.declareQueue();
  const client = newClient();
  const delays = [600, 0, 200];
  const confirmed = await client.sendAll(delays.map((delay) => ({ queue, body: delay, delay })));
  expect(confirmed).toHaveLength(3);
  expect(bodies(await bystander.takeAtLeast(queue, 3))).toEqual([0, 200, 600]);
});

test('a wrong delay among messages that are sent together refuses them all', async () => {
  const { bystander, newClient } = given;
  const queue = await bystander.declareQueue();
  const sent = newClient().sendAll([
    { queue, body: 1 },
    { queue, body: 2, delay: -1 },
  ]);
  expect(await publishError(sent)).toMatchObject({ code: 'PUBLISH_INVALID' });
  expect((await bystander.count(queue)).ready).toBe(0);
});

test('8 years are accepted, and wait', async () => {
  const { bystander, newClient } = given;
  const queue = await bystander.declareQueue();
  const client = newClient();
  await client.send({ queue, body: 1, delay: 8 * 365 * 86_400_000 });
  const level = 'instance-queue.delay.v1.quorum.37';
  await eventually(async () => (await held(level)) === 1);
  expect(await client.admin.purge(level)).toBe(1);
});
