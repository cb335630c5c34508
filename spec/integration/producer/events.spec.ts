import { InstanceQueue, Producer, Connection, type Confirmation } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { outcomes } from '../../support/publish-error';

const { url } = sharedBroker();
let bystander: Bystander;
let queue: string;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  queue = await bystander.declareQueue();
});
afterEach(() => {
  jest.restoreAllMocks();
  return closeAll();
});

test('each confirmation is an event, and the same object that its send resolves with', async () => {
  const producer = closing(new Producer(closing(new Connection(url))));
  const seen: Confirmation[] = [];
  producer.on('confirmed', (confirmation) => seen.push(confirmation));
  const resolved = await Promise.all([1, 2, 3].map((body) => producer.send({ queue, body })));
  expect(seen).toHaveLength(3);
  for (const confirmation of resolved) expect(seen).toContain(confirmation);
});

test('a listener that throws harms nothing, and is heard of', async () => {
  const boom = new Error('a listener of the user');
  const uncaught: unknown[] = [];
  // What a listener throws surfaces as an uncaught exception: caught here, where it would end the test run.
  const later = globalThis.setImmediate;
  const spy = jest.spyOn(globalThis, 'setImmediate');
  spy.mockImplementation((call: () => void) =>
    later(() => {
      try {
        call();
      } catch (error) {
        uncaught.push(error);
      }
    }),
  );
  const thrower = (): never => {
    throw boom;
  };
  const exchange = bystander.freeExchangeName();
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout'));
  const connection = closing(new Connection(url));
  const producer = closing(new Producer(connection, { outbox: { limit: 1, overflow: 'drop-oldest' } }));
  producer.on('confirmed', thrower).on('returned', thrower).on('resent', thrower).on('dropped', thrower);
  const sends = [producer.send({ queue, body: 'dropped' }), producer.send({ queue, body: 'kept' })];
  expect(await outcomes(sends)).toEqual(['OUTBOX_FULL', 'confirmed']);
  expect(await outcomes([producer.send({ exchange, body: 'returned' })])).toEqual(['PUBLISH_RETURNED']);
  await bystander.deleteQueue(queue);
  expect(await producer.send({ queue, body: 'resent' })).toMatchObject({ attempts: 2 });
  await new Promise((resolve) => later(resolve));
  // dropped, confirmed, returned, resent, confirmed.
  expect(uncaught).toEqual([boom, boom, boom, boom, boom]);
  expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  expect(connection.core.counters).toMatchObject({ confirmed: 2, returned: 2, resent: 1, reopens: 0 });
});

test('the metrics count each message once, and each attempt where it belongs', async () => {
  const front = closing(new InstanceQueue(url));
  const full = await bystander.declareQueue({ arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
  await bystander.put(full, 'in the way');
  const exchange = bystander.freeExchangeName();
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'direct'));
  const impatient = front.producer({ onNack: 'reject' });
  expect(
    await outcomes([
      front.send({ queue, body: 1 }),
      front.send({ queue, body: 2 }),
      front.send({ exchange, body: 3 }),
      front.send({ exchange, body: 4, mandatory: false }),
      impatient.send({ queue: full, body: 5 }),
      front.send({ queue, body: 6, headers: { no: Symbol('way') } }),
    ]),
  ).toEqual(['confirmed', 'confirmed', 'PUBLISH_RETURNED', 'confirmed', 'PUBLISH_NACKED', 'PUBLISH_INVALID']);
  expect(front.metrics).toEqual({
    sent: 5,
    confirmed: 3,
    resent: 0,
    returned: 1,
    nacked: 1,
    timedOut: 0,
    dropped: 0,
    unclaimed: 0,
    delivered: 0,
    redelivered: 0,
    acked: 0,
    requeued: 0,
    released: 0,
    rejected: 0,
    lost: 0,
    undecodable: 0,
    retried: 0,
    reconnects: 0,
    reopens: 0,
    inFlight: 0,
    outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
  });
});

test('a send inside a listener or a continuation keeps its place in the order', async () => {
  const producer = closing(new Producer(closing(new Connection(url))));
  let next = 0;
  const done = new Promise<void>((resolve) => {
    producer.on('confirmed', () => {
      if (next === 50) resolve();
      else void producer.send({ queue, body: next++ });
    });
  });
  await producer.send({ queue, body: next++ });
  await done;
  expect(bodies(await bystander.takeAtLeast(queue, 50))).toEqual(Array.from({ length: 50 }, (_, i) => i));
});
