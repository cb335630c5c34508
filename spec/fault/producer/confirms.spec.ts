import { Connection, Producer, type ProducerOptions } from 'instance-queue';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { closeAll, closing } from '../../support/closing';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

afterEach(closeAll);

/** A producer at a broker that plays a script, each connection with its number. */
async function scripted(script: (client: FakeClient, number: number) => void, options: ProducerOptions = {}) {
  const fake = closing(await FakeBroker.start(script));
  const quick = { min: 5, max: 10 };
  const connection = closing(new Connection({ url: fake.url, reconnect: quick, reopen: quick }));
  const producer = closing(new Producer(connection, { declare: false, ...options }));
  return { fake, connection, producer };
}
const client = async (fake: FakeBroker, number = 1): Promise<FakeClient> => eventually(() => fake.clients[number - 1]);

const ack = (to: FakeClient, deliveryTag: number, multiple = false) =>
  to.send(channelOf(to), 'basic.ack', { deliveryTag, multiple });
const nack = (to: FakeClient, deliveryTag: number, multiple = false) =>
  to.send(channelOf(to), 'basic.nack', { deliveryTag, multiple, requeue: false });
const channelOf = (of: FakeClient): number => of.published.at(-1)!.channel;
const published = (to: FakeClient): string[] => to.published.map(({ body }) => body.toString());

const quiet = (to: FakeClient): void => {
  to.autoConfirm = false;
};

test('confirms are taken in any order, one or many at a time', async () => {
  const { fake, producer } = await scripted(quiet, { onNack: 'reject' });
  const sends = Array.from({ length: 10 }, (_, body) => producer.send({ queue: 'q', body }));
  const settled: number[] = [];
  sends.forEach(
    (sent, i) =>
      void sent.then(
        () => settled.push(i),
        () => settled.push(-i),
      ),
  );
  const broker = await client(fake);
  await eventually(() => broker.published.length === 10);
  ack(broker, 10);
  await eventually(() => settled.length === 1);
  ack(broker, 5, true);
  await eventually(() => settled.length === 6);
  nack(broker, 7);
  await eventually(() => settled.length === 7);
  ack(broker, 6);
  ack(broker, 9, true);
  await eventually(() => settled.length === 10);
  expect(settled).toEqual([9, 0, 1, 2, 3, 4, -6, 5, 7, 8]);
  expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
});

test('one nack can be of many', async () => {
  const { fake, producer, connection } = await scripted(quiet, { onNack: 'reject' });
  const sends = outcomes([1, 2, 3, 4].map((body) => producer.send({ queue: 'q', body })));
  const broker = await client(fake);
  await eventually(() => broker.published.length === 4);
  nack(broker, 3, true);
  ack(broker, 4);
  expect(await sends).toEqual(['PUBLISH_NACKED', 'PUBLISH_NACKED', 'PUBLISH_NACKED', 'confirmed']);
  expect(connection.core.counters).toMatchObject({ nacked: 3, confirmed: 1 });
});

test('what was nacked is sent again, in its order, with the same id', async () => {
  const { fake, producer } = await scripted(quiet);
  const sends = [1, 2, 3].map((body) => producer.send({ queue: 'q', body }));
  const broker = await client(fake);
  await eventually(() => broker.published.length === 3);
  nack(broker, 2);
  nack(broker, 1);
  ack(broker, 3);
  await eventually(() => broker.published.length === 5);
  ack(broker, 5, true);
  expect((await Promise.all(sends)).map(({ attempts }) => attempts)).toEqual([2, 2, 1]);
  expect(published(broker)).toEqual(['1', '2', '3', '1', '2']);
  const id = (i: number): unknown => broker.published[i]?.properties['messageId'];
  expect([id(3), id(4)]).toEqual([id(0), id(1)]);
});

test('a channel that does nothing but nack is replaced, on the same connection', async () => {
  let nackingChannel = 0;
  const { fake, producer, connection } = await scripted((broker) => {
    quiet(broker);
    broker.onMethod('basic.publish', (_, channel) => {
      nackingChannel ||= channel;
      const { tag } = broker.published.filter((message) => message.channel === channel).at(-1)!;
      if (broker.received.filter(({ name }) => name === 'channel.open').length === 1) nack(broker, tag);
      else ack(broker, tag);
      return 'default';
    });
  });
  const { attempts } = await producer.send({ queue: 'q', body: 1 });
  expect(attempts).toBeGreaterThan(2);
  const broker = await client(fake);
  expect(broker.received.filter(({ name }) => name === 'channel.open')).toHaveLength(2);
  expect(broker.received.filter(({ name }) => name === 'channel.close')).toHaveLength(1);
  expect(fake.clients).toHaveLength(1);
  expect(connection.core.counters).toMatchObject({ reopens: 1, reconnects: 0, nacked: attempts - 1 });
});

test('a return of an attempt that was lost says nothing about the next', async () => {
  const { fake, producer } = await scripted((broker, number) => {
    if (number > 1) return;
    quiet(broker);
    broker.onMethod('basic.publish', () => {
      broker.sendReturn(broker.published.at(-1)!);
      // Behind the return, lest that is lost as well.
      setImmediate(() => broker.end());
    });
  });
  expect(await producer.send({ exchange: 'e', body: 1 })).toMatchObject({ attempts: 2, epoch: 2 });
  expect(fake.clients).toHaveLength(2);
});

test('a return before a nack is a nack', async () => {
  const { fake, producer } = await scripted(quiet, { onNack: 'reject' });
  const sent = publishError(producer.send({ exchange: 'e', body: 1 }));
  const broker = await client(fake);
  await eventually(() => broker.published.length === 1);
  broker.sendReturn(broker.published[0]!);
  nack(broker, 1);
  expect(await sent).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: false });
});

test('a nack of a second attempt does not hide that the first may have arrived', async () => {
  const { fake, producer } = await scripted(quiet, { onNack: 'reject' });
  const sent = publishError(producer.send({ queue: 'q', body: 1 }));
  const first = await client(fake, 1);
  await eventually(() => first.published.length === 1);
  first.reset();
  const second = await client(fake, 2);
  await eventually(() => second.published.length === 1);
  nack(second, 1);
  expect(await sent).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
});

test('blocked and unblocked again, a producer holds its messages and goes on', async () => {
  const { fake, producer, connection } = await scripted(() => undefined);
  await producer.send({ queue: 'q', body: 0 });
  const broker = await client(fake);
  broker.send(0, 'connection.blocked', { reason: 'low on memory' });
  await eventually(() => connection.core.blocked === 'low on memory');
  const sent = producer.send({ queue: 'q', body: 1 });
  const hasty = publishError(producer.send({ queue: 'q', body: 2 }, { timeout: 30 }));
  expect(await hasty).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
  expect((await hasty).message).toMatch(/blocks publishing/);
  expect(broker.published).toHaveLength(1);
  broker.send(0, 'connection.unblocked');
  expect(await sent).toMatchObject({ attempts: 1, epoch: 1 });
  expect(published(broker)).toEqual(['0', '1']);
});

test('a connection lost while blocked is not blocked when it is back', async () => {
  const { fake, producer, connection } = await scripted(() => undefined);
  await producer.send({ queue: 'q', body: 0 });
  const broker = await client(fake);
  broker.send(0, 'connection.blocked', { reason: 'low on memory' });
  await eventually(() => connection.core.blocked !== undefined);
  const sent = producer.send({ queue: 'q', body: 1 });
  broker.reset();
  expect(await sent).toMatchObject({ attempts: 1, epoch: 2 });
});
