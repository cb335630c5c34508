import { requestingFixture } from '../../support/fixtures/requesting';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const FULL = { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } };
const given = requestingFixture();
/** A queue that nacks: it is full. */
let full: string;
beforeEach(async () => {
  full = await given.bystander.declareQueue(FULL);
  await given.bystander.put(full, 'a');
});

/** An exchange that routes to the full queue and to one whose responder records the bodies, and answers after `answer`. */
async function routeToBoth() {
  const { bystander, responder } = given;
  const [exchange, healthy] = [bystander.freeExchangeName(), await bystander.declareQueue()];
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout'));
  for (const queue of [full, healthy]) await bystander.onChannel((channel) => channel.bindQueue(queue, exchange, ''));
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  const works: unknown[] = [];
  responder
    .respond({ queue: healthy, prefetch: 100 }, async ({ body }) => {
      works.push(body);
      await gate;
      return 'done';
    })
    .subscribe();
  return { exchange, works, answer: go };
}

test('a request that is nacked although another queue has it is handled once, and rejects as maybe delivered', async () => {
  const { requester } = given;
  const { exchange, works } = await routeToBoth();
  const error = await publishError(requester.request({ exchange, body: 'pay' }));
  expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
  await eventually(() => works.length > 0);
  // A resend would arrive before this request.
  await publishError(requester.request({ exchange, body: 'next' }));
  await eventually(() => works.includes('next'));
  expect(works).toEqual(['pay', 'next']);
  expect(requester.metrics.resent).toBe(0);
});

test('a request to a full queue rejects at once as not delivered', async () => {
  const error = await publishError(given.requester.request({ queue: full, body: 'pay' }));
  expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: false });
  expect(given.requester.metrics).toMatchObject({ nacked: 1, resent: 0 });
});

test('an idempotent request to a full queue waits for room, and is answered', async () => {
  const { bystander, requester, responder } = given;
  const asked = requester.request({ queue: full, body: 'read' }, { idempotent: true });
  await eventually(() => requester.metrics.nacked > 0);
  await bystander.purge(full);
  responder.respond({ queue: full }, ({ body }) => body).subscribe();
  expect((await asked).body).toBe('read');
});

test('the `onNack` of the producer options does not make a request be handled twice', async () => {
  const { exchange, works } = await routeToBoth();
  const resending = given.newClient({ producer: { onNack: 'resend', onUnknown: 'resend' } });
  expect(await publishError(resending.request({ exchange, body: 'pay' }))).toMatchObject({ code: 'PUBLISH_NACKED' });
  await eventually(() => works.length > 0);
  expect(resending.metrics.resent).toBe(0);
});

test('a reply that is nacked is sent again until it is confirmed, and the work is done once', async () => {
  const { bystander, responder } = given;
  const [requests, replies] = [await bystander.declareQueue(), full];
  let works = 0;
  responder.respond({ queue: requests }, () => ++works).subscribe();
  await bystander.publishRaw('', requests, [Buffer.from('1')], { contentType: 'application/json', replyTo: replies });
  await eventually(() => responder.metrics.nacked > 1);
  await bystander.purge(replies);
  expect(await eventually(() => bystander.take(replies))).toMatchObject({ body: 1 });
  await eventually(() => responder.metrics.acked === 1);
  expect([works, (await bystander.count(replies)).ready, (await bystander.count(requests)).ready]).toEqual([1, 0, 0]);
});
