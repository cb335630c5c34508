import { ConsumerError, InstanceQueue, PublishError, handle, json, type Message } from 'instance-queue';
import { NEVER } from 'rxjs';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { publishError } from '../../support/publish-error';
import { eventually, rejection, until } from '../../support/waiting';

const broker = sharedBroker();
const { url } = broker;
let bystander: Bystander;
let queue: string;
let front: InstanceQueue;
let other: InstanceQueue;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  queue = await bystander.declareQueue();
  front = closing(new InstanceQueue(url));
  other = closing(new InstanceQueue(url));
});
afterEach(closeAll);

test('a request gets the reply to it', async () => {
  other.respond<number, number>({ queue }, ({ body }) => body * 2).subscribe();
  const reply = await front.request<number>({ queue, body: 21 });
  expect(reply).toMatchObject({ body: 42, properties: { contentType: 'application/json' } });
  expect(await Promise.all([1, 2, 3].map(async (body) => (await front.request({ queue, body })).body))).toEqual([
    2, 4, 6,
  ]);
  // All over one channel, and no queue is made for replies.
  expect((await broker.queues()).filter(({ name }) => name.startsWith('amq.gen'))).toEqual([]);
  expect(front.metrics).toMatchObject({ sent: 4, confirmed: 4, unclaimed: 0 });
});

test('a thousand requests in flight, answered out of order, get each its own', async () => {
  const held: (() => void)[] = [];
  const work = ({ body }: Message<number>): Promise<string> =>
    new Promise((resolve) => {
      held.push(() => {
        resolve(`reply ${String(body)}`);
      });
      // In the reverse of the order in which they came.
      if (held.length === 1000) for (const go of held.reverse()) go();
    });
  other.respond<number, string>({ queue, prefetch: 1000 }, work).subscribe();
  const asked = Array.from({ length: 1000 }, (_, body) => front.request<string>({ queue, body }));
  const replies = await Promise.all(asked);
  expect(replies.map(({ body }) => body)).toEqual(asked.map((_, i) => `reply ${String(i)}`));
  expect(front.metrics.unclaimed).toBe(0);
});

test('an error reply rejects with the name and the sentence of the error', async () => {
  other
    .respond({ queue }, () => {
      throw new RangeError('no such account at amqp://me:secret@host');
    })
    .subscribe();
  const error = await publishError(front.request({ queue, body: 1, messageId: 'm1' }));
  expect(error).toMatchObject({ code: 'REPLY_ERROR', messageId: 'm1', retryable: false, maybeDelivered: true });
  expect(error.message).toBe('The responder could not do the work: RangeError: no such account at amqp://host');
  expect(error.cause).toMatchObject({ name: 'RangeError', message: 'no such account at amqp://host' });
});

test('where there is no queue the request comes back at once, and none is made', async () => {
  const missing = bystander.freeQueueName();
  expect(await publishError(front.request({ queue: missing, body: 1 }))).toMatchObject({
    code: 'PUBLISH_RETURNED',
    maybeDelivered: false,
  });
  expect(await bystander.hasQueue(missing)).toBe(false);
});

test('without a reply in time it rejects, and a late reply is dropped and counted', async () => {
  const replies: (() => void)[] = [];
  const work = ({ body }: Message<unknown>): string | Promise<string> =>
    body === 'warm' ? body : new Promise((resolve) => replies.push(() => resolve('late')));
  other.respond({ queue }, work).subscribe();
  // The time is for the reply: both sides are connected by then.
  await front.request({ queue, body: 'warm' });
  const error = await publishError(front.request({ queue, body: 1 }, { timeout: 300 }));
  expect(error).toMatchObject({ code: 'REPLY_TIMEOUT', retryable: true, maybeDelivered: true });
  expect(error.message).toMatch(/No reply came within 300 ms/);
  await eventually(() => replies.length === 1);
  for (const late of replies) late();
  await eventually(() => front.metrics.unclaimed === 1);
});

test('a request that nobody works on in time expires at the broker', async () => {
  await publishError(front.request({ queue, body: 1 }, { timeout: 100 }));
  await eventually(async () => (await bystander.count(queue)).ready === 0);
});

test('aborting ends the waiting, before and behind the confirm', async () => {
  const before = publishError(front.request({ queue, body: 1 }, { signal: AbortSignal.abort() }));
  expect(await before).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: false });
  const controller = new AbortController();
  const behind = publishError(front.request({ queue, body: 2 }, { signal: controller.signal }));
  await eventually(() => front.metrics.confirmed === 1);
  controller.abort(new Error('enough'));
  expect(await behind).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: true, cause: new Error('enough') });
});

test('the codec of the request reads its reply, and what it cannot read rejects', async () => {
  other.respond({ queue }, () => ({ id: 'seven' })).subscribe();
  const codec = json((value) => {
    if (typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string') return value.id;
    throw new TypeError('no id');
  });
  expect((await front.request({ queue, body: 1 }, { codec })).body).toBe('seven');
  const strict = json((): number => {
    throw new TypeError('no number');
  });
  const error = await rejection(front.request({ queue, body: 1 }, { codec: strict }));
  expect(error).toBeInstanceOf(ConsumerError);
  expect(error).toMatchObject({ code: 'UNDECODABLE', cause: { message: 'no number' } });
});

test('a request to an exchange is answered, too', async () => {
  await bystander.onChannel((channel) => channel.bindQueue(queue, 'amq.direct', queue));
  other.respond<string, string>({ queue }, ({ routingKey }) => routingKey).subscribe();
  expect((await front.request({ exchange: 'amq.direct', routingKey: queue, body: 'x' })).body).toBe(queue);
});

test('a poison request rejects alone: its neighbours are answered', async () => {
  other.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  const good = [1, 2, 3].map((body) => front.request<number>({ queue, body }, { idempotent: true }));
  const bad = publishError(front.request({ exchange: 'missing', body: 0 }, { idempotent: true }));
  const late = [4, 5].map((body) => front.request<number>({ queue, body }, { idempotent: true }));
  expect(await bad).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404 });
  expect((await Promise.all([...good, ...late])).map(({ body }) => body)).toEqual([1, 2, 3, 4, 5]);
});

test('its own way back is not for the caller to choose', async () => {
  for (const own of [{ replyTo: 'mine' }, { correlationId: 'mine' }]) {
    expect(await publishError(front.request({ queue, body: 1, ...own }))).toMatchObject({ code: 'PUBLISH_INVALID' });
  }
  expect((await bystander.count(queue)).ready).toBe(0);
});

test.each<[object, RegExp]>([
  [{ timeout: 0 }, /Expected `timeout`/],
  [{ idempotent: 'yes' }, /Expected `idempotent` to be true or false, got `yes` \(string\)/],
  [{ codec: {} }, /Expected `codec`/],
  [{ retries: 3 }, /Unknown option `retries` for request\(\)/],
])('the options %p are refused with a sentence', async (options, sentence) => {
  await expect(front.request({ queue, body: 1 }, options)).rejects.toThrow(sentence);
});

test('closing waits for replies, and tells those whose time is up', async () => {
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  other
    .respond<string, string>({ queue }, async ({ body }) => {
      await (body === 'never' ? new Promise(() => undefined) : gate);
      return 'done';
    })
    .subscribe();
  const answered = front.request<string>({ queue, body: 'soon' });
  await eventually(() => other.metrics.inFlight === 1);
  const closed = front.close();
  await eventually(() => front.state.producer.status === 'closing');
  expect(await publishError(front.request({ queue, body: 'too late' }))).toMatchObject({ code: 'PUBLISH_CLOSED' });
  go();
  expect((await answered).body).toBe('done');
  expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });

  const hasty = closing(new InstanceQueue(url));
  const left = publishError(hasty.request({ queue, body: 'never' }));
  await eventually(() => hasty.metrics.confirmed === 1);
  expect(await hasty.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 1 });
  expect(await left).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
});

test('work that is under way when its queue closes can ask, and gets its answer', async () => {
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  const jobs = await bystander.declareQueue();
  other
    .respond<string, string>({ queue }, async ({ body }) => {
      await gate;
      return body.toUpperCase();
    })
    .subscribe();
  const answers: unknown[] = [];
  front
    .consume<string>({ queue: jobs })
    .pipe(
      handle(async ({ body }) => {
        const before = front.request({ queue, body });
        await until(front.state$, ({ consumer }) => consumer.status === 'closing');
        const after = front.request({ queue, body: `${body}, still` });
        go();
        answers.push((await before).body, (await after).body);
      }),
    )
    .subscribe();
  await bystander.put(jobs, 'asked');
  await eventually(() => other.metrics.inFlight === 1);
  expect(await front.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(answers).toEqual(['ASKED', 'ASKED, STILL']);
  expect(await bystander.count(jobs)).toMatchObject({ ready: 0 });
});

test('a request whose signal is aborted holds up no closing', async () => {
  await bystander.declareQueue();
  const controller = new AbortController();
  const asked = publishError(front.request({ queue, body: 1 }, { signal: controller.signal }));
  await eventually(() => front.metrics.confirmed === 1);
  const closed = front.close();
  await eventually(() => front.state.producer.status === 'closing');
  controller.abort();
  expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(await asked).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: true });
});

test('replies that belong to nobody are dropped, however many', async () => {
  other.respond({ queue }, () => NEVER).subscribe();
  // Sees the address of the channel, and writes there.
  const spy = await bystander.declareQueue();
  await front.connect();
  const pending = publishError(front.request({ queue: spy, body: 1 }, { timeout: 2000 }));
  const got = await eventually(() => bystander.onChannel((channel) => channel.get(spy, { noAck: true })));
  const { replyTo } = (got as { properties: { replyTo: string } }).properties;
  expect(replyTo).toMatch(/^amq\.rabbitmq\.reply-to\./);
  const contents = Array.from({ length: 500 }, () => Buffer.from('1'));
  await bystander.publishRaw('', replyTo, contents, { correlationId: 'foreign' });
  await bystander.publishRaw('', replyTo, contents, {});
  await eventually(() => front.metrics.unclaimed === 1000);
  expect(await pending).toBeInstanceOf(PublishError);
});
