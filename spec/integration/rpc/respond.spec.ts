import { InstanceQueue, type ErrorPolicy, type Handled } from 'instance-queue';
import { of } from 'rxjs';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect, type Collected } from '../../support/collect';
import { bodies } from '../../support/brokers/messages';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
let bystander: Bystander;
let queue: string;
let dead: string;
let front: InstanceQueue;
let other: InstanceQueue;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  queue = bystander.freeQueueName();
  dead = await bystander.declareQueue({}, `${queue}.dead`);
  await bystander.declareQueue({ deadLetterExchange: '', deadLetterRoutingKey: dead }, queue);
  front = closing(new InstanceQueue(url));
  other = closing(new InstanceQueue(url));
});
afterEach(closeAll);

const settlements = (handled: Collected<Handled<unknown, unknown>>): string[] =>
  handled.values.map(({ settlement }) => settlement);

test('a request is acked when its reply is confirmed', async () => {
  const handled = collect(other.respond({ queue }, () => Promise.resolve('done')));
  expect((await front.request({ queue, body: 1 })).body).toBe('done');
  await eventually(() => handled.values.length === 1);
  expect(handled.values[0]).toMatchObject({ settlement: 'ack', sent: true, value: 'done' });
  // The reply left over the producing connection.
  expect(other.metrics).toMatchObject({ sent: 1, confirmed: 1, acked: 1 });
});

test('the last value of an Observable is the reply, and work that returns nothing answers null', async () => {
  const work = ({ body }: { readonly body: unknown }): unknown => (body === 'many' ? of(1, 2, 3) : undefined);
  other.respond({ queue }, work).subscribe();
  expect((await front.request({ queue, body: 'many' })).body).toBe(3);
  expect((await front.request({ queue, body: 'nothing' })).body).toBeNull();
});

test('work that never ran is an error reply, and not its idle result', async () => {
  other.respond({ queue }, () => Promise.resolve(of(1))).subscribe();
  expect(await publishError(front.request({ queue, body: 1 }))).toMatchObject({
    code: 'REPLY_ERROR',
    cause: { name: 'TypeError', message: expect.stringContaining('nothing subscribes') as string },
  });
});

test('a reply goes to the queue that the request names, with its correlation id', async () => {
  const answers = await bystander.declareQueue();
  other.respond<number, number>({ queue }, ({ body }) => body + 1).subscribe();
  await front.send({ queue, body: 1, replyTo: answers, correlationId: 'c1' });
  await front.send({ queue, body: 2, replyTo: answers, messageId: 'm2' });
  const replies = await bystander.takeAtLeast(answers, 2);
  expect(bodies(replies)).toEqual([2, 3]);
  expect(replies.map(({ properties }) => properties.correlationId as unknown)).toEqual(['c1', 'm2']);
});

test('without `replyTo` a request is worked on and acked, and nothing is sent', async () => {
  const handled = collect(other.respond({ queue }, () => 'for nobody'));
  await front.send({ queue, body: 1 });
  await eventually(() => handled.values.length === 1);
  expect(settlements(handled)).toEqual(['ack']);
  expect(other.metrics.sent).toBe(0);
});

test('where the one who asked is gone the request is acked all the same', async () => {
  const handled = collect(other.respond({ queue }, () => 'for nobody'));
  await front.send({ queue, body: 1, replyTo: 'a-queue-that-never-was', correlationId: 'c1' });
  await eventually(() => handled.values.length === 1);
  expect(settlements(handled)).toEqual(['ack']);
  expect(await bystander.hasQueue('a-queue-that-never-was')).toBe(false);
});

test('a failure is told and dead-lettered', async () => {
  const handled = collect(other.respond({ queue }, () => Promise.reject(new TypeError('no'))));
  expect(await publishError(front.request({ queue, body: 1 }))).toMatchObject({ code: 'REPLY_ERROR' });
  await eventually(() => handled.values.length === 1);
  expect(settlements(handled)).toEqual(['reject']);
  expect(await bystander.takeAtLeast(dead, 1)).toHaveLength(1);
});

test('a result that cannot be encoded is a failure', async () => {
  other.respond({ queue }, () => () => undefined).subscribe();
  const error = await publishError(front.request({ queue, body: 1 }));
  expect(error.message).toMatch(/TypeError: `body` is a function, which has no JSON form/);
});

test.each<[string, (queue: InstanceQueue) => ErrorPolicy<unknown>, string[]]>([
  ['requeue-once', () => 'requeue-once', ['requeue', 'reject']],
  [
    'a function',
    () =>
      (_, { redelivered }) =>
        redelivered ? 'reject' : 'requeue',
    ['requeue', 'reject'],
  ],
  ['retry', (q) => q.retry({ attempts: 3, delay: 50 }), ['ack', 'ack', 'reject']],
  ['retry, then a route', (q) => q.retry({ attempts: 2, delay: 50, then: { queue: 'parked' } }), ['ack', 'ack']],
])('by the policy %s a failure is told when it is for good, and once', async (_, policy, expected) => {
  for (const name of [`${queue}.retry.50`, 'parked']) bystander.deletesQueue(name);
  const handled = collect(other.respond({ queue }, () => Promise.reject(new Error('no')), { onError: policy(other) }));
  expect(await publishError(front.request({ queue, body: 1 }))).toMatchObject({ code: 'REPLY_ERROR' });
  await eventually(() => handled.values.length === expected.length);
  expect(settlements(handled)).toEqual(expected);
  expect(front.metrics.unclaimed).toBe(0);
});

test('a retry that succeeds is answered as if nothing had been', async () => {
  bystander.deletesQueue(`${queue}.retry.50`);
  const onError = other.retry({ attempts: 5, delay: 50 });
  other
    .respond(
      { queue },
      ({ deliveryCount }) => {
        if (deliveryCount < 2) throw new Error('not yet');
        return deliveryCount;
      },
      { onError },
    )
    .subscribe();
  expect((await front.request({ queue, body: 1 })).body).toBe(2);
});

test('what cannot be right is refused at the call', () => {
  const policy = { onError: 'ignore' as 'reject' };
  expect(() => other.respond({ queue }, () => 1, policy)).toThrow(/Expected `onError` to be one of/);
  expect(() => other.respond({ queue }, 1 as unknown as () => number)).toThrow(/Expected `work` to be a function/);
});
