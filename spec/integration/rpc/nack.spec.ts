import { InstanceQueue } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
const FULL = { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } };
let bystander: Bystander;
/** Takes no more. */
let full: string;
let front: InstanceQueue;
let other: InstanceQueue;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  full = await bystander.declareQueue(FULL);
  await bystander.put(full, 'a');
  front = closing(new InstanceQueue(url));
  other = closing(new InstanceQueue(url));
});
afterEach(closeAll);

/** An exchange that routes to a full queue and to another one, whose responder does not answer yet; counts how often it works. */
async function divided() {
  const [exchange, healthy] = [bystander.freeExchangeName(), await bystander.declareQueue()];
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout'));
  for (const queue of [full, healthy]) await bystander.onChannel((channel) => channel.bindQueue(queue, exchange, ''));
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  const works: unknown[] = [];
  other
    .respond({ queue: healthy, prefetch: 100 }, async ({ body }) => {
      works.push(body);
      await gate;
      return 'done';
    })
    .subscribe();
  return { exchange, works, answer: go };
}

test('a request that is nacked after another queue got it is worked on once, and says that it may have been', async () => {
  const { exchange, works } = await divided();
  const error = await publishError(front.request({ exchange, body: 'pay' }));
  expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
  await eventually(() => works.length > 0);
  // What comes later on the same way would come behind a repetition.
  await publishError(front.request({ exchange, body: 'next' }));
  await eventually(() => works.includes('next'));
  expect(works).toEqual(['pay', 'next']);
  expect(front.metrics.resent).toBe(0);
});

test('a request to a queue that is full rejects at once: it was not worked on', async () => {
  const error = await publishError(front.request({ queue: full, body: 'pay' }));
  expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: false });
  expect(front.metrics).toMatchObject({ nacked: 1, resent: 0 });
});

test('an idempotent request to a queue that is full waits for room, and is answered', async () => {
  const asked = front.request({ queue: full, body: 'read' }, { idempotent: true });
  await eventually(() => front.metrics.nacked > 0);
  await bystander.purge(full);
  other.respond({ queue: full }, ({ body }) => body).subscribe();
  expect((await asked).body).toBe('read');
});

test('what a producer is told to do with nacks does not make a request be worked on twice', async () => {
  const { exchange, works } = await divided();
  front = closing(new InstanceQueue({ url, producer: { onNack: 'resend', onUnknown: 'resend' } }));
  expect(await publishError(front.request({ exchange, body: 'pay' }))).toMatchObject({ code: 'PUBLISH_NACKED' });
  await eventually(() => works.length > 0);
  expect(front.metrics.resent).toBe(0);
});

test('a reply that is nacked is sent again until it is taken, and the work is done once', async () => {
  const [requests, replies] = [await bystander.declareQueue(), full];
  let works = 0;
  other.respond({ queue: requests }, () => ++works).subscribe();
  await bystander.publishRaw('', requests, [Buffer.from('1')], { contentType: 'application/json', replyTo: replies });
  await eventually(() => other.metrics.nacked > 1);
  await bystander.purge(replies);
  expect(await eventually(() => bystander.take(replies))).toMatchObject({ body: 1 });
  await eventually(() => other.metrics.acked === 1);
  expect([works, (await bystander.count(replies)).ready, (await bystander.count(requests)).ready]).toEqual([1, 0, 0]);
});
