import { Connection, Producer, type ProducerOptions } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
let bystander: Bystander;
let proxy: FaultProxy;
let queue: string;
let connection: Connection;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  proxy = closing(await FaultProxy.before(url));
  queue = await bystander.declareQueue();
  connection = closing(new Connection({ url: proxy.url(url), reconnect: { min: 10, max: 10 } }));
});
afterEach(closeAll);

const producing = (options: ProducerOptions = {}): Producer => closing(new Producer(connection, options));

test('close flushes: everything sent before it is confirmed', async () => {
  const producer = producing({ maxInFlight: 10 });
  const sends = Array.from({ length: 500 }, (_, body) => producer.send({ queue, body }));
  expect(await producer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  expect(bodies(await bystander.takeAtLeast(queue, 500))).toHaveLength(500);
});

test('close of the connection flushes its producers', async () => {
  const producer = producing();
  const sends = Array.from({ length: 100 }, (_, body) => producer.send({ queue, body }));
  expect(await connection.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
});

test('close flushes across a loss', async () => {
  const producer = producing();
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const sends = [1, 2, 3].map((body) => producer.send({ queue, body }));
  await eventually(() => producer.outbox.unconfirmed === 3);
  const closed = producer.close();
  proxy.cut();
  await proxy.restore();
  expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed', 'confirmed']);
});

test('a send after close is rejected at once', async () => {
  const producer = producing();
  await producer.send({ queue, body: 1 });
  const closed = producer.close();
  expect(await publishError(producer.send({ queue, body: 2, messageId: 'late' }))).toMatchObject({
    code: 'PUBLISH_CLOSED',
    messageId: 'late',
    maybeDelivered: false,
    retryable: false,
  });
  await closed;
  expect(await publishError(producer.send({ queue, body: 3 }))).toMatchObject({ code: 'PUBLISH_CLOSED' });
});

test('a producer on a connection that is closed rejects at once, and says why', async () => {
  await connection.close();
  const early = producing();
  const error = await publishError(early.send({ queue, body: 1 }));
  expect(error).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
  expect(error.cause).toMatchObject({ code: 'CONNECTION_CLOSED' });
  expect(await early.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
});

test('the deadline of a close rejects what is left, and counts it', async () => {
  const producer = producing({ maxInFlight: 2 });
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const sends = Array.from({ length: 5 }, (_, body) => producer.send({ queue, body }));
  await eventually(() => producer.outbox.unconfirmed === 2);
  const settled = outcomes(sends);
  expect(await producer.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 5 });
  expect(await settled).toEqual(sends.map(() => 'PUBLISH_CLOSED'));
  const errors = await Promise.all(sends.map((sent) => publishError(sent)));
  // Two were on the wire.
  expect(errors.map(({ maybeDelivered }) => maybeDelivered)).toEqual([true, true, false, false, false]);
});

test('what a close leaves behind is closed, and not unknown, by every policy', async () => {
  const producer = producing({ onUnknown: 'reject' });
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const sent = producer.send({ queue, body: 1 });
  await eventually(() => producer.outbox.unconfirmed === 1);
  const failed = publishError(sent);
  expect(await producer.close({ drainTimeout: 0 })).toEqual({ unsettled: 0, unconfirmed: 1 });
  expect(await failed).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
});

test('a message given up in flight does not hold up a close, nor is it counted', async () => {
  const producer = producing();
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const [outcome] = await outcomes([producer.send({ queue, body: 1 }, { timeout: 20 })]);
  expect(outcome).toBe('PUBLISH_TIMEOUT');
  expect(await producer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
});

test('a second close is the same close, and may shorten it', async () => {
  const producer = producing();
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const settled = outcomes([producer.send({ queue, body: 1 })]);
  const first = producer.close();
  const second = producer.close({ drainTimeout: 10 });
  expect(await first).toEqual({ unsettled: 0, unconfirmed: 1 });
  expect(await second).toEqual(await first);
  expect(await settled).toEqual(['PUBLISH_CLOSED']);
  expect(await producer.close()).toEqual(await first);
});

test('a close while nothing was ever sent is done at once, and dials nobody', async () => {
  const producer = producing();
  expect(await producer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(connection.state.status).toBe('disconnected');
  expect(proxy.linkCount).toBe(0);
});

/** What can be wrong with the way to the broker, with messages waiting behind it. */
const TROUBLES: readonly (readonly [string, () => void])[] = [
  ['refused', () => (proxy.refuse(), proxy.cut())],
  ['black-holed', () => proxy.blackHole()],
  ['not read', () => proxy.stopReading()],
];
test.each(TROUBLES)(
  'a close while the broker is out of reach (%s) ends in time, with every send settled',
  async (_, trouble) => {
    const producer = producing({ outbox: { limit: 3 }, maxInFlight: 2 });
    await producer.send({ queue, body: 'warm' });
    trouble();
    const sends = Array.from({ length: 10 }, (_, body) => producer.send({ queue, body }));
    const settled = outcomes(sends);
    const began = performance.now();
    expect(await connection.close({ drainTimeout: 100 })).toEqual({ unsettled: 0, unconfirmed: 10 });
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(await settled).toEqual(sends.map(() => 'PUBLISH_CLOSED'));
    expect(connection.state.status).toBe('closed');
  },
);

test('`await using` closes', async () => {
  let sent: Promise<unknown>;
  {
    await using producer = new Producer(connection);
    sent = producer.send({ queue, body: 1 });
  }
  expect(await sent).toMatchObject({ attempts: 1 });
});
