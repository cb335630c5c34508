import { Connection, Producer, type ProducerOptions } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies, ids } from '../../support/brokers/messages';
import { heldBytes } from '../../support/memory';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
let bystander: Bystander;
let full: string;
let connection: Connection;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  full = await bystander.declareQueue({ arguments: { 'x-max-length': 2, 'x-overflow': 'reject-publish' } });
  await bystander.put(full, 'a', 'b');
  connection = closing(new Connection({ url, reopen: { min: 10, max: 10 } }));
});
afterEach(closeAll);

const producing = (options: ProducerOptions = {}): Producer => closing(new Producer(connection, options));

test('a message to a full queue waits until there is room', async () => {
  const producer = producing();
  const sent = producer.send({ queue: full, body: 'c', messageId: 'patient' });
  await eventually(() => connection.core.counters.nacked > 0);
  await bystander.purge(full);
  const { attempts } = await sent;
  expect(attempts).toBeGreaterThan(1);
  expect(connection.core.counters).toMatchObject({ sent: 1, confirmed: 1, nacked: attempts - 1, resent: attempts - 1 });
  const messages = await bystander.takeAtLeast(full, 1);
  expect([ids(messages), bodies(messages)]).toEqual([['patient'], ['c']]);
});

test('messages that wait for a full queue arrive in order, and others do not wait for them', async () => {
  const proxy = closing(await FaultProxy.before(url));
  connection = closing(new Connection({ url: proxy.url(url), reopen: { min: 10, max: 10 } }));
  const other = bystander.freeQueueName();
  const producer = producing();
  const waiting = [1, 2].map((body) => producer.send({ queue: full, body }));
  await eventually(() => connection.core.counters.nacked >= 2);
  for (let body = 0; body < 20; body++) await producer.send({ queue: other, body });
  expect(producer.outbox).toMatchObject({ queued: 2 });
  // Between two of one burst it would let the second in alone.
  proxy.hold('toBroker');
  await bystander.purge(full);
  proxy.release();
  await Promise.all(waiting);
  expect(bodies(await bystander.takeAtLeast(full, 2))).toEqual([1, 2]);
});

test('a message that is nacked until its deadline rejects, and the broker does not have it', async () => {
  const error = await publishError(producing().send({ queue: full, body: 'c' }, { timeout: 3000 }));
  // `maybeDelivered` depends on whether the last nack was there before the deadline.
  expect(error).toMatchObject({ code: 'PUBLISH_NACKED', retryable: true });
  expect(error.message).toMatch(/the queue is full/);
  expect(connection.core.counters.nacked).toBeGreaterThan(1);
  expect((await bystander.count(full)).ready).toBe(2);
});

test('by policy a nack rejects at once', async () => {
  const producer = producing({ onNack: 'reject' });
  const settled = await outcomes([1, 2, 3].map((body) => producer.send({ queue: full, body })));
  expect(settled).toEqual(['PUBLISH_NACKED', 'PUBLISH_NACKED', 'PUBLISH_NACKED']);
  expect(connection.core.counters).toMatchObject({ sent: 3, resent: 0, nacked: 3, confirmed: 0 });
  expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
});

test('a close waits for what was nacked, until its deadline', async () => {
  const producer = producing();
  const settled = outcomes([producer.send({ queue: full, body: 'c' })]);
  await eventually(() => connection.core.counters.nacked > 0);
  expect(await producer.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 1 });
  expect(await settled).toEqual(['PUBLISH_CLOSED']);
});

test('a close that waits for what was nacked is over as soon as that is taken', async () => {
  const producer = producing();
  const sent = producer.send({ queue: full, body: 'c' });
  await eventually(() => connection.core.counters.nacked > 0);
  const closed = producer.close();
  await bystander.purge(full);
  expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(await sent).toMatchObject({ epoch: 1 });
});

test('a message that waits does not keep those alive that were confirmed after it', async () => {
  const other = await bystander.declareQueue({ arguments: { 'x-max-length': 1 } });
  const producer = producing();
  const stuck = outcomes([producer.send({ queue: full, body: 'c' })]);
  await eventually(() => connection.core.counters.nacked > 0);
  const before = heldBytes();
  for (let i = 0; i < 100; i++) await producer.send({ queue: other, body: Buffer.alloc(1024 * 1024) });
  expect(heldBytes() - before).toBeLessThan(30 * 1024 * 1024);
  await producer.close({ drainTimeout: 0 });
  expect(await stuck).toEqual(['PUBLISH_CLOSED']);
});

test('a queue that stays full beyond the patience of a channel loses nobody else a message', async () => {
  const other = bystander.freeQueueName();
  const producer = producing();
  const stuck = outcomes([producer.send({ queue: full, body: 'c' }, { timeout: 2_000 })]);
  // A channel with nothing but nacks is replaced; the next one serves the others just as well.
  await eventually(() => connection.core.counters.reopens > 0);
  await Promise.all(Array.from({ length: 50 }, (_, body) => producer.send({ queue: other, body })));
  expect(await stuck).toEqual(['PUBLISH_NACKED']);
  expect(new Set(ids(await bystander.takeAtLeast(other, 50))).size).toBe(50);
});
