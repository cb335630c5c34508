import type { Handled } from 'instance-queue';
import { of } from 'rxjs';
import { POLICIES } from '../../support/error-policies';
import { bodies } from '../../support/brokers/messages';
import { collect, type Collected } from '../../support/collect';
import { requestingFixture } from '../../support/fixtures/requesting';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = requestingFixture();
let queue: string;
let dead: string;
beforeEach(async () => {
  const { bystander } = given;
  queue = bystander.freeQueueName();
  dead = await bystander.declareQueue({}, `${queue}.dead`);
  await bystander.declareQueue({ deadLetterExchange: '', deadLetterRoutingKey: dead }, queue);
});

const settlements = (handled: Collected<Handled<unknown, unknown>>): string[] =>
  handled.values.map(({ settlement }) => settlement);

test('a request is acked when its reply is confirmed', async () => {
  const { requester, responder } = given;
  const handled = collect(responder.respond({ queue }, () => Promise.resolve('done')));
  expect((await requester.request({ queue, body: 1 })).body).toBe('done');
  await eventually(() => handled.values.length === 1);
  expect(handled.values[0]).toMatchObject({ settlement: 'ack', sent: true, value: 'done' });
  // The reply went over the producing connection.
  expect(responder.metrics).toMatchObject({ sent: 1, confirmed: 1, acked: 1 });
});

test('the last value of an Observable is the reply, and the reply of work that returns nothing is null', async () => {
  const { requester, responder } = given;
  const work = ({ body }: { readonly body: unknown }): unknown => (body === 'many' ? of(1, 2, 3) : undefined);
  responder.respond({ queue }, work).subscribe();
  expect((await requester.request({ queue, body: 'many' })).body).toBe(3);
  expect((await requester.request({ queue, body: 'nothing' })).body).toBeNull();
});

test('work that never ran is an error reply, and not its idle result', async () => {
  const { requester, responder } = given;
  responder.respond({ queue }, () => Promise.resolve(of(1))).subscribe();
  expect(await publishError(requester.request({ queue, body: 1 }))).toMatchObject({
    code: 'REPLY_ERROR',
    cause: { name: 'TypeError', message: expect.stringContaining('nothing subscribes') as string },
  });
});

test('a reply goes to the queue that the request names, with its correlation id', async () => {
  const { bystander, requester, responder } = given;
  const answers = await bystander.declareQueue();
  responder.respond<number, number>({ queue }, ({ body }) => body + 1).subscribe();
  await requester.send({ queue, body: 1, replyTo: answers, correlationId: 'c1' });
  await requester.send({ queue, body: 2, replyTo: answers, messageId: 'm2' });
  const replies = await bystander.takeAtLeast(answers, 2);
  expect(bodies(replies)).toEqual([2, 3]);
  expect(replies.map(({ properties }) => properties.correlationId as unknown)).toEqual(['c1', 'm2']);
});

test('a message without `replyTo` is handled and acked, and nothing is sent', async () => {
  const { requester, responder } = given;
  const handled = collect(responder.respond({ queue }, () => 'no reply'));
  await requester.send({ queue, body: 1 });
  await eventually(() => handled.values.length === 1);
  expect(settlements(handled)).toEqual(['ack']);
  expect(responder.metrics.sent).toBe(0);
});

test('a request whose reply queue is gone is handled and acked', async () => {
  const { bystander, requester, responder } = given;
  const handled = collect(responder.respond({ queue }, () => 'no reply'));
  await requester.send({ queue, body: 1, replyTo: 'a-queue-that-does-not-exist', correlationId: 'c1' });
  await eventually(() => handled.values.length === 1);
  expect(settlements(handled)).toEqual(['ack']);
  expect(await bystander.hasQueue('a-queue-that-does-not-exist')).toBe(false);
});

test('a request whose handler fails gets an error reply and is dead-lettered', async () => {
  const { bystander, requester, responder } = given;
  const handled = collect(responder.respond({ queue }, () => Promise.reject(new TypeError('no'))));
  expect(await publishError(requester.request({ queue, body: 1 }))).toMatchObject({ code: 'REPLY_ERROR' });
  await eventually(() => handled.values.length === 1);
  expect(settlements(handled)).toEqual(['reject']);
  expect(await bystander.takeAtLeast(dead, 1)).toHaveLength(1);
});

test('a result that cannot be encoded is an error reply', async () => {
  const { requester, responder } = given;
  responder.respond({ queue }, () => () => undefined).subscribe();
  const error = await publishError(requester.request({ queue, body: 1 }));
  expect(error.message).toMatch(/TypeError: `body` is a function, which has no JSON form/);
});

test.each(POLICIES)(
  'with the policy %s a failed request gets one error reply, after its last attempt',
  async (_, policy, expected) => {
    const { bystander, requester, responder } = given;
    for (const name of [`${queue}.retry.50`, 'parked']) bystander.deletesQueue(name);
    const handled = collect(
      responder.respond({ queue }, () => Promise.reject(new Error('no')), { onError: policy(responder) }),
    );
    expect(await publishError(requester.request({ queue, body: 1 }))).toMatchObject({ code: 'REPLY_ERROR' });
    await eventually(() => handled.values.length === expected.length);
    expect(settlements(handled)).toEqual(expected);
    expect(requester.metrics.unclaimed).toBe(0);
  },
);

test('a request that succeeds by a retry is answered like any other', async () => {
  const { bystander, requester, responder } = given;
  bystander.deletesQueue(`${queue}.retry.50`);
  const onError = responder.retry({ attempts: 5, delay: 50 });
  responder
    .respond(
      { queue },
      ({ deliveryCount }) => {
        if (deliveryCount < 2) throw new Error('not yet');
        return deliveryCount;
      },
      { onError },
    )
    .subscribe();
  expect((await requester.request({ queue, body: 1 })).body).toBe(2);
});

test('invalid options are refused at the call', () => {
  const policy = { onError: 'ignore' as 'reject' };
  expect(() => given.responder.respond({ queue }, () => 1, policy)).toThrow(/Expected `onError` to be one of/);
  expect(() => given.responder.respond({ queue }, 1 as unknown as () => number)).toThrow(
    /Expected `work` to be a function/,
  );
});
