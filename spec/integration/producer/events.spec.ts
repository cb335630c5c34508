import type { Confirmation } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { numbers } from '../../support/numbers';
import { outcomes } from '../../support/publish-error';
import { uncaughtErrors } from '../../support/uncaught-errors';

const given = producingFixture();

const uncaught = uncaughtErrors();

test('`confirmed` is emitted with the object that the send resolves with', async () => {
  const { queue, newProducer } = given;
  const producer = newProducer();
  const seen: Confirmation[] = [];
  producer.on('confirmed', (confirmation) => seen.push(confirmation));
  const resolved = await Promise.all([1, 2, 3].map((body) => producer.send({ queue, body })));
  expect(seen).toHaveLength(3);
  for (const confirmation of resolved) expect(seen).toContain(confirmation);
});

test('a listener that throws disturbs nothing, and its error is an uncaught exception', async () => {
  const { bystander, queue, connection, newProducer } = given;
  const boom = new Error('from a listener');
  const thrower = (): never => {
    throw boom;
  };
  const exchange = bystander.freeExchangeName();
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout'));
  const producer = newProducer({ outbox: { limit: 1, overflow: 'drop-oldest' } });
  producer.on('confirmed', thrower).on('returned', thrower).on('resent', thrower).on('dropped', thrower);
  const sends = [producer.send({ queue, body: 'dropped' }), producer.send({ queue, body: 'kept' })];
  expect(await outcomes(sends)).toEqual(['OUTBOX_FULL', 'confirmed']);
  expect(await outcomes([producer.send({ exchange, body: 'returned' })])).toEqual(['PUBLISH_RETURNED']);
  await bystander.deleteQueue(queue);
  expect(await producer.send({ queue, body: 'resent' })).toMatchObject({ attempts: 2 });
  await new Promise((resolve) => setImmediate(resolve));
  // dropped, confirmed, returned, resent, confirmed.
  expect(uncaught).toEqual([boom, boom, boom, boom, boom]);
  expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  expect(connection.core.counters).toMatchObject({ confirmed: 2, returned: 2, resent: 1, reopens: 0 });
});

test('the metrics count each message once, and each attempt by its outcome', async () => {
  const { bystander, newClient, queue } = given;
  const client = newClient();
  const full = await bystander.declareQueue({ arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
  await bystander.put(full, 'fills it');
  const exchange = bystander.freeExchangeName();
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'direct'));
  const rejecting = client.producer({ onNack: 'reject' });
  expect(
    await outcomes([
      client.send({ queue, body: 1 }),
      client.send({ queue, body: 2 }),
      client.send({ exchange, body: 3 }),
      client.send({ exchange, body: 4, mandatory: false }),
      rejecting.send({ queue: full, body: 5 }),
      client.send({ queue, body: 6, headers: { no: Symbol('way') } }),
    ]),
  ).toEqual(['confirmed', 'confirmed', 'PUBLISH_RETURNED', 'confirmed', 'PUBLISH_NACKED', 'PUBLISH_INVALID']);
  expect(client.metrics).toEqual({
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

test('messages sent in a listener keep their order', async () => {
  const { bystander, queue, newProducer } = given;
  const producer = newProducer();
  let next = 0;
  const done = new Promise<void>((resolve) => {
    producer.on('confirmed', () => {
      if (next === 50) resolve();
      else void producer.send({ queue, body: next++ });
    });
  });
  await producer.send({ queue, body: next++ });
  await done;
  expect(bodies(await bystander.takeAtLeast(queue, 50))).toEqual(numbers(50));
});
