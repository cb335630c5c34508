import { Connection, InstanceQueue, Producer } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { bodies, ids } from '../../support/brokers/messages';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
const reopen = { min: 10, max: 20 };
let bystander: Bystander;
let queue: string;
let exchange: string;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  queue = bystander.freeQueueName();
  exchange = bystander.freeExchangeName();
});
afterEach(closeAll);

const topology = () =>
  ({
    exchanges: [{ name: exchange, type: 'topic' }],
    queues: [{ name: queue }],
    bindings: [{ exchange, queue, routingKey: '#' }],
  }) as const;

test('the topology stands before the first message goes out', async () => {
  const front = closing(new InstanceQueue({ url, topology: topology() }));
  expect(await front.send({ exchange, routingKey: 'a.b', body: 1 })).toMatchObject({ attempts: 1 });
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual([1]);
});

test('a topology that differs from what stands there rejects what waits, with the reason', async () => {
  await bystander.declareQueue({ arguments: { 'x-max-length': 3 } }, queue);
  const front = closing(new InstanceQueue({ url, topology: topology(), reopen }));
  const sends = [1, 2].map((body) => front.send({ exchange, routingKey: 'k', body }));
  expect(await outcomes(sends)).toEqual(['PUBLISH_REFUSED', 'PUBLISH_REFUSED']);
  const error = await publishError(sends[0]!);
  expect(error).toMatchObject({ replyCode: 406, retryable: false, maybeDelivered: false });
  expect(error.message).toMatch(/topology.*x-max-length/s);
  expect(error.cause).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406 });
  // Once somebody has mended it, the same producer goes on.
  await bystander.deleteQueue(queue);
  await eventually(
    async () => (await outcomes([front.send({ exchange, routingKey: 'k', body: 3 })]))[0] === 'confirmed',
  );
});

test('an exchange of the topology deleted under the producer is declared again, and nobody is refused', async () => {
  const front = closing(new InstanceQueue({ url, topology: topology(), reopen }));
  await front.send({ exchange, routingKey: 'k', body: 'before' });
  await bystander.onChannel((channel) => channel.deleteExchange(exchange));
  const sends = Array.from({ length: 20 }, (_, body) => front.send({ exchange, routingKey: 'k', body }));
  const confirmed = await Promise.all(sends);
  expect(new Set(confirmed.map(({ attempts }) => attempts))).toEqual(new Set([2]));
  const messages = await bystander.takeAtLeast(queue, 21);
  expect(new Set(ids(messages)).size).toBe(21);
  expect(bodies(messages)).toEqual(['before', ...Array.from({ length: 20 }, (_, i) => i)]);
});

test('a topology that nobody declares does not excuse a missing exchange', async () => {
  const connection = closing(new Connection({ url, reopen }));
  const producer = closing(new Producer(connection, { topology: topology(), declare: false }));
  expect(await publishError(producer.send({ exchange, routingKey: 'k', body: 1 }))).toMatchObject({
    code: 'PUBLISH_REFUSED',
    replyCode: 404,
  });
});

test('a passive exchange that is missing refuses what waits, and is used once it is there', async () => {
  const passive = { exchanges: [{ name: exchange, type: 'fanout', passive: true }] };
  const producer = closing(new Producer(closing(new Connection({ url, reopen })), { topology: passive }));
  const sent = producer.send({ exchange, body: 1 });
  // 404 may mend itself: it waits.
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout'));
  expect(await publishError(sent)).toMatchObject({ code: 'PUBLISH_RETURNED' });
  expect(await producer.send({ exchange, body: 2, mandatory: false })).toMatchObject({ attempts: 1 });
});

test('a passive exchange deleted under the producer is nobody else’s to declare: its messages wait for it', async () => {
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout'));
  const passive = { exchanges: [{ name: exchange, type: 'fanout', passive: true }] };
  const producer = closing(
    new Producer(closing(new Connection({ url, reopen })), { topology: passive, mandatory: false }),
  );
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

test('two producers with the same topology on one connection do not disturb each other', async () => {
  const connection = closing(new Connection(url));
  const producers = [1, 2].map(() => closing(new Producer(connection, { topology: topology() })));
  await Promise.all(producers.map((producer, body) => producer.send({ exchange, routingKey: 'k', body })));
  expect((await bystander.count(queue)).ready).toBe(2);
});

test('a wrong topology of one producer is no matter of another', async () => {
  await bystander.declareQueue({ arguments: { 'x-max-length': 3 } }, queue);
  const connection = closing(new Connection({ url, reopen }));
  const wrong = closing(new Producer(connection, { topology: topology() }));
  const right = closing(new Producer(connection));
  const [refused, confirmed] = await outcomes([wrong.send({ queue, body: 1 }), right.send({ queue, body: 2 })]);
  expect([refused, confirmed]).toEqual(['PUBLISH_REFUSED', 'confirmed']);
  expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
});

test('the topology is declared anew after a loss', async () => {
  const proxy = closing(await FaultProxy.before(url));
  const own = uniqueName('own');
  const front = closing(
    new InstanceQueue({
      url: proxy.url(url),
      reconnect: { min: 10, max: 10 },
      topology: {
        queues: [{ name: own, exclusive: true }],
        exchanges: [{ name: exchange, type: 'fanout', autoDelete: true }],
        bindings: [{ exchange, queue: own }],
      },
    }),
  );
  await front.send({ exchange, body: 1 });
  proxy.cut();
  // The exclusive queue died with the connection, and the exchange with its last binding.
  expect(await front.send({ exchange, body: 2 })).toMatchObject({ epoch: 2 });
});
