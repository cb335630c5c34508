import { Producer, type ProducerOptions } from 'instance-queue';
import type { FakeBroker, FakeClient } from '../../support/fake-broker/fake-broker';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { start } = fakeBrokerFixture();

/** A producer at a scripted broker. */
async function scripted(script: (client: FakeClient, number: number) => void, options: ProducerOptions = {}) {
  const { fake, connection } = await start(script);
  const producer = closing(new Producer(connection, { declare: false, ...options }));
  return { fake, connection, producer };
}
/** The connection of this number, from 1. */
const client = async (fake: FakeBroker, number = 1): Promise<FakeClient> => eventually(() => fake.clients[number - 1]);

const ack = (to: FakeClient, deliveryTag: number, multiple = false) =>
  to.send(channelOf(to), 'basic.ack', { deliveryTag, multiple });
const nack = (to: FakeClient, deliveryTag: number, multiple = false) =>
  to.send(channelOf(to), 'basic.nack', { deliveryTag, multiple, requeue: false });
const channelOf = (of: FakeClient): number => of.published.at(-1)!.channel;
const published = (to: FakeClient): string[] => to.published.map(({ body }) => body.toString());

const withoutConfirms = (to: FakeClient): void => {
  to.autoConfirm = false;
};

test('confirms settle sends in any order, one or several at a time', async () => {
  const { fake, producer } = await scripted(withoutConfirms, { onNack: 'reject' });
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

test('a nack with `multiple` settles several sends', async () => {
  const { fake, producer, connection } = await scripted(withoutConfirms, { onNack: 'reject' });
  const sends = outcomes([1, 2, 3, 4].map((body) => producer.send({ queue: 'q', body })));
  const broker = await client(fake);
  await eventually(() => broker.published.length === 4);
  nack(broker, 3, true);
  ack(broker, 4);
  expect(await sends).toEqual(['PUBLISH_NACKED', 'PUBLISH_NACKED', 'PUBLISH_NACKED', 'confirmed']);
  expect(connection.core.counters).toMatchObject({ nacked: 3, confirmed: 1 });
});

test('nacked messages are sent again with their ids, in order', async () => {
  const { fake, producer } = await scripted(withoutConfirms);
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

test('a channel that gets nothing but nacks is replaced on the same connection', async () => {
  let nackingChannel = 0;
  const { fake, producer, connection } = await scripted((broker) => {
    withoutConfirms(broker);
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

test('a return of a lost attempt does not settle the next attempt', async () => {
  const { fake, producer } = await scripted((broker, number) => {
    if (number > 1) return;
    withoutConfirms(broker);
    broker.onMethod('basic.publish', () => {
      broker.sendReturn(broker.published.at(-1)!);
      // After the return, so that the client still reads it.
      setImmediate(() => broker.end());
    });
  });
  expect(await producer.send({ exchange: 'e', body: 1 })).toMatchObject({ attempts: 2, epoch: 2 });
  expect(fake.clients).toHaveLength(2);
});

test('a message that is returned and then nacked rejects as nacked', async () => {
  const { fake, producer } = await scripted(withoutConfirms, { onNack: 'reject' });
  const sent = publishError(producer.send({ exchange: 'e', body: 1 }));
  const broker = await client(fake);
  await eventually(() => broker.published.length === 1);
  broker.sendReturn(broker.published[0]!);
  nack(broker, 1);
  expect(await sent).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: false });
});

test('a nack of a second attempt does not rule out that the first one arrived', async () => {
  const { fake, producer } = await scripted(withoutConfirms, { onNack: 'reject' });
  const sent = publishError(producer.send({ queue: 'q', body: 1 }));
  const first = await client(fake, 1);
  await eventually(() => first.published.length === 1);
  first.reset();
  const second = await client(fake, 2);
  await eventually(() => second.published.length === 1);
  nack(second, 1);
  expect(await sent).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
});

test('a producer sends nothing while it is blocked, and goes on afterwards', async () => {
  const { fake, producer, connection } = await scripted(() => undefined);
  await producer.send({ queue: 'q', body: 0 });
  const broker = await client(fake);
  broker.send(0, 'connection.blocked', { reason: 'low on memory' });
  await eventually(() => connection.core.blocked === 'low on memory');
  const sent = producer.send({ queue: 'q', body: 1 });
  const timedOut = publishError(producer.send({ queue: 'q', body: 2 }, { timeout: 30 }));
  expect(await timedOut).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
  expect((await timedOut).message).toMatch(/blocks publishing/);
  expect(broker.published).toHaveLength(1);
  broker.send(0, 'connection.unblocked');
  expect(await sent).toMatchObject({ attempts: 1, epoch: 1 });
  expect(published(broker)).toEqual(['0', '1']);
});

test('a connection that is lost while blocked is not blocked when it is back', async () => {
  const { fake, producer, connection } = await scripted(() => undefined);
  await producer.send({ queue: 'q', body: 0 });
  const broker = await client(fake);
  broker.send(0, 'connection.blocked', { reason: 'low on memory' });
  await eventually(() => connection.core.blocked !== undefined);
  const sent = producer.send({ queue: 'q', body: 1 });
  broker.reset();
  expect(await sent).toMatchObject({ attempts: 1, epoch: 2 });
});
