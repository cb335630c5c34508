import { Connection, Producer, type PublishError } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { publishError } from '../../support/publish-error';
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
  connection = closing(new Connection({ url: proxy.url(url), reconnect: { min: 10, max: 10 } }));
  producer = closing(new Producer(connection));
  await producer.send({ queue, body: 'warm' });
  proxy.refuse();
  proxy.cut();
  await eventually(() => connection.state.status === 'reconnecting');
});
afterEach(closeAll);

const waited = (ms: number): Promise<boolean> => {
  const began = performance.now();
  return eventually(() => performance.now() - began >= ms);
};

test('what expired while it waited is not sent, and is told of', async () => {
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

test('the time a message waited is taken from its expiration', async () => {
  const sent = producer.send({ queue, body: 'late', expiration: 60_000 });
  await waited(300);
  await proxy.restore();
  await sent;
  const [, message] = await bystander.takeAtLeast(queue, 2);
  const left = Number(message!.properties.expiration);
  expect(left).toBeLessThanOrEqual(59_700);
  expect(left).toBeGreaterThan(40_000);
});
