import { type PublishError } from 'instance-queue';
import { bodies, ids } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { outcomes, publishError } from '../../support/publish-error';
import { uniqueName } from '../../support/unique-name';

const given = producingFixture();

let exchange: string;

beforeEach(async () => {
  exchange = given.bystander.freeExchangeName();
  await given.bystander.onChannel(async (channel) => {
    await channel.assertExchange(exchange, 'direct', { durable: true });
    await channel.bindQueue(given.queue, exchange, 'known');
  });
});

test('an unroutable message rejects with the reply of the broker', async () => {
  const producer = given.newProducer();
  const returned: PublishError[] = [];
  producer.on('returned', (cause) => returned.push(cause));
  const error = await publishError(producer.send({ exchange, routingKey: 'nowhere', body: 1, messageId: 'lonely' }));
  expect(error).toMatchObject({
    code: 'PUBLISH_RETURNED',
    messageId: 'lonely',
    replyCode: 312,
    maybeDelivered: false,
    retryable: false,
  });
  expect(error.message).toContain(`exchange \`${exchange}\` with routing key \`nowhere\``);
  expect(returned).toEqual([error]);
});

test('each return settles its own message, among many others', async () => {
  const { bystander, newClient, queue } = given;
  const client = newClient();
  const keys = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 'known' : 'nowhere'));
  const settled = await outcomes(keys.map((routingKey, body) => client.send({ exchange, routingKey, body })));
  expect(settled).toEqual(keys.map((key) => (key === 'known' ? 'confirmed' : 'PUBLISH_RETURNED')));
  const arrived = bodies(await bystander.takeAtLeast(queue, 100));
  expect(arrived).toEqual(keys.flatMap((key, i) => (key === 'known' ? [i] : [])));
  expect(client.metrics).toMatchObject({ sent: 200, confirmed: 100, returned: 100, resent: 0, timedOut: 0 });
});

test('of messages with the same id, those that were returned reject', async () => {
  const { bystander, newClient, queue } = given;
  const client = newClient();
  const twins = ['known', 'nowhere', 'known', 'nowhere', 'nowhere', 'known'];
  const settled = await outcomes(
    twins.map((routingKey, body) => client.send({ exchange, routingKey, body, messageId: 'twin' })),
  );
  expect(settled).toEqual(twins.map((key) => (key === 'known' ? 'confirmed' : 'PUBLISH_RETURNED')));
  const arrived = await bystander.takeAtLeast(queue, 3);
  expect(bodies(arrived)).toEqual([0, 2, 5]);
  expect(ids(arrived)).toEqual(['twin', 'twin', 'twin']);
});

test('of two messages with the same id and routing key, the one to the exchange without a queue rejects', async () => {
  const { bystander, newClient } = given;
  const bare = bystander.freeExchangeName();
  await bystander.onChannel((channel) => channel.assertExchange(bare, 'direct'));
  const client = newClient();
  const message = { routingKey: 'known', messageId: 'twin' };
  const settled = await outcomes(
    [exchange, bare].map((name, body) => client.send({ ...message, exchange: name, body })),
  );
  expect(settled).toEqual(['confirmed', 'PUBLISH_RETURNED']);
});

test('of two messages with the same id and route, a return belongs to the mandatory one', async () => {
  const client = given.newClient();
  const message = { exchange, routingKey: 'nowhere', body: 1, messageId: 'twin' };
  const settled = await outcomes([client.send({ ...message, mandatory: false }), client.send(message)]);
  expect(settled).toEqual(['confirmed', 'PUBLISH_RETURNED']);
});

test('an unroutable message that is not mandatory is confirmed', async () => {
  const nowhere = { exchange, routingKey: 'nowhere', body: 1 };
  const mandatory = given.newProducer();
  const optional = given.newProducer({ mandatory: false });
  const settled = await outcomes([
    mandatory.send({ ...nowhere, mandatory: false }),
    optional.send(nowhere),
    optional.send({ ...nowhere, mandatory: true }),
  ]);
  expect(settled).toEqual(['confirmed', 'confirmed', 'PUBLISH_RETURNED']);
});

test('with `declare: false` a missing queue rejects its own messages, and no others', async () => {
  const { bystander, queue, newProducer } = given;
  const producer = newProducer({ declare: false });
  const missing = uniqueName('missing');
  const gone = publishError(producer.send({ queue: missing, body: 1 }));
  const there = producer.send({ queue, body: 2 });
  expect((await gone).message).toContain(`queue \`${missing}\``);
  expect(await gone).toMatchObject({ code: 'PUBLISH_RETURNED', maybeDelivered: false });
  expect(await there).toMatchObject({ attempts: 1 });
  expect(await bystander.hasQueue(missing)).toBe(false);
});
