import { Connection, Producer, type ProducerOptions } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { filter, firstValueFrom } from 'rxjs';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies, ids } from '../../support/brokers/messages';
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

test('what is sent before the broker can be reached is sent once it can', async () => {
  proxy.refuse();
  const producer = producing();
  const sends = [1, 2, 3].map((body) => producer.send({ queue, body }));
  await eventually(() => connection.state.status === 'reconnecting');
  await proxy.restore();
  expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed', 'confirmed']);
  expect(bodies(await bystander.takeAtLeast(queue, 3))).toEqual([1, 2, 3]);
});

test('what is sent while disconnected is sent after, in order, once', async () => {
  const producer = producing();
  expect(await producer.send({ queue, body: 0 })).toMatchObject({ epoch: 1 });
  proxy.refuse();
  proxy.cut();
  await eventually(() => connection.state.status === 'reconnecting');
  const sends = [1, 2, 3].map((body) => producer.send({ queue, body }));
  await proxy.restore();
  for (const sent of sends) expect(await sent).toMatchObject({ attempts: 1, epoch: 2 });
  expect(bodies(await bystander.takeAtLeast(queue, 4))).toEqual([0, 1, 2, 3]);
});

test('what was in flight at a loss is sent again, with the same id, ahead of newer messages', async () => {
  const producer = producing();
  const resent: [string, number][] = [];
  producer.on('resent', (...event) => resent.push(event));
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const early = [1, 2, 3].map((body) => producer.send({ queue, body, messageId: `m${String(body)}` }));
  // The broker has them; we do not know.
  await eventually(async () => (await bystander.count(queue)).ready === 4);
  proxy.refuse();
  proxy.cut();
  await eventually(() => connection.state.status === 'reconnecting');
  const late = [4, 5].map((body) => producer.send({ queue, body, messageId: `m${String(body)}` }));
  expect(producer.outbox).toMatchObject({ queued: 5, unconfirmed: 0 });
  await proxy.restore();
  for (const sent of early) expect(await sent).toMatchObject({ attempts: 2, epoch: 2 });
  for (const sent of late) expect(await sent).toMatchObject({ attempts: 1, epoch: 2 });
  const messages = await bystander.takeAtLeast(queue, 9);
  expect(bodies(messages)).toEqual(['warm', 1, 2, 3, 1, 2, 3, 4, 5]);
  expect(ids(messages).slice(1)).toEqual(['m1', 'm2', 'm3', 'm1', 'm2', 'm3', 'm4', 'm5']);
  expect(resent).toEqual([
    ['m1', 2],
    ['m2', 2],
    ['m3', 2],
  ]);
  expect(connection.core.counters).toMatchObject({ sent: 6, resent: 3, confirmed: 6 });
});

test('by policy what was in flight at a loss is rejected as unknown, and there is one copy', async () => {
  const producer = producing({ onUnknown: 'reject' });
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const inFlight = producer.send({ queue, body: 1, messageId: 'unsure' });
  await eventually(async () => (await bystander.count(queue)).ready === 2);
  const failed = publishError(inFlight);
  proxy.cut();
  await proxy.restore();
  expect(await failed).toMatchObject({
    code: 'PUBLISH_UNKNOWN',
    messageId: 'unsure',
    maybeDelivered: true,
    retryable: true,
  });
  expect((await failed).cause).toMatchObject({ name: 'ChannelError' });
  expect(await producer.send({ queue, body: 2 })).toMatchObject({ attempts: 1, epoch: 2 });
  expect(bodies(await bystander.takeAtLeast(queue, 3))).toEqual(['warm', 1, 2]);
});

test('by policy unknown are only those that were in flight: what waited is sent', async () => {
  const producer = producing({ onUnknown: 'reject', maxInFlight: 2 });
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const settled = outcomes([1, 2, 3, 4].map((body) => producer.send({ queue, body })));
  await eventually(() => producer.outbox.unconfirmed === 2);
  proxy.cut();
  await proxy.restore();
  expect(await settled).toEqual(['PUBLISH_UNKNOWN', 'PUBLISH_UNKNOWN', 'confirmed', 'confirmed']);
});

test('the order is kept through loss after loss', async () => {
  const producer = producing({ maxInFlight: 50 });
  await producer.send({ queue, body: -1 });
  const sends: Promise<unknown>[] = [];
  let body = 0;
  for (let round = 1; round <= 8; round++) {
    for (let i = 0; i < 100; i++) sends.push(producer.send({ queue, body: body++ }));
    // As it happens: all hundred can be confirmed between two looks.
    await firstValueFrom(producer.outbox$.pipe(filter(({ unconfirmed }) => unconfirmed > 0)));
    proxy.cut();
    await eventually(() => connection.state.status === 'connected' && connection.core.up?.epoch === round + 1);
  }
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  const arrived = bodies(await bystander.takeAtLeast(queue, body + 1)).slice(1) as number[];
  // The first copy of each is there, in order; a later copy never overtakes an unsent one.
  const firsts = arrived.filter((value, i) => arrived.indexOf(value) === i);
  expect(firsts).toEqual(Array.from({ length: body }, (_, i) => i));
});

test('a channel closed at the broker costs its connection nothing', async () => {
  const name = queue;
  const own = closing(new Connection({ url, name, reopen: { min: 10, max: 10 } }));
  const producer = closing(new Producer(own));
  await producer.send({ queue, body: 1 });
  expect(await outcomes([producer.send({ exchange: 'missing', body: 2 })])).toEqual(['PUBLISH_REFUSED']);
  expect(await producer.send({ queue, body: 3 })).toMatchObject({ attempts: 1, epoch: 1 });
  expect(own.core.counters).toMatchObject({ reopens: 1, reconnects: 0 });
});

test('a connection closed by the broker is a loss like any other', async () => {
  const own = closing(new Connection({ url, name: queue, reconnect: { min: 10, max: 10 } }));
  const producer = closing(new Producer(own));
  await producer.send({ queue, body: 1 });
  const sends = Array.from({ length: 200 }, (_, body) => producer.send({ queue, body }));
  await sharedBroker().closeConnection(queue);
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  expect(await producer.send({ queue, body: 2 })).toMatchObject({ epoch: 2 });
});
