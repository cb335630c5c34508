import { InstanceQueue } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { eventually, until } from '../../support/waiting';

const broker = privateBroker();
const { url } = broker;
let bystander: Bystander;
let proxy: FaultProxy;
let queue: string;
let front: InstanceQueue;
/** Answers through the proxy; the requester is at the broker itself. */
let other: InstanceQueue;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  proxy = closing(await FaultProxy.before(url));
  queue = await bystander.declareQueue();
  front = closing(new InstanceQueue(url));
  const quick = { min: 10, max: 10 };
  other = closing(new InstanceQueue({ url: proxy.url(url), reconnect: quick, reopen: quick }));
});
afterEach(async () => {
  await broker.memoryAlarm(false);
  await closeAll();
});

test('a responder whose links are cut while it works answers all the same', async () => {
  let works = 0;
  const work = async ({ body }: { readonly body: number }): Promise<number> => {
    if (works++ === 5) proxy.cut();
    return Promise.resolve(body);
  };
  other.respond<number, number>({ queue, prefetch: 10 }, work).subscribe();
  // From the first reply on both links are up, and both are cut.
  await front.request({ queue, body: 'first' });
  const replies = await Promise.all(Array.from({ length: 50 }, (_, body) => front.request<number>({ queue, body })));
  expect(replies.map(({ body }) => body)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect(other.metrics.reconnects).toBeGreaterThanOrEqual(2);
  await eventually(async () => (await bystander.count(queue)).ready === 0 && other.metrics.inFlight === 0);
});

test('a responder whose queue is deleted attaches again, and answers what comes then', async () => {
  other.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  expect((await front.request({ queue, body: 1 })).body).toBe(1);
  await bystander.deleteQueue(queue);
  await eventually(() => other.metrics.reopens > 0 && other.health.status === 'up');
  expect((await front.request({ queue, body: 2 })).body).toBe(2);
});

test('a request is unacked until its reply is confirmed', async () => {
  other.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  await front.request({ queue, body: 1 });
  await eventually(() => other.metrics.acked === 1);
  // The broker has the reply; the responder does not know.
  proxy.hold('toBroker');
  const asked = front.request({ queue, body: 2 });
  await eventually(() => other.metrics.sent === 2);
  expect(other.metrics).toMatchObject({ acked: 1, inFlight: 1 });
  proxy.release();
  expect((await asked).body).toBe(2);
  await eventually(() => other.metrics.acked === 2);
});

test('while replies are blocked the consuming connection goes on', async () => {
  const quiet = await bystander.declareQueue();
  other.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  other.consume({ queue: quiet }).subscribe((delivery) => delivery.ack());
  await front.request({ queue, body: 1 });
  // Put there before anybody is blocked, and delivered when it is.
  const spare = await bystander.declareQueue();
  await bystander.put(spare, 1, 2, 3);
  await broker.memoryAlarm(true);
  void other.send({ queue: bystander.freeQueueName(), body: 'blocked' }).catch(() => undefined);
  await until(other.health$, ({ blocked }) => blocked !== undefined);
  const { acked } = other.metrics;
  other.consume({ queue: spare }).subscribe((delivery) => delivery.ack());
  await eventually(() => other.metrics.acked === acked + 3);
  await broker.memoryAlarm(false);
  expect((await front.request({ queue, body: 2 })).body).toBe(2);
});
