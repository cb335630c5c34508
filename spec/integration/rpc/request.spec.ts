import { ConsumerError, PublishError, handle, json, type Message } from 'instance-queue';
import { NEVER } from 'rxjs';
import { requestingFixture } from '../../support/fixtures/requesting';
import { publishError } from '../../support/publish-error';
import { eventually, rejection, until } from '../../support/waiting';

const given = requestingFixture();

test('a request resolves with its reply', async () => {
  const { broker, queue, requester, responder } = given;
  responder.respond<number, number>({ queue }, ({ body }) => body * 2).subscribe();
  const reply = await requester.request<number>({ queue, body: 21 });
  expect(reply).toMatchObject({ body: 42, properties: { contentType: 'application/json' } });
  expect(await Promise.all([1, 2, 3].map(async (body) => (await requester.request({ queue, body })).body))).toEqual([
    2, 4, 6,
  ]);
  // All over one channel, without a queue for replies.
  expect((await broker.queues()).filter(({ name }) => name.startsWith('amq.gen'))).toEqual([]);
  expect(requester.metrics).toMatchObject({ sent: 4, confirmed: 4, unclaimed: 0 });
});

test('of a thousand requests in flight, answered out of order, each gets its own reply', async () => {
  const { queue, requester, responder } = given;
  const held: (() => void)[] = [];
  const work = ({ body }: Message<number>): Promise<string> =>
    new Promise((resolve) => {
      held.push(() => {
        resolve(`reply ${String(body)}`);
      });
      // In reverse order.
      if (held.length === 1000) for (const go of held.reverse()) go();
    });
  responder.respond<number, string>({ queue, prefetch: 1000 }, work).subscribe();
  const asked = Array.from({ length: 1000 }, (_, body) => requester.request<string>({ queue, body }));
  const replies = await Promise.all(asked);
  expect(replies.map(({ body }) => body)).toEqual(asked.map((_, i) => `reply ${String(i)}`));
  expect(requester.metrics.unclaimed).toBe(0);
});

test('an error reply rejects with the name and the message of the error', async () => {
  const { queue, requester, responder } = given;
  responder
    .respond({ queue }, () => {
      throw new RangeError('no such account at amqp://me:secret@host');
    })
    .subscribe();
  const error = await publishError(requester.request({ queue, body: 1, messageId: 'm1' }));
  expect(error).toMatchObject({ code: 'REPLY_ERROR', messageId: 'm1', retryable: false, maybeDelivered: true });
  expect(error.message).toBe('The responder could not do the work: RangeError: no such account at amqp://host');
  expect(error.cause).toMatchObject({ name: 'RangeError', message: 'no such account at amqp://host' });
});

test('a request to a missing queue is returned at once, and the queue is not declared', async () => {
  const { bystander, requester } = given;
  const missing = bystander.freeQueueName();
  expect(await publishError(requester.request({ queue: missing, body: 1 }))).toMatchObject({
    code: 'PUBLISH_RETURNED',
    maybeDelivered: false,
  });
  expect(await bystander.hasQueue(missing)).toBe(false);
});

test('a request without a reply in time rejects, and a late reply is dropped and counted', async () => {
  const { queue, requester, responder } = given;
  const replies: (() => void)[] = [];
  const work = ({ body }: Message<unknown>): string | Promise<string> =>
    body === 'warm' ? body : new Promise((resolve) => replies.push(() => resolve('late')));
  responder.respond({ queue }, work).subscribe();
  // The timeout shall cover the reply alone: both clients are connected by now.
  await requester.request({ queue, body: 'warm' });
  const error = await publishError(requester.request({ queue, body: 1 }, { timeout: 300 }));
  expect(error).toMatchObject({ code: 'REPLY_TIMEOUT', retryable: true, maybeDelivered: true });
  expect(error.message).toMatch(/No reply came within 300 ms/);
  await eventually(() => replies.length === 1);
  for (const late of replies) late();
  await eventually(() => requester.metrics.unclaimed === 1);
});

test('a request that no responder takes in time expires on the broker', async () => {
  const { bystander, queue, requester } = given;
  await publishError(requester.request({ queue, body: 1 }, { timeout: 100 }));
  await eventually(async () => (await bystander.count(queue)).ready === 0);
});

test('an abort rejects a request, before and after its confirm', async () => {
  const { queue, requester } = given;
  const before = publishError(requester.request({ queue, body: 1 }, { signal: AbortSignal.abort() }));
  expect(await before).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: false });
  const controller = new AbortController();
  const after = publishError(requester.request({ queue, body: 2 }, { signal: controller.signal }));
  await eventually(() => requester.metrics.confirmed === 1);
  controller.abort(new Error('enough'));
  expect(await after).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: true, cause: new Error('enough') });
});

test('the codec of the request decodes its reply, and a reply that it cannot decode rejects', async () => {
  const { queue, requester, responder } = given;
  responder.respond({ queue }, () => ({ id: 'seven' })).subscribe();
  const codec = json((value) => {
    if (typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string') return value.id;
    throw new TypeError('no id');
  });
  expect((await requester.request({ queue, body: 1 }, { codec })).body).toBe('seven');
  const strict = json((): number => {
    throw new TypeError('no number');
  });
  const error = await rejection(requester.request({ queue, body: 1 }, { codec: strict }));
  expect(error).toBeInstanceOf(ConsumerError);
  expect(error).toMatchObject({ code: 'UNDECODABLE', cause: { message: 'no number' } });
});

test('a request to an exchange is answered, too', async () => {
  const { bystander, queue, requester, responder } = given;
  await bystander.onChannel((channel) => channel.bindQueue(queue, 'amq.direct', queue));
  responder.respond<string, string>({ queue }, ({ routingKey }) => routingKey).subscribe();
  expect((await requester.request({ exchange: 'amq.direct', routingKey: queue, body: 'x' })).body).toBe(queue);
});

test('a refused request rejects, and other requests are answered', async () => {
  const { queue, requester, responder } = given;
  responder.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  const good = [1, 2, 3].map((body) => requester.request<number>({ queue, body }, { idempotent: true }));
  const bad = publishError(requester.request({ exchange: 'missing', body: 0 }, { idempotent: true }));
  const late = [4, 5].map((body) => requester.request<number>({ queue, body }, { idempotent: true }));
  expect(await bad).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404 });
  expect((await Promise.all([...good, ...late])).map(({ body }) => body)).toEqual([1, 2, 3, 4, 5]);
});

test('the caller may not set `replyTo` and `correlationId`', async () => {
  const { bystander, queue, requester } = given;
  for (const own of [{ replyTo: 'mine' }, { correlationId: 'mine' }]) {
    expect(await publishError(requester.request({ queue, body: 1, ...own }))).toMatchObject({
      code: 'PUBLISH_INVALID',
    });
  }
  expect((await bystander.count(queue)).ready).toBe(0);
});

test.each<[object, RegExp]>([
  [{ timeout: 0 }, /Expected `timeout`/],
  [{ idempotent: 'yes' }, /Expected `idempotent` to be true or false, got `yes` \(string\)/],
  [{ codec: {} }, /Expected `codec`/],
  [{ retries: 3 }, /Unknown option `retries` for request\(\)/],
])('the invalid options %p reject with a message', async (options, sentence) => {
  const { queue, requester } = given;
  await expect(requester.request({ queue, body: 1 }, options)).rejects.toThrow(sentence);
});

test('close waits for replies, and rejects the requests that are still pending at its deadline', async () => {
  const { newClient, queue, requester, responder } = given;
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  responder
    .respond<string, string>({ queue }, async ({ body }) => {
      await (body === 'never' ? new Promise(() => undefined) : gate);
      return 'done';
    })
    .subscribe();
  const answered = requester.request<string>({ queue, body: 'soon' });
  await eventually(() => responder.metrics.inFlight === 1);
  const closed = requester.close();
  await eventually(() => requester.state.producer.status === 'closing');
  expect(await publishError(requester.request({ queue, body: 'too late' }))).toMatchObject({ code: 'PUBLISH_CLOSED' });
  go();
  expect((await answered).body).toBe('done');
  expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });

  const another = newClient();
  const left = publishError(another.request({ queue, body: 'never' }));
  await eventually(() => another.metrics.confirmed === 1);
  expect(await another.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 1 });
  expect(await left).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
});

test('a handler that runs while the client closes can make requests, and gets the replies', async () => {
  const { bystander, queue, requester, responder } = given;
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  const jobs = await bystander.declareQueue();
  responder
    .respond<string, string>({ queue }, async ({ body }) => {
      await gate;
      return body.toUpperCase();
    })
    .subscribe();
  const answers: unknown[] = [];
  requester
    .consume<string>({ queue: jobs })
    .pipe(
      handle(async ({ body }) => {
        const before = requester.request({ queue, body });
        await until(requester.state$, ({ consumer }) => consumer.status === 'closing');
        const after = requester.request({ queue, body: `${body}, still` });
        go();
        answers.push((await before).body, (await after).body);
      }),
    )
    .subscribe();
  await bystander.put(jobs, 'asked');
  await eventually(() => responder.metrics.inFlight === 1);
  expect(await requester.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(answers).toEqual(['ASKED', 'ASKED, STILL']);
  expect(await bystander.count(jobs)).toMatchObject({ ready: 0 });
});

test('an aborted request does not delay a close', async () => {
  const { bystander, queue, requester } = given;
  await bystander.declareQueue();
  const controller = new AbortController();
  const asked = publishError(requester.request({ queue, body: 1 }, { signal: controller.signal }));
  await eventually(() => requester.metrics.confirmed === 1);
  const closed = requester.close();
  await eventually(() => requester.state.producer.status === 'closing');
  controller.abort();
  expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(await asked).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: true });
});

test('replies without a request are dropped, however many', async () => {
  const { bystander, queue, requester, responder } = given;
  responder.respond({ queue }, () => NEVER).subscribe();
  // The bystander reads the reply address from a request, and publishes to it.
  const intercepted = await bystander.declareQueue();
  await requester.connect();
  const pending = publishError(requester.request({ queue: intercepted, body: 1 }, { timeout: 2000 }));
  const got = await eventually(() => bystander.onChannel((channel) => channel.get(intercepted, { noAck: true })));
  const { replyTo } = (got as { properties: { replyTo: string } }).properties;
  expect(replyTo).toMatch(/^amq\.rabbitmq\.reply-to\./);
  const contents = Array.from({ length: 500 }, () => Buffer.from('1'));
  await bystander.publishRaw('', replyTo, contents, { correlationId: 'foreign' });
  await bystander.publishRaw('', replyTo, contents, {});
  await eventually(() => requester.metrics.unclaimed === 1000);
  expect(await pending).toBeInstanceOf(PublishError);
});
