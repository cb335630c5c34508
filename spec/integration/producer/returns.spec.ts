import { Connection, InstanceQueue, Producer, type PublishError } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { bodies, ids } from '../../support/brokers/messages';
import { outcomes, publishError } from '../../support/publish-error';

const { url } = sharedBroker();
let bystander: Bystander;
let queue: string;
let exchange: string;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  queue = await bystander.declareQueue();
  exchange = bystander.freeExchangeName();
  await bystander.onChannel(async (channel) => {
    await channel.assertExchange(exchange, 'direct', { durable: true });
    await channel.bindQueue(queue, exchange, 'known');
  });
});
afterEach(closeAll);

test('a message that no queue takes rejects with what the broker said', async () => {
  const producer = closing(new Producer(closing(new Connection(url))));
  const told: PublishError[] = [];
  producer.on('returned', (cause) => told.push(cause));
  const error = await publishError(producer.send({ exchange, routingKey: 'nowhere', body: 1, messageId: 'lonely' }));
  expect(error).toMatchObject({
    code: 'PUBLISH_RETURNED',
    messageId: 'lonely',
    replyCode: 312,
    maybeDelivered: false,
    retryable: false,
  });
  expect(error.message).toContain(`exchange \`${exchange}\` with routing key \`nowhere\``);
  expect(told).toEqual([error]);
});

test('each of many returns settles its own message, whatever goes on beside it', async () => {
  const front = closing(new InstanceQueue(url));
  const keys = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 'known' : 'nowhere'));
  const settled = await outcomes(keys.map((routingKey, body) => front.send({ exchange, routingKey, body })));
  expect(settled).toEqual(keys.map((key) => (key === 'known' ? 'confirmed' : 'PUBLISH_RETURNED')));
  const arrived = bodies(await bystander.takeAtLeast(queue, 100));
  expect(arrived).toEqual(keys.flatMap((key, i) => (key === 'known' ? [i] : [])));
  expect(front.metrics).toMatchObject({ sent: 200, confirmed: 100, returned: 100, resent: 0, timedOut: 0 });
});

test('of two messages with one id, the one that came back is the one rejected', async () => {
  const front = closing(new InstanceQueue(url));
  const twins = ['known', 'nowhere', 'known', 'nowhere', 'nowhere', 'known'];
  const settled = await outcomes(
    twins.map((routingKey, body) => front.send({ exchange, routingKey, body, messageId: 'twin' })),
  );
  expect(settled).toEqual(twins.map((key) => (key === 'known' ? 'confirmed' : 'PUBLISH_RETURNED')));
  const arrived = await bystander.takeAtLeast(queue, 3);
  expect(bodies(arrived)).toEqual([0, 2, 5]);
  expect(ids(arrived)).toEqual(['twin', 'twin', 'twin']);
});

test('of two messages with one id and one key, the one whose exchange knows no queue is the one rejected', async () => {
  const bare = bystander.freeExchangeName();
  await bystander.onChannel((channel) => channel.assertExchange(bare, 'direct'));
  const front = closing(new InstanceQueue(url));
  const message = { routingKey: 'known', messageId: 'twin' };
  const settled = await outcomes(
    [exchange, bare].map((name, body) => front.send({ ...message, exchange: name, body })),
  );
  expect(settled).toEqual(['confirmed', 'PUBLISH_RETURNED']);
});

test('of two messages with one id and one route, a return is of the one that asked for it', async () => {
  const front = closing(new InstanceQueue(url));
  const message = { exchange, routingKey: 'nowhere', body: 1, messageId: 'twin' };
  const settled = await outcomes([front.send({ ...message, mandatory: false }), front.send(message)]);
  expect(settled).toEqual(['confirmed', 'PUBLISH_RETURNED']);
});

test('a message that is not mandatory may go nowhere', async () => {
  const connection = closing(new Connection(url));
  const nowhere = { exchange, routingKey: 'nowhere', body: 1 };
  const usual = closing(new Producer(connection));
  const easy = closing(new Producer(connection, { mandatory: false }));
  const settled = await outcomes([
    usual.send({ ...nowhere, mandatory: false }),
    easy.send(nowhere),
    easy.send({ ...nowhere, mandatory: true }),
  ]);
  expect(settled).toEqual(['confirmed', 'confirmed', 'PUBLISH_RETURNED']);
});

test('a missing queue that nobody may declare rejects its message alone', async () => {
  const producer = closing(new Producer(closing(new Connection(url)), { declare: false }));
  const missing = uniqueName('missing');
  const gone = publishError(producer.send({ queue: missing, body: 1 }));
  const there = producer.send({ queue, body: 2 });
  expect((await gone).message).toContain(`queue \`${missing}\``);
  expect(await gone).toMatchObject({ code: 'PUBLISH_RETURNED', maybeDelivered: false });
  expect(await there).toMatchObject({ attempts: 1 });
  expect(await bystander.hasQueue(missing)).toBe(false);
});
