import { InstanceQueue, type Message, type RequestOptions } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const broker = privateBroker();
const { url } = broker;
let bystander: Bystander;
let proxy: FaultProxy;
let queue: string;
/** Asks through the proxy; the responder is at the broker itself. */
let front: InstanceQueue;
let other: InstanceQueue;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  proxy = closing(await FaultProxy.before(url));
  queue = await bystander.declareQueue();
  front = closing(new InstanceQueue({ url: proxy.url(url), reconnect: { min: 10, max: 10 } }));
  other = closing(new InstanceQueue(url));
});
afterEach(async () => {
  await broker.memoryAlarm(false);
  await closeAll();
});

/** Answers when told to, and counts how often it works on what. */
function responder(): { readonly works: unknown[]; readonly answer: () => void } {
  const works: unknown[] = [];
  let answer = (): void => undefined;
  const gate = new Promise<void>((resolve) => (answer = resolve));
  other
    .respond({ queue, prefetch: 100 }, async ({ body }) => {
      works.push(body);
      if (body !== 'warm') await gate;
      return body;
    })
    .subscribe();
  return { works, answer };
}

const ask = (count: number, options?: RequestOptions): Promise<Message<unknown>>[] =>
  Array.from({ length: count }, (_, body) => front.request({ queue, body, messageId: `m${String(body)}` }, options));

test('a link cut with ten requests pending rejects all ten as unknown', async () => {
  const { works, answer } = responder();
  const asked = outcomes(ask(10));
  await eventually(() => works.length === 10);
  proxy.cut();
  expect(await asked).toEqual(Array(10).fill('PUBLISH_UNKNOWN'));
  answer();
  // The next one is on the new channel, with a reply consumer of its own.
  expect((await front.request({ queue, body: 'warm' })).body).toBe('warm');
});

test('a link cut before the confirms rejects as unknown, too', async () => {
  const { works } = responder();
  await front.request({ queue, body: 'warm' });
  proxy.hold('toClient');
  const asked = outcomes(ask(10));
  await eventually(() => works.length === 11);
  proxy.cut();
  await proxy.restore();
  expect(await asked).toEqual(Array(10).fill('PUBLISH_UNKNOWN'));
});

test('idempotent requests are sent again with the same id, and answered', async () => {
  const { works, answer } = responder();
  const asked = ask(10, { idempotent: true });
  await eventually(() => works.length === 10);
  proxy.cut();
  await eventually(() => works.length === 20);
  answer();
  expect((await Promise.all(asked)).map(({ body }) => body)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(front.metrics.reconnects).toBeGreaterThanOrEqual(1);
});

test('through cut after cut every request settles once, and every idempotent one is answered', async () => {
  other.respond<number, number>({ queue }, ({ body }) => body).subscribe();
  const strict: Promise<string[]>[] = [];
  const idempotent: Promise<string[]>[] = [];
  for (let cuts = 0; cuts < 8; cuts++) {
    strict.push(outcomes(ask(50)));
    idempotent.push(outcomes(ask(50, { idempotent: true })));
    const { confirmed } = front.metrics;
    await eventually(() => front.metrics.confirmed > confirmed);
    proxy.cut();
  }
  expect(new Set((await Promise.all(idempotent)).flat())).toEqual(new Set(['confirmed']));
  for (const outcome of (await Promise.all(strict)).flat()) expect(['confirmed', 'PUBLISH_UNKNOWN']).toContain(outcome);
});

test('what is asked while disconnected waits, its deadline running', async () => {
  other.respond<string, string>({ queue }, ({ body }) => body).subscribe();
  proxy.refuse();
  const hasty = publishError(front.request({ queue, body: 'hasty' }, { timeout: 100 }));
  const patient = front.request({ queue, body: 'patient' });
  expect(await hasty).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
  await proxy.restore();
  expect((await patient).body).toBe('patient');
});

test('a channel that the broker closes settles what was pending on it', async () => {
  const { works } = responder();
  const pending = outcomes(ask(5));
  await eventually(() => works.length === 5);
  expect(await publishError(front.request({ exchange: 'missing', body: 1 }))).toMatchObject({
    code: 'PUBLISH_REFUSED',
  });
  expect(await pending).toEqual(Array(5).fill('PUBLISH_UNKNOWN'));
  expect((await front.request({ queue, body: 'warm' })).body).toBe('warm');
  expect(front.metrics.reconnects).toBe(0);
});

test('while the broker blocks publishing, requests wait, and their deadline runs', async () => {
  other.respond<string, string>({ queue }, ({ body }) => body).subscribe();
  await front.request({ queue, body: 'before' });
  await broker.memoryAlarm(true);
  // RabbitMQ blocks a connection at its next publish.
  const first = front.request({ queue, body: 'first' });
  await until(front.health$, ({ blocked }) => blocked !== undefined);
  const second = front.request({ queue, body: 'second' });
  expect(await publishError(front.request({ queue, body: 'hasty' }, { timeout: 50 }))).toMatchObject({
    code: 'PUBLISH_TIMEOUT',
    maybeDelivered: false,
  });
  await broker.memoryAlarm(false);
  expect([(await first).body, (await second).body]).toEqual(['first', 'second']);
});

test('a request that was never sent when closing runs out of time says so, and is counted once', async () => {
  proxy.refuse();
  const asked = publishError(front.request({ queue, body: 1 }));
  const again = publishError(front.request({ queue, body: 2 }, { idempotent: true }));
  expect(await front.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 2 });
  expect(await asked).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
  expect(await again).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
});

test('so does one that was sent and not confirmed: it may have been worked on', async () => {
  const { works } = responder();
  await front.request({ queue, body: 'warm' });
  proxy.hold('toClient');
  const asked = publishError(front.request({ queue, body: 1 }));
  await eventually(() => works.length === 2);
  expect(await front.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 1 });
  expect(await asked).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
});
