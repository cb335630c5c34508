import type { MessageProperties } from 'amqplib';
import { Producer, bytes, json, text } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { closing } from '../../support/closing';
import { producingFixture } from '../../support/fixtures/producing';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

const given = producingFixture();

test('a confirmation holds the message id, the attempts and the epoch of the connection', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  const client = newClient();
  const named = await client.send({ queue, body: 1, messageId: 'mine' });
  expect(named).toEqual({ messageId: 'mine', attempts: 1, epoch: 1 });
  const unnamed = await client.send({ queue, body: 2 });
  expect(unnamed.messageId).toMatch(/^[0-9a-f-]{36}$/);
  expect(bodies(await bystander.takeAtLeast(queue, 2))).toEqual([1, 2]);
});

test('the epoch of a confirmation grows with each connection', async () => {
  const { bystander, connection, newProducer } = given;
  const queue = bystander.freeQueueName();
  const producer = newProducer();
  expect(await producer.send({ queue, body: 1 })).toMatchObject({ epoch: 1 });
  connection.reconnect();
  expect(await producer.send({ queue, body: 2 })).toMatchObject({ epoch: 2 });
});

test('all properties of a message arrive unchanged', async () => {
  const { url, bystander, newClient } = given;
  const queue = await bystander.declareQueue({ maxPriority: 9 });
  const client = newClient();
  // The first send opens the connection. Waiting for that would shorten the expiration of the next one.
  await client.send({ queue, body: 'first' });
  const nested = { deep: [1, 'two', null, true], buffer: Buffer.from('raw') };
  await client.send({
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

test('properties that a message leaves out are not sent', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  await newClient().send({ queue, body: 1, messageId: 'bare' });
  const [message] = await bystander.takeAtLeast(queue, 1);
  const properties = Object.entries(message!.properties).filter(([, value]) => value !== undefined);
  expect(Object.fromEntries(properties)).toEqual({
    messageId: 'bare',
    contentType: 'application/json',
    deliveryMode: 2,
    headers: {},
  });
});

test('the content type is that of the codec, unless the message names its own', async () => {
  const { bystander, connection, newProducer } = given;
  const queue = bystander.freeQueueName();
  const buffer = Buffer.from([0, 255]);
  await newProducer().send({ queue, body: { a: 1 } });
  await newProducer().send({ queue, body: buffer });
  await closing(new Producer<string>(connection, { codec: text })).send({ queue, body: 'ä' });
  await closing(new Producer<Buffer>(connection, { codec: bytes })).send({ queue, body: buffer });
  await newProducer({ codec: json() }).send({
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
  const { bystander, newProducer } = given;
  const queue = bystander.freeQueueName();
  const usual = newProducer();
  const transient = newProducer({ persistent: false });
  await usual.send({ queue, body: 1 });
  await usual.send({ queue, body: 2, persistent: false });
  await transient.send({ queue, body: 3 });
  await transient.send({ queue, body: 4, persistent: true });
  const messages = await bystander.takeAtLeast(queue, 4);
  expect(messages.map(({ properties }) => properties.deliveryMode as unknown)).toEqual([2, 1, 1, 2]);
});

test('a large body is sent in several frames and arrives whole', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  const body = Buffer.alloc(3 * 1024 * 1024, 'large');
  await newClient().send({ queue, body });
  const [message] = await bystander.takeAtLeast(queue, 1);
  expect(message!.content.equals(body)).toBe(true);
});

test('an empty body is a message like any other', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  await newClient().send({ queue, body: Buffer.alloc(0) });
  const [message] = await bystander.takeAtLeast(queue, 1);
  expect(message!.content).toHaveLength(0);
});

test('changing the headers after send does not change the message', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  const client = newClient();
  const headers = { number: 0 };
  const sends = [1, 2, 3].map((number) => {
    headers.number = number;
    return client.send({ queue, body: number, headers });
  });
  await Promise.all(sends);
  const messages = await bystander.takeAtLeast(queue, 3);
  expect(messages.map(({ properties }) => properties.headers?.['number'] as unknown)).toEqual([1, 2, 3]);
});

test('messages sent without awaiting arrive in order', async () => {
  const { bystander, newClient } = given;
  const queue = bystander.freeQueueName();
  const client = newClient();
  const sent = numbers(3000);
  await Promise.all(sent.map((body) => client.send({ queue, body })));
  expect(bodies(await bystander.takeAtLeast(queue, 3000))).toEqual(sent);
});

test('two producers share a connection, and each has its own channel', async () => {
  const { broker, bystander, newConnection } = given;
  const queue = bystander.freeQueueName();
  const connection = newConnection({ name: queue });
  const one = closing(new Producer(connection));
  const two = closing(new Producer(connection));
  await Promise.all([one.send({ queue, body: 1 }), two.send({ queue, body: 2 })]);
  const confirmChannels = async (): Promise<number> =>
    (await broker.channels()).filter(({ connection: name, confirm }) => name === queue && confirm).length;
  expect(await confirmChannels()).toBe(2);
  await one.close();
  expect(await two.send({ queue, body: 3 })).toMatchObject({ attempts: 1 });
  await eventually(async () => (await confirmChannels()) === 1);
});
