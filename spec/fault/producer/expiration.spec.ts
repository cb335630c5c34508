import { type Producer, type PublishError } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = producingFixture({ connection: { reconnect: { min: 10, max: 10 } } });

let producer: Producer;

beforeEach(async () => {
  producer = given.newProducer();
  await producer.send({ queue: given.queue, body: 'warm' });
  given.proxy.refuse();
  given.proxy.cut();
  await eventually(() => given.connection.state.status === 'reconnecting');
});

const waited = (ms: number): Promise<boolean> => {
  const began = performance.now();
  return eventually(() => performance.now() - began >= ms);
};

test('a message that expires while it waits is not sent: it rejects and emits `dropped`', async () => {
  const { bystander, proxy, queue, connection } = given;
  const dropped: PublishError[] = [];
  producer.on('dropped', (cause) => dropped.push(cause));
  const expired = publishError(producer.send({ queue, body: 'expired', expiration: 100, messageId: 'old' }));
  const fresh = producer.send({ queue, body: 'fresh' });
  await waited(150);
  await proxy.restore();
  expect(await fresh).toMatchObject({ attempts: 1 });
  expect(await expired).toMatchObject({ code: 'PUBLISH_TIMEOUT', messageId: 'old', maybeDelivered: false });
  expect((await expired).message).toMatch(/expired/);
  expect(dropped).toEqual([await expired]);
  expect(connection.core.counters.timedOut).toBe(1);
  expect(bodies(await bystander.takeAtLeast(queue, 2))).toEqual(['warm', 'fresh']);
});

test('the time that a message waits is deducted from its expiration', async () => {
  const { bystander, proxy, queue } = given;
  const sent = producer.send({ queue, body: 'late', expiration: 60_000 });
  await waited(300);
  await proxy.restore();
  await sent;
  const [, message] = await bystander.takeAtLeast(queue, 2);
  const left = Number(message!.properties.expiration);
  expect(left).toBeLessThanOrEqual(59_700);
  expect(left).toBeGreaterThan(40_000);
});
