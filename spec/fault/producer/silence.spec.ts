import { type Producer } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = producingFixture({ connection: { heartbeat: 1, reconnect: { min: 10, max: 10 } } });

let producer: Producer;

beforeEach(async () => {
  producer = given.newProducer();
  await producer.send({ queue: given.queue, body: 'warm' });
});

test('a confirm that arrives after the timeout affects no other send', async () => {
  const { bystander, proxy, queue, connection } = given;
  proxy.hold('toClient');
  const late = await publishError(producer.send({ queue, body: 'late' }, { timeout: 50 }));
  expect(late).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: true });
  expect(late.message).toMatch(/the broker may have it/);
  expect(producer.outbox).toMatchObject({ queued: 0, unconfirmed: 1 });
  const neighbour = producer.send({ queue, body: 'neighbour' });
  proxy.release();
  expect(await neighbour).toMatchObject({ attempts: 1, epoch: 1 });
  expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
  expect(connection.core.counters).toMatchObject({ sent: 3, confirmed: 2, timedOut: 1, resent: 0 });
  expect(bodies(await bystander.takeAtLeast(queue, 3))).toEqual(['warm', 'late', 'neighbour']);
});

test('a message that has timed out is not sent again', async () => {
  const { bystander, proxy, queue } = given;
  proxy.hold('toClient');
  expect(await outcomes([producer.send({ queue, body: 'given up' }, { timeout: 50 })])).toEqual(['PUBLISH_TIMEOUT']);
  await eventually(async () => (await bystander.count(queue)).ready === 2);
  proxy.cut();
  await proxy.restore();
  expect(await producer.send({ queue, body: 'next' })).toMatchObject({ epoch: 2 });
  expect(bodies(await bystander.takeAtLeast(queue, 3))).toEqual(['warm', 'given up', 'next']);
});

test('on a silent connection every timeout is kept, and waiting messages are sent once heartbeats have detected it', async () => {
  const { bystander, proxy, queue } = given;
  proxy.blackHole();
  const timingOut = outcomes(Array.from({ length: 10 }, (_, body) => producer.send({ queue, body }, { timeout: 100 })));
  const patient = producer.send({ queue, body: 'patient' });
  expect(new Set(await timingOut)).toEqual(new Set(['PUBLISH_TIMEOUT']));
  await proxy.restore({ reset: false });
  // The old connection stays silent, until missing heartbeats end it.
  expect(await patient).toMatchObject({ attempts: 2, epoch: 2 });
  expect(bodies(await bystander.takeAtLeast(queue, 2))).toEqual(['warm', 'patient']);
});

test('messages that have timed out in flight do not hold up others once the connection is replaced', async () => {
  const { proxy, queue, newProducer } = given;
  const small = newProducer({ maxInFlight: 3 });
  await small.send({ queue, body: 'warm' });
  proxy.blackHole();
  const timingOut = outcomes([1, 2, 3].map((body) => small.send({ queue, body }, { timeout: 100 })));
  expect(await timingOut).toEqual(['PUBLISH_TIMEOUT', 'PUBLISH_TIMEOUT', 'PUBLISH_TIMEOUT']);
  const waiting = small.send({ queue, body: 4 });
  await proxy.restore({ reset: false });
  expect(await waiting).toMatchObject({ attempts: 1, epoch: 2 });
});

test('while the broker reads nothing, unconfirmed messages stay within maxInFlight, and are sent in order afterwards', async () => {
  const { bystander, proxy, queue, newProducer } = given;
  const window = 500;
  const bounded = newProducer({ maxInFlight: window, outbox: { limit: 1000 } });
  await bounded.send({ queue, body: Buffer.alloc(0) });
  proxy.stopReading();
  const body = Buffer.alloc(64 * 1024);
  const written = process.memoryUsage().arrayBuffers;
  const sends: Promise<unknown>[] = [];
  for (let i = 0; i < 2_000; i++) {
    sends.push(bounded.send({ queue, body, correlationId: String(i) }));
    expect(bounded.outbox.unconfirmed).toBeLessThanOrEqual(window);
    expect(bounded.outbox.queued).toBeLessThanOrEqual(1000);
  }
  await eventually(() => bounded.outbox.queued === 1000);
  // Waiting messages are not copied; those on the wire are bounded by `maxInFlight`.
  expect(process.memoryUsage().arrayBuffers - written).toBeLessThan(window * 2 * body.length);
  await proxy.restore();
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  const arrived = (await bystander.takeAtLeast(queue, 2_000)).map(
    ({ properties }) => properties.correlationId as unknown,
  );
  const firsts = [...new Set(arrived.filter((id) => id !== undefined))];
  expect(firsts).toEqual(Array.from({ length: 2_000 }, (_, i) => String(i)));
});

test('a full socket stops the writing, however large maxInFlight is', async () => {
  const { proxy, queue, newProducer } = given;
  const wide = newProducer({ maxInFlight: 65_535 });
  await wide.send({ queue, body: Buffer.alloc(0) });
  proxy.stopReading();
  const body = Buffer.alloc(16 * 1024);
  const sends = Array.from({ length: 3_500 }, () => wide.send({ queue, body }));
  // What is written beyond the socket's buffers would be copied and kept by amqplib.
  const { queued, unconfirmed } = wide.outbox;
  expect(queued + unconfirmed).toBe(3_500);
  expect(unconfirmed).toBeLessThan(2_500);
  await proxy.restore();
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
});
