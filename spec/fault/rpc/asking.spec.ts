import { type Message, type RequestOptions } from 'instance-queue';
import { requestingFixture } from '../../support/fixtures/requesting';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const given = requestingFixture({
  memoryAlarm: true,
  proxied: 'requester',
  requester: { reconnect: { min: 10, max: 10 } },
});

/** Responds to everything but 'warm' only after `answer`, and records the bodies it gets. */
function respondLater(): { readonly works: unknown[]; readonly answer: () => void } {
  const { queue, responder } = given;
  const works: unknown[] = [];
  let answer = (): void => undefined;
  const gate = new Promise<void>((resolve) => (answer = resolve));
  responder
    .respond({ queue, prefetch: 100 }, async ({ body }) => {
      works.push(body);
      if (body !== 'warm') await gate;
      return body;
    })
    .subscribe();
  return { works, answer };
}

const ask = (count: number, options?: RequestOptions): Promise<Message<unknown>>[] =>
  Array.from({ length: count }, (_, body) =>
    given.requester.request({ queue: given.queue, body, messageId: `m${String(body)}` }, options),
  );

test('a connection lost with ten requests pending rejects all ten as unknown', async () => {
  const { proxy, queue, requester } = given;
  const { works, answer } = respondLater();
  const asked = outcomes(ask(10));
  await eventually(() => works.length === 10);
  proxy.cut();
  expect(await asked).toEqual(Array(10).fill('PUBLISH_UNKNOWN'));
  answer();
  // The next request uses a new channel with its own reply consumer.
  expect((await requester.request({ queue, body: 'warm' })).body).toBe('warm');
});

test('a connection lost before the confirms rejects requests as unknown, too', async () => {
  const { proxy, queue, requester } = given;
  const { works } = respondLater();
  await requester.request({ queue, body: 'warm' });
  proxy.hold('toClient');
  const asked = outcomes(ask(10));
  await eventually(() => works.length === 11);
  proxy.cut();
  await proxy.restore();
  expect(await asked).toEqual(Array(10).fill('PUBLISH_UNKNOWN'));
});

test('idempotent requests are sent again with the same id, and answered', async () => {
  const { proxy, requester } = given;
  const { works, answer } = respondLater();
  const asked = ask(10, { idempotent: true });
  await eventually(() => works.length === 10);
  proxy.cut();
  await eventually(() => works.length === 20);
  answer();
  expect((await Promise.all(asked)).map(({ body }) => body)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(requester.metrics.reconnects).toBeGreaterThanOrEqual(1);
});

test('over many lost connections every request settles once, and every idempotent one is answered', async () => {
  const { proxy, queue, requester, responder } = given;
  responder.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  const strict: Promise<string[]>[] = [];
  const idempotent: Promise<string[]>[] = [];
  for (let cuts = 0; cuts < 8; cuts++) {
    strict.push(outcomes(ask(50)));
    idempotent.push(outcomes(ask(50, { idempotent: true })));
    const { confirmed } = requester.metrics;
    await eventually(() => requester.metrics.confirmed > confirmed);
    proxy.cut();
  }
  expect(new Set((await Promise.all(idempotent)).flat())).toEqual(new Set(['confirmed']));
  for (const outcome of (await Promise.all(strict)).flat()) expect(['confirmed', 'PUBLISH_UNKNOWN']).toContain(outcome);
});

test('a request made while disconnected waits, within its timeout', async () => {
  const { proxy, queue, requester, responder } = given;
  responder.respond<string, string>({ queue }, ({ body }) => body).subscribe();
  proxy.refuse();
  const timedOut = publishError(requester.request({ queue, body: 'hasty' }, { timeout: 100 }));
  const patient = requester.request({ queue, body: 'patient' });
  expect(await timedOut).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
  await proxy.restore();
  expect((await patient).body).toBe('patient');
});

test('a channel that the broker closes settles its pending requests', async () => {
  const { queue, requester } = given;
  const { works } = respondLater();
  const pending = outcomes(ask(5));
  await eventually(() => works.length === 5);
  expect(await publishError(requester.request({ exchange: 'missing', body: 1 }))).toMatchObject({
    code: 'PUBLISH_REFUSED',
  });
  expect(await pending).toEqual(Array(5).fill('PUBLISH_UNKNOWN'));
  expect((await requester.request({ queue, body: 'warm' })).body).toBe('warm');
  expect(requester.metrics.reconnects).toBe(0);
});

test('while the broker blocks publishing, requests wait, within their timeout', async () => {
  const { broker, queue, requester, responder } = given;
  responder.respond<string, string>({ queue }, ({ body }) => body).subscribe();
  await requester.request({ queue, body: 'before' });
  await broker.memoryAlarm(true);
  // RabbitMQ blocks a connection at its next publish.
  const first = requester.request({ queue, body: 'first' });
  await until(requester.health$, ({ blocked }) => blocked !== undefined);
  const second = requester.request({ queue, body: 'second' });
  expect(await publishError(requester.request({ queue, body: 'hasty' }, { timeout: 50 }))).toMatchObject({
    code: 'PUBLISH_TIMEOUT',
    maybeDelivered: false,
  });
  await broker.memoryAlarm(false);
  expect([(await first).body, (await second).body]).toEqual(['first', 'second']);
});

test('a request that a close leaves unsent rejects as not delivered, and is counted once', async () => {
  const { proxy, queue, requester } = given;
  proxy.refuse();
  const asked = publishError(requester.request({ queue, body: 1 }));
  const again = publishError(requester.request({ queue, body: 2 }, { idempotent: true }));
  expect(await requester.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 2 });
  expect(await asked).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
  expect(await again).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
});

test('a request that a close leaves unconfirmed rejects as maybe delivered', async () => {
  const { proxy, queue, requester } = given;
  const { works } = respondLater();
  await requester.request({ queue, body: 'warm' });
  proxy.hold('toClient');
  const asked = publishError(requester.request({ queue, body: 1 }));
  await eventually(() => works.length === 2);
  expect(await requester.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 1 });
  expect(await asked).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
});
