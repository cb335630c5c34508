import { Connection, Producer } from 'instance-queue';
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
let producer: Producer;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  proxy = closing(await FaultProxy.before(url));
  queue = await bystander.declareQueue();
  connection = closing(new Connection({ url: proxy.url(url), heartbeat: 1, reconnect: { min: 10, max: 10 } }));
  producer = closing(new Producer(connection));
  await producer.send({ queue, body: 'warm' });
});
afterEach(closeAll);

test('a confirm that comes after the deadline disturbs nobody', async () => {
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

test('a message that nobody waits for any more is not sent again', async () => {
  proxy.hold('toClient');
  expect(await outcomes([producer.send({ queue, body: 'given up' }, { timeout: 50 })])).toEqual(['PUBLISH_TIMEOUT']);
  await eventually(async () => (await bystander.count(queue)).ready === 2);
  proxy.cut();
  await proxy.restore();
  expect(await producer.send({ queue, body: 'next' })).toMatchObject({ epoch: 2 });
  expect(bodies(await bystander.takeAtLeast(queue, 3))).toEqual(['warm', 'given up', 'next']);
});

test('in a black hole each deadline is kept, and what still waits goes out once the link is given up', async () => {
  proxy.blackHole();
  const hasty = outcomes(Array.from({ length: 10 }, (_, body) => producer.send({ queue, body }, { timeout: 100 })));
  const patient = producer.send({ queue, body: 'patient' });
  expect(new Set(await hasty)).toEqual(new Set(['PUBLISH_TIMEOUT']));
  await proxy.restore({ reset: false });
  // The old link stays silent; heartbeats tell.
  expect(await patient).toMatchObject({ attempts: 2, epoch: 2 });
  expect(bodies(await bystander.takeAtLeast(queue, 2))).toEqual(['warm', 'patient']);
});

test('a window full of messages given up does not hold up those that wait, beyond the link', async () => {
  const narrow = closing(new Producer(connection, { maxInFlight: 3 }));
  await narrow.send({ queue, body: 'warm' });
  proxy.blackHole();
  const hasty = outcomes([1, 2, 3].map((body) => narrow.send({ queue, body }, { timeout: 100 })));
  expect(await hasty).toEqual(['PUBLISH_TIMEOUT', 'PUBLISH_TIMEOUT', 'PUBLISH_TIMEOUT']);
  const waiting = narrow.send({ queue, body: 4 });
  await proxy.restore({ reset: false });
  expect(await waiting).toMatchObject({ attempts: 1, epoch: 2 });
});

test('a broker that reads nothing bounds what is on the wire; it resumes in order', async () => {
  const window = 500;
  const bounded = closing(new Producer(connection, { maxInFlight: window, outbox: { limit: 1000 } }));
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
  // Nothing is copied for what waits; what is on the wire is bounded by the window.
  expect(process.memoryUsage().arrayBuffers - written).toBeLessThan(window * 2 * body.length);
  await proxy.restore();
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  const arrived = (await bystander.takeAtLeast(queue, 2_000)).map(
    ({ properties }) => properties.correlationId as unknown,
  );
  const firsts = [...new Set(arrived.filter((id) => id !== undefined))];
  expect(firsts).toEqual(Array.from({ length: 2_000 }, (_, i) => String(i)));
});

test('a socket that takes no more stops the writing, however wide the window', async () => {
  const wide = closing(new Producer(connection, { maxInFlight: 65_535 }));
  await wide.send({ queue, body: Buffer.alloc(0) });
  proxy.stopReading();
  const body = Buffer.alloc(16 * 1024);
  const sends = Array.from({ length: 3_500 }, () => wide.send({ queue, body }));
  // What is written beyond the socket's buffers would be copied, and held by amqplib.
  const { queued, unconfirmed } = wide.outbox;
  expect(queued + unconfirmed).toBe(3_500);
  expect(unconfirmed).toBeLessThan(2_500);
  await proxy.restore();
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
});
