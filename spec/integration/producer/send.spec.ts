import type { MessageProperties } from 'amqplib';
import { Connection, InstanceQueue, Producer, bytes, json, text } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
let bystander: Bystander;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
});
afterEach(closeAll);

test('a confirmed send says the id, the attempts and the connection', async () => {
  const queue = bystander.freeQueueName();
  const front = closing(new InstanceQueue(url));
  const named = await front.send({ queue, body: 1, messageId: 'mine' });
  expect(named).toEqual({ messageId: 'mine', attempts: 1, epoch: 1 });
  const unnamed = await front.send({ queue, body: 2 });
  expect(unnamed.messageId).toMatch(/^[0-9a-f-]{36}$/);
  expect(bodies(await bystander.takeAtLeast(queue, 2))).toEqual([1, 2]);
});

test('the epoch of a confirmation grows with the connection', async () => {
  const queue = bystander.freeQueueName();
  const connection = closing(new Connection(url));
  const producer = closing(new Producer(connection));
  expect(await producer.send({ queue, body: 1 })).toMatchObject({ epoch: 1 });
  connection.reconnect();
  expect(await producer.send({ queue, body: 2 })).toMatchObject({ epoch: 2 });
});

test('all properties of a message arrive as they were given', async () => {
  const queue = await bystander.declareQueue({ maxPriority: 9 });
  const front = closing(new InstanceQueue(url));
  // The first send opens everything: from here on nothing waits, and nothing of the expiration is spent.
  await front.send({ queue, body: 'first' });
  const nested = { deep: [1, 'two', null, true], buffer: Buffer.from('raw') };
  await front.send({
    queue,
    body: { id: 7 },
    messageId: 'the-id',
    correlationId: 'the-correlation',
    replyTo: 'answers',
    type: 'order.made',
    appId: 'spec',
    userId: decodeURIComponent(new URL(url).username),
    contentEncoding: 'utf-8',
    timestamp: new Date('2026-01-02T03:04:05.678Z'),
    expiration: 3_600_000,
    priority: 3,
    headers: { attempt: 1, ratio: 0.5, big: 2 ** 40, nested },
  });
  const [message] = (await bystander.takeAtLeast(queue, 2)).filter(
    ({ properties }) => properties.messageId === 'the-id',
  );
  expect(JSON.parse(String(message?.content))).toEqual({ id: 7 });
  const properties: MessageProperties = message!.properties;
  expect(properties).toMatchObject({
    messageId: 'the-id',
    correlationId: 'the-correlation',
    replyTo: 'answers',
    type: 'order.made',
    appId: 'spec',
    userId: decodeURIComponent(new URL(url).username),
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    timestamp: Math.floor(Date.parse('2026-01-02T03:04:05.678Z') / 1000),
    priority: 3,
    deliveryMode: 2,
    headers: { attempt: 1, ratio: 0.5, big: 2 ** 40, nested },
  });
  expect(Number(properties.expiration)).toBeGreaterThan(3_599_000);
  expect(Number(properties.expiration)).toBeLessThanOrEqual(3_600_000);
});

test('what a message does not say is not on the wire', async () => {
  const queue = bystander.freeQueueName();
  await closing(new InstanceQueue(url)).send({ queue, body: 1, messageId: 'bare' });
  const [message] = await bystander.takeAtLeast(queue, 1);
  const given = Object.entries(message!.properties).filter(([, value]) => value !== undefined);
  expect(Object.fromEntries(given)).toEqual({
    messageId: 'bare',
    contentType: 'application/json',
    deliveryMode: 2,
    headers: {},
  });
});

test('the content type is that of the codec, unless the message names its own', async () => {
  const queue = bystander.freeQueueName();
  const connection = closing(new Connection(url));
  const buffer = Buffer.from([0, 255]);
  await closing(new Producer(connection)).send({ queue, body: { a: 1 } });
  await closing(new Producer(connection)).send({ queue, body: buffer });
  await closing(new Producer<string>(connection, { codec: text })).send({ queue, body: 'ä' });
  await closing(new Producer<Buffer>(connection, { codec: bytes })).send({ queue, body: buffer });
  await closing(new Producer(connection, { codec: json() })).send({
    queue,
    body: [1],
    contentType: 'application/vnd.spec+json',
  });
  const messages = await bystander.takeAtLeast(queue, 5);
  expect(messages.map(({ properties }) => properties.contentType as unknown)).toEqual([
    'application/json',
    undefined,
    'text/plain; charset=utf-8',
    'application/octet-stream',
    'application/vnd.spec+json',
  ]);
  expect(messages.map(({ content }) => content.toString('latin1'))).toEqual([
    '{"a":1}',
    '\x00\xff',
    '\xc3\xa4',
    '\x00\xff',
    '[1]',
  ]);
});

test('messages are persistent unless the producer or the message says otherwise', async () => {
  const queue = bystander.freeQueueName();
  const connection = closing(new Connection(url));
  const usual = closing(new Producer(connection));
  const fleeting = closing(new Producer(connection, { persistent: false }));
  await usual.send({ queue, body: 1 });
  await usual.send({ queue, body: 2, persistent: false });
  await fleeting.send({ queue, body: 3 });
  await fleeting.send({ queue, body: 4, persistent: true });
  const messages = await bystander.takeAtLeast(queue, 4);
  expect(messages.map(({ properties }) => properties.deliveryMode as unknown)).toEqual([2, 1, 1, 2]);
});

test('a large body goes out in frames and arrives whole', async () => {
  const queue = bystander.freeQueueName();
  const body = Buffer.alloc(3 * 1024 * 1024, 'large');
  await closing(new InstanceQueue(url)).send({ queue, body });
  const [message] = await bystander.takeAtLeast(queue, 1);
  expect(message!.content.equals(body)).toBe(true);
});

test('an empty body is a message like any other', async () => {
  const queue = bystander.freeQueueName();
  await closing(new InstanceQueue(url)).send({ queue, body: Buffer.alloc(0) });
  const [message] = await bystander.takeAtLeast(queue, 1);
  expect(message!.content).toHaveLength(0);
});

test('headers changed after send are not changed in the message', async () => {
  const queue = bystander.freeQueueName();
  const front = closing(new InstanceQueue(url));
  const headers = { number: 0 };
  const sends = [1, 2, 3].map((number) => {
    headers.number = number;
    return front.send({ queue, body: number, headers });
  });
  await Promise.all(sends);
  const messages = await bystander.takeAtLeast(queue, 3);
  expect(messages.map(({ properties }) => properties.headers?.['number'] as unknown)).toEqual([1, 2, 3]);
});

test('sends without awaiting arrive in their order', async () => {
  const queue = bystander.freeQueueName();
  const front = closing(new InstanceQueue(url));
  const numbers = Array.from({ length: 3000 }, (_, i) => i);
  await Promise.all(numbers.map((body) => front.send({ queue, body })));
  expect(bodies(await bystander.takeAtLeast(queue, 3000))).toEqual(numbers);
});

test('two producers share a connection, each with a channel of its own', async () => {
  const queue = bystander.freeQueueName();
  const connection = closing(new Connection({ url, name: queue }));
  const one = closing(new Producer(connection));
  const two = closing(new Producer(connection));
  await Promise.all([one.send({ queue, body: 1 }), two.send({ queue, body: 2 })]);
  const mine = async (): Promise<number> =>
    (await sharedBroker().channels()).filter(({ connection: name, confirm }) => name === queue && confirm).length;
  expect(await mine()).toBe(2);
  await one.close();
  expect(await two.send({ queue, body: 3 })).toMatchObject({ attempts: 1 });
  await eventually(async () => (await mine()) === 1);
});
