import { requestingFixture } from '../../support/fixtures/requesting';
import { numbers } from '../../support/numbers';
import { eventually, until } from '../../support/waiting';

const backoff = { min: 10, max: 10 };
const given = requestingFixture({
  memoryAlarm: true,
  proxied: 'responder',
  responder: { reconnect: backoff, reopen: backoff },
});

test('a responder whose connections are lost during its work answers all requests', async () => {
  const { bystander, proxy, queue, requester, responder } = given;
  let works = 0;
  const work = async ({ body }: { readonly body: number }): Promise<number> => {
    if (works++ === 5) proxy.cut();
    return Promise.resolve(body);
  };
  responder.respond<number, number>({ queue, prefetch: 10 }, work).subscribe();
  // After the first reply both connections are up, so that both are cut.
  await requester.request({ queue, body: 'first' });
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, body) => requester.request<number>({ queue, body })),
  );
  expect(replies.map(({ body }) => body)).toEqual(numbers(50));
  expect(responder.metrics.reconnects).toBeGreaterThanOrEqual(2);
  await eventually(async () => (await bystander.count(queue)).ready === 0 && responder.metrics.inFlight === 0);
});

test('a responder whose queue is deleted attaches again, and answers later requests', async () => {
  const { bystander, queue, requester, responder } = given;
  responder.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  expect((await requester.request({ queue, body: 1 })).body).toBe(1);
  await bystander.deleteQueue(queue);
  await eventually(() => responder.metrics.reopens > 0 && responder.health.status === 'up');
  expect((await requester.request({ queue, body: 2 })).body).toBe(2);
});

test('a request is unacked until its reply is confirmed', async () => {
  const { proxy, queue, requester, responder } = given;
  responder.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  await requester.request({ queue, body: 1 });
  await eventually(() => responder.metrics.acked === 1);
  // The reply or its confirm is held back.
  proxy.hold('toBroker');
  const asked = requester.request({ queue, body: 2 });
  await eventually(() => responder.metrics.sent === 2);
  expect(responder.metrics).toMatchObject({ acked: 1, inFlight: 1 });
  proxy.release();
  expect((await asked).body).toBe(2);
  await eventually(() => responder.metrics.acked === 2);
});

test('while replies are blocked, the consuming connection goes on', async () => {
  const { broker, bystander, queue, requester, responder } = given;
  const quiet = await bystander.declareQueue();
  responder.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  responder.consume({ queue: quiet }).subscribe((delivery) => delivery.ack());
  await requester.request({ queue, body: 1 });
  // Put there before the broker blocks publishing, and delivered while it does.
  const spare = await bystander.declareQueue();
  await bystander.put(spare, 1, 2, 3);
  await broker.memoryAlarm(true);
  void responder.send({ queue: bystander.freeQueueName(), body: 'blocked' }).catch(() => undefined);
  await until(responder.health$, ({ blocked }) => blocked !== undefined);
  const { acked } = responder.metrics;
  responder.consume({ queue: spare }).subscribe((delivery) => delivery.ack());
  await eventually(() => responder.metrics.acked === acked + 3);
  await broker.memoryAlarm(false);
  expect((await requester.request({ queue, body: 2 })).body).toBe(2);
});
