import { Producer } from 'instance-queue';
import { filter, firstValueFrom } from 'rxjs';
import { bodies, ids } from '../../support/brokers/messages';
import { closing } from '../../support/closing';
import { producingFixture } from '../../support/fixtures/producing';
import { numbers } from '../../support/numbers';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = producingFixture({ connection: { reconnect: { min: 10, max: 10 } } });

test('messages sent before the broker is up are sent once it is', async () => {
  const { bystander, proxy, queue, connection, newProducer } = given;
  proxy.refuse();
  const producer = newProducer();
  const sends = [1, 2, 3].map((body) => producer.send({ queue, body }));
  await eventually(() => connection.state.status === 'reconnecting');
  await proxy.restore();
  expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed', 'confirmed']);
  expect(bodies(await bystander.takeAtLeast(queue, 3))).toEqual([1, 2, 3]);
});

test('messages sent while disconnected are sent once, in order, when the connection is back', async () => {
  const { bystander, proxy, queue, connection, newProducer } = given;
  const producer = newProducer();
  expect(await producer.send({ queue, body: 0 })).toMatchObject({ epoch: 1 });
  proxy.refuse();
  proxy.cut();
  await eventually(() => connection.state.status === 'reconnecting');
  const sends = [1, 2, 3].map((body) => producer.send({ queue, body }));
  await proxy.restore();
  for (const sent of sends) expect(await sent).toMatchObject({ attempts: 1, epoch: 2 });
  expect(bodies(await bystander.takeAtLeast(queue, 4))).toEqual([0, 1, 2, 3]);
});

test('messages in flight when the connection is lost are sent again with their ids, ahead of newer ones', async () => {
  const { bystander, proxy, queue, connection, newProducer } = given;
  const producer = newProducer();
  const resent: [string, number][] = [];
  producer.on('resent', (...event) => resent.push(event));
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const early = [1, 2, 3].map((body) => producer.send({ queue, body, messageId: `m${String(body)}` }));
  // The broker has the messages, but their confirms are held back.
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

test('with `onUnknown: reject` a message in flight when the connection is lost rejects, and is not sent twice', async () => {
  const { bystander, proxy, queue, newProducer } = given;
  const producer = newProducer({ onUnknown: 'reject' });
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

test('with `onUnknown: reject` only messages in flight reject: those in the outbox are sent', async () => {
  const { proxy, queue, newProducer } = given;
  const producer = newProducer({ onUnknown: 'reject', maxInFlight: 2 });
  await producer.send({ queue, body: 'warm' });
  proxy.hold('toClient');
  const settled = outcomes([1, 2, 3, 4].map((body) => producer.send({ queue, body })));
  await eventually(() => producer.outbox.unconfirmed === 2);
  proxy.cut();
  await proxy.restore();
  expect(await settled).toEqual(['PUBLISH_UNKNOWN', 'PUBLISH_UNKNOWN', 'confirmed', 'confirmed']);
});

test('the order is kept through many lost connections', async () => {
  const { bystander, proxy, queue, connection, newProducer } = given;
  const producer = newProducer({ maxInFlight: 50 });
  await producer.send({ queue, body: -1 });
  const sends: Promise<unknown>[] = [];
  let body = 0;
  for (let round = 1; round <= 8; round++) {
    for (let i = 0; i < 100; i++) sends.push(producer.send({ queue, body: body++ }));
    // By the Observable: all hundred could be confirmed between two polls.
    await firstValueFrom(producer.outbox$.pipe(filter(({ unconfirmed }) => unconfirmed > 0)));
    proxy.cut();
    await eventually(() => connection.state.status === 'connected' && connection.core.up?.epoch === round + 1);
  }
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  const arrived = bodies(await bystander.takeAtLeast(queue, body + 1)).slice(1) as number[];
  // The first copies are in order; a resend never overtakes a message that was not sent yet.
  const firsts = arrived.filter((value, i) => arrived.indexOf(value) === i);
  expect(firsts).toEqual(numbers(body));
});

test('a channel closed by the broker does not cost the connection', async () => {
  const { newConnection, queue } = given;
  const name = queue;
  const own = newConnection({ name, reopen: { min: 10, max: 10 } });
  const producer = closing(new Producer(own));
  await producer.send({ queue, body: 1 });
  expect(await outcomes([producer.send({ exchange: 'missing', body: 2 })])).toEqual(['PUBLISH_REFUSED']);
  expect(await producer.send({ queue, body: 3 })).toMatchObject({ attempts: 1, epoch: 1 });
  expect(own.core.counters).toMatchObject({ reopens: 1, reconnects: 0 });
});

test('a connection closed by the broker is treated as lost', async () => {
  const { broker, newConnection, queue } = given;
  const own = newConnection({ name: queue, reconnect: { min: 10, max: 10 } });
  const producer = closing(new Producer(own));
  await producer.send({ queue, body: 1 });
  const sends = Array.from({ length: 200 }, (_, body) => producer.send({ queue, body }));
  await broker.closeConnection(queue);
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  expect(await producer.send({ queue, body: 2 })).toMatchObject({ epoch: 2 });
});
