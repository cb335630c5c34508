import { Producer } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = producingFixture({ connection: { reconnect: { min: 10, max: 10 } } });

test('close waits until everything sent before it is confirmed', async () => {
  const { bystander, queue, newProducer } = given;
  const producer = newProducer({ maxInFlight: 10 });
  const sends = Array.from({ length: 500 }, (_, body) => producer.send({ queue, body }));
  expect(await producer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  expect(bodies(await bystander.takeAtLeast(queue, 500))).toHaveLength(500);
});

test('closing the connection waits for the sends of its producers', async () => {
  const { queue, connection, newProducer } = given;
  const producer = newProducer();
  const sends = Array.from({ length: 100 }, (_, body) => producer.send({ queue, body }));
  expect(await connection.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
});

test('close waits for confirms across the loss of the connection', async () => {
  const { proxy, queue, newProducer } = given;
  const producer = newProducer();
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

test('a send after close rejects at once', async () => {
  const { queue, newProducer } = given;
  const producer = newProducer();
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

test('a producer on a closed connection rejects at once, with the cause', async () => {
  const { queue, connection, newProducer } = given;
  await connection.close();
  const early = newProducer();
  const error = await publishError(early.send({ queue, body: 1 }));
  expect(error).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
  expect(error.cause).toMatchObject({ code: 'CONNECTION_CLOSED' });
  expect(await early.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
});

test('a close that times out rejects the remaining sends, and counts them', async () => {
  const { proxy, queue, newProducer } = given;
  const producer = newProducer({ maxInFlight: 2 });
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const sends = Array.from({ length: 5 }, (_, body) => producer.send({ queue, body }));
  await eventually(() => producer.outbox.unconfirmed === 2);
  const settled = outcomes(sends);
  expect(await producer.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 5 });
  expect(await settled).toEqual(sends.map(() => 'PUBLISH_CLOSED'));
  const errors = await Promise.all(sends.map((sent) => publishError(sent)));
  // Two had been written to the socket.
  expect(errors.map(({ maybeDelivered }) => maybeDelivered)).toEqual([true, true, false, false, false]);
});

test('a send that a close leaves unconfirmed rejects with PUBLISH_CLOSED, whatever `onUnknown` says', async () => {
  const { proxy, queue, newProducer } = given;
  const producer = newProducer({ onUnknown: 'reject' });
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const sent = producer.send({ queue, body: 1 });
  await eventually(() => producer.outbox.unconfirmed === 1);
  const failed = publishError(sent);
  expect(await producer.close({ drainTimeout: 0 })).toEqual({ unsettled: 0, unconfirmed: 1 });
  expect(await failed).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
});

test('a message that timed out in flight neither delays a close nor is counted by it', async () => {
  const { proxy, queue, newProducer } = given;
  const producer = newProducer();
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const [outcome] = await outcomes([producer.send({ queue, body: 1 }, { timeout: 20 })]);
  expect(outcome).toBe('PUBLISH_TIMEOUT');
  expect(await producer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
});

test('a second close gives the same report, and may bring the deadline forward', async () => {
  const { proxy, queue, newProducer } = given;
  const producer = newProducer();
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

test('closing a producer that has sent nothing resolves at once, and does not connect', async () => {
  const { proxy, connection, newProducer } = given;
  const producer = newProducer();
  expect(await producer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(connection.state.status).toBe('disconnected');
  expect(proxy.linkCount).toBe(0);
});

/** Ways in which the broker is out of reach while messages wait. */
const OUTAGES: readonly (readonly [string, () => void])[] = [
  ['refused', () => (given.proxy.refuse(), given.proxy.cut())],
  ['black-holed', () => given.proxy.blackHole()],
  ['not read', () => given.proxy.stopReading()],
];
test.each(OUTAGES)(
  'a close while the broker is out of reach (%s) ends in time, and every send settles',
  async (_, breakIt) => {
    const { queue, connection, newProducer } = given;
    const producer = newProducer({ outbox: { limit: 3 }, maxInFlight: 2 });
    await producer.send({ queue, body: 'warm' });
    breakIt();
    const sends = Array.from({ length: 10 }, (_, body) => producer.send({ queue, body }));
    const settled = outcomes(sends);
    const began = performance.now();
    expect(await connection.close({ drainTimeout: 100 })).toEqual({ unsettled: 0, unconfirmed: 10 });
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(await settled).toEqual(sends.map(() => 'PUBLISH_CLOSED'));
    expect(connection.state.status).toBe('closed');
  },
);

test('`await using` closes a producer', async () => {
  const { queue, connection } = given;
  let sent: Promise<unknown>;
  {
    await using producer = new Producer(connection);
    sent = producer.send({ queue, body: 1 });
  }
  expect(await sent).toMatchObject({ attempts: 1 });
});
