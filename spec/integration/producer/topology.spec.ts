import { bodies, ids } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { numbers } from '../../support/numbers';
import { outcomes, publishError } from '../../support/publish-error';
import { uniqueName } from '../../support/unique-name';
import { eventually } from '../../support/waiting';

const reopen = { min: 10, max: 20 };
const given = producingFixture({ connection: { reopen } });
let queue: string;
let exchange: string;

beforeEach(() => {
  queue = given.bystander.freeQueueName();
  exchange = given.bystander.freeExchangeName();
});

const topology = () =>
  ({
    exchanges: [{ name: exchange, type: 'topic' }],
    queues: [{ name: queue }],
    bindings: [{ exchange, queue, routingKey: '#' }],
  }) as const;

test('the topology is declared before the first message is sent', async () => {
  const { bystander, newClient } = given;
  const client = newClient({ topology: topology() });
  expect(await client.send({ exchange, routingKey: 'a.b', body: 1 })).toMatchObject({ attempts: 1 });
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual([1]);
});

test('a topology that contradicts the broker rejects the waiting messages, with the cause', async () => {
  const { bystander, newClient } = given;
  await bystander.declareQueue({ arguments: { 'x-max-length': 3 } }, queue);
  const client = newClient({ topology: topology(), reopen });
  const sends = [1, 2].map((body) => client.send({ exchange, routingKey: 'k', body }));
  expect(await outcomes(sends)).toEqual(['PUBLISH_REFUSED', 'PUBLISH_REFUSED']);
  const error = await publishError(sends[0]!);
  expect(error).toMatchObject({ replyCode: 406, retryable: false, maybeDelivered: false });
  expect(error.message).toMatch(/topology.*x-max-length/s);
  expect(error.cause).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406 });
  // Once the queue is deleted, the same producer goes on.
  await bystander.deleteQueue(queue);
  await eventually(
    async () => (await outcomes([client.send({ exchange, routingKey: 'k', body: 3 })]))[0] === 'confirmed',
  );
});

test('an exchange of the topology that is deleted is declared again, and no message is refused', async () => {
  const { bystander, newClient } = given;
  const client = newClient({ topology: topology(), reopen });
  await client.send({ exchange, routingKey: 'k', body: 'before' });
  await bystander.onChannel((channel) => channel.deleteExchange(exchange));
  const sends = Array.from({ length: 20 }, (_, body) => client.send({ exchange, routingKey: 'k', body }));
  const confirmed = await Promise.all(sends);
  expect(new Set(confirmed.map(({ attempts }) => attempts))).toEqual(new Set([2]));
  const messages = await bystander.takeAtLeast(queue, 21);
  expect(new Set(ids(messages)).size).toBe(21);
  expect(bodies(messages)).toEqual(['before', ...numbers(20)]);
});

test('with `declare: false` a missing exchange of the topology refuses its messages', async () => {
  const producer = given.newProducer({ topology: topology(), declare: false });
  expect(await publishError(producer.send({ exchange, routingKey: 'k', body: 1 }))).toMatchObject({
    code: 'PUBLISH_REFUSED',
    replyCode: 404,
  });
});

test('messages wait for a missing passive exchange, which is used once it exists', async () => {
  const { bystander, newProducer } = given;
  const passive = { exchanges: [{ name: exchange, type: 'fanout', passive: true }] };
  const producer = newProducer({ topology: passive });
  const sent = producer.send({ exchange, body: 1 });
  // The exchange may still be declared elsewhere, so a 404 is retried.
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout'));
  expect(await publishError(sent)).toMatchObject({ code: 'PUBLISH_RETURNED' });
  expect(await producer.send({ exchange, body: 2, mandatory: false })).toMatchObject({ attempts: 1 });
});

test('a passive exchange that is deleted is not declared: a message in flight is refused, later ones wait', async () => {
  const { bystander, newProducer } = given;
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout'));
  const passive = { exchanges: [{ name: exchange, type: 'fanout', passive: true }] };
  const producer = newProducer({ topology: passive, mandatory: false });
  await producer.send({ exchange, body: 1 });
  await bystander.onChannel((channel) => channel.deleteExchange(exchange));
  expect(await publishError(producer.send({ exchange, body: 2 }))).toMatchObject({
    code: 'PUBLISH_REFUSED',
    replyCode: 404,
  });
  const waiting = producer.send({ exchange, body: 3 });
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout'));
  expect(await waiting).toMatchObject({ attempts: 1 });
});

test('two producers on one connection may have the same topology', async () => {
  const { bystander, newProducer } = given;
  const producers = [1, 2].map(() => newProducer({ topology: topology() }));
  await Promise.all(producers.map((producer, body) => producer.send({ exchange, routingKey: 'k', body })));
  expect((await bystander.count(queue)).ready).toBe(2);
});

test('a refused topology of one producer does not affect another', async () => {
  const { bystander, connection, newProducer } = given;
  await bystander.declareQueue({ arguments: { 'x-max-length': 3 } }, queue);
  const wrong = newProducer({ topology: topology() });
  const right = newProducer();
  const [refused, confirmed] = await outcomes([wrong.send({ queue, body: 1 }), right.send({ queue, body: 2 })]);
  expect([refused, confirmed]).toEqual(['PUBLISH_REFUSED', 'confirmed']);
  expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
});

test('the topology is declared again after the loss of the connection', async () => {
  const { newClient, proxy } = given;
  const own = uniqueName('own');
  const client = newClient({
    reconnect: { min: 10, max: 10 },
    topology: {
      queues: [{ name: own, exclusive: true }],
      exchanges: [{ name: exchange, type: 'fanout', autoDelete: true }],
      bindings: [{ exchange, queue: own }],
    },
  });
  await client.send({ exchange, body: 1 });
  proxy.cut();
  // The exclusive queue was deleted with the connection, and the exchange with its last binding.
  expect(await client.send({ exchange, body: 2 })).toMatchObject({ epoch: 2 });
});
