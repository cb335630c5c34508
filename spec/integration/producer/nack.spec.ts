import { bodies, ids } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { heldBytes } from '../../support/memory';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = producingFixture({ connection: { reopen: { min: 10, max: 10 } } });

/** A queue that nacks every message: it is full. */
let full: string;

beforeEach(async () => {
  full = await given.bystander.declareQueue({ arguments: { 'x-max-length': 2, 'x-overflow': 'reject-publish' } });
  await given.bystander.put(full, 'a', 'b');
});

test('a message to a full queue is sent again until there is room', async () => {
  const { bystander, connection, newProducer } = given;
  const producer = newProducer();
  const sent = producer.send({ queue: full, body: 'c', messageId: 'patient' });
  await eventually(() => connection.core.counters.nacked > 0);
  await bystander.purge(full);
  const { attempts } = await sent;
  expect(attempts).toBeGreaterThan(1);
  expect(connection.core.counters).toMatchObject({ sent: 1, confirmed: 1, nacked: attempts - 1, resent: attempts - 1 });
  const messages = await bystander.takeAtLeast(full, 1);
  expect([ids(messages), bodies(messages)]).toEqual([['patient'], ['c']]);
});

test('messages that wait for a full queue arrive in order, and do not hold up others', async () => {
  const { bystander, proxy, connection, newProducer } = given;
  const other = bystander.freeQueueName();
  const producer = newProducer();
  const waiting = [1, 2].map((body) => producer.send({ queue: full, body }));
  await eventually(() => connection.core.counters.nacked >= 2);
  for (let body = 0; body < 20; body++) await producer.send({ queue: other, body });
  // Both wait for their next attempt, or are in one.
  const { queued, unconfirmed } = producer.outbox;
  expect(queued + unconfirmed).toBe(2);
  // Otherwise the purge may come between two messages of a burst, and only the second would find room.
  proxy.hold('toBroker');
  await bystander.purge(full);
  proxy.release();
  await Promise.all(waiting);
  expect(bodies(await bystander.takeAtLeast(full, 2))).toEqual([1, 2]);
});

test('a message that is nacked until its deadline rejects, and is not in the queue', async () => {
  const { bystander, connection, newProducer } = given;
  const error = await publishError(newProducer().send({ queue: full, body: 'c' }, { timeout: 3000 }));
  // `maybeDelivered` depends on whether the last nack arrived before the deadline.
  expect(error).toMatchObject({ code: 'PUBLISH_NACKED', retryable: true });
  expect(error.message).toMatch(/the queue is full/);
  expect(connection.core.counters.nacked).toBeGreaterThan(1);
  expect((await bystander.count(full)).ready).toBe(2);
});

test('with `onNack: reject` a nack rejects at once', async () => {
  const producer = given.newProducer({ onNack: 'reject' });
  const settled = await outcomes([1, 2, 3].map((body) => producer.send({ queue: full, body })));
  expect(settled).toEqual(['PUBLISH_NACKED', 'PUBLISH_NACKED', 'PUBLISH_NACKED']);
  expect(given.connection.core.counters).toMatchObject({ sent: 3, resent: 0, nacked: 3, confirmed: 0 });
  expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
});

test('a close waits for nacked messages, until its deadline', async () => {
  const producer = given.newProducer();
  const settled = outcomes([producer.send({ queue: full, body: 'c' })]);
  await eventually(() => given.connection.core.counters.nacked > 0);
  expect(await producer.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 1 });
  expect(await settled).toEqual(['PUBLISH_CLOSED']);
});

test('a close that waits for a nacked message resolves as soon as that is confirmed', async () => {
  const { bystander, connection, newProducer } = given;
  const producer = newProducer();
  const sent = producer.send({ queue: full, body: 'c' });
  await eventually(() => connection.core.counters.nacked > 0);
  const closed = producer.close();
  await bystander.purge(full);
  expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(await sent).toMatchObject({ epoch: 1 });
});

test('a message that waits does not keep later, confirmed messages in memory', async () => {
  const { bystander, connection, newProducer } = given;
  const other = await bystander.declareQueue({ arguments: { 'x-max-length': 1 } });
  const producer = newProducer();
  const stuck = outcomes([producer.send({ queue: full, body: 'c' })]);
  await eventually(() => connection.core.counters.nacked > 0);
  const before = heldBytes();
  for (let i = 0; i < 100; i++) await producer.send({ queue: other, body: Buffer.alloc(1024 * 1024) });
  expect(heldBytes() - before).toBeLessThan(30 * 1024 * 1024);
  await producer.close({ drainTimeout: 0 });
  expect(await stuck).toEqual(['PUBLISH_CLOSED']);
});

test('a queue that stays full until the channel is replaced costs no message to other queues', async () => {
  const { bystander, connection, newProducer } = given;
  const other = bystander.freeQueueName();
  const producer = newProducer();
  const stuck = outcomes([producer.send({ queue: full, body: 'c' }, { timeout: 2_000 })]);
  // A channel that gets nothing but nacks is replaced.
  await eventually(() => connection.core.counters.reopens > 0);
  await Promise.all(Array.from({ length: 50 }, (_, body) => producer.send({ queue: other, body })));
  expect(await stuck).toEqual(['PUBLISH_NACKED']);
  expect(new Set(ids(await bystander.takeAtLeast(other, 50))).size).toBe(50);
});
