import { Producer, type OutboxState, type ProducerOptions, type PublishError } from 'instance-queue';
import { pino } from 'pino';
import { bodies } from '../../support/brokers/messages';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { producingFixture } from '../../support/fixtures/producing';
import { heldBytes } from '../../support/memory';
import { numbers } from '../../support/numbers';
import { outcomes, publishError } from '../../support/publish-error';

const given = producingFixture();

let queue: string;
let log: string[];

beforeEach(() => {
  given.proxy.refuse();
  queue = given.bystander.freeQueueName();
  log = [];
});

/** A producer whose connection is refused until `proxy.restore()`. */
function offline(options: ProducerOptions): Producer {
  const logger = pino({ level: 'debug' }, { write: (line) => log.push(line) });
  return closing(new Producer(given.newConnection({ reconnect: { min: 10, max: 10 }, logger }), options));
}

test('with `wait` messages beyond the limit wait for room, and arrive in order', async () => {
  const { bystander, proxy } = given;
  const producer = offline({ outbox: { limit: 5 } });
  const sends = Array.from({ length: 20 }, (_, body) => producer.send({ queue, body }));
  expect(producer.outbox).toMatchObject({ queued: 5, unconfirmed: 0 });
  await proxy.restore();
  await Promise.all(sends);
  expect(bodies(await bystander.takeAtLeast(queue, 20))).toEqual(numbers(20));
  expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
});

test.each([
  ['that waited in the outbox', {}],
  ['that were all in flight', { maxInFlight: 10_000 }],
])('after a burst of messages %s, the next ones are sent and settle', async (_, options) => {
  const { bystander, proxy } = given;
  const producer = offline(options);
  const burst = Array.from({ length: 3000 }, (_, body) => producer.send({ queue, body }));
  await proxy.restore();
  await Promise.all(burst);
  // The broker confirms the first at once, and the others once they are on its disk.
  const nowhere = { exchange: 'amq.fanout', body: 0, mandatory: false };
  await producer.sendAll([nowhere, ...Array.from({ length: 10 }, (_, i) => ({ queue, body: 3000 + i }))]);
  expect(bodies(await bystander.takeAtLeast(queue, 3010))).toEqual(numbers(3010));
  expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
});

test('with `wait` the limit of bytes holds, too', async () => {
  const producer = offline({ outbox: { bytes: 10_000 } });
  const sends = Array.from({ length: 10 }, () => producer.send({ queue, body: Buffer.alloc(3_000) }));
  expect(producer.outbox.queued).toBe(3);
  expect(producer.outbox.bytes).toBeGreaterThan(9_000);
  expect(producer.outbox.bytes).toBeLessThanOrEqual(10_000);
  await given.proxy.restore();
  expect(await outcomes(sends)).toEqual(sends.map(() => 'confirmed'));
});

test('the timeout of a message runs while it waits for room', async () => {
  const { bystander, proxy } = given;
  const producer = offline({ outbox: { limit: 1 } });
  const inside = producer.send({ queue, body: 'inside' });
  const outside = producer.send({ queue, body: 'outside' }, { timeout: 30 });
  expect(await publishError(outside)).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
  await proxy.restore();
  await inside;
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual(['inside']);
});

test('an aborted message makes room for the next', async () => {
  const { bystander, proxy } = given;
  const producer = offline({ outbox: { limit: 1 } });
  const abort = new AbortController();
  const first = outcomes([producer.send({ queue, body: 'first' }, { signal: abort.signal })]);
  const second = producer.send({ queue, body: 'second' });
  abort.abort();
  expect(await first).toEqual(['PUBLISH_ABORTED']);
  expect(producer.outbox.queued).toBe(1);
  await proxy.restore();
  await second;
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual(['second']);
});

test('with `reject` messages beyond the limit reject at once', async () => {
  const producer = offline({ outbox: { limit: 2, overflow: 'reject' } });
  const sends = [1, 2, 3].map((body) => producer.send({ queue, body }));
  const error = await publishError(sends[2]!);
  expect(error).toMatchObject({ code: 'OUTBOX_FULL', maybeDelivered: false, retryable: true });
  expect(error.message).toMatch(/holds 2 messages/);
  await given.proxy.restore();
  expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed', 'OUTBOX_FULL']);
});

test('with `reject` the limit of bytes holds, too', async () => {
  const producer = offline({ outbox: { bytes: 5_000, overflow: 'reject' } });
  const sends = [1, 2, 3].map(() => producer.send({ queue, body: Buffer.alloc(2_000) }));
  await given.proxy.restore();
  expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed', 'OUTBOX_FULL']);
});

test('with `drop-oldest` the oldest message rejects, emits `dropped` and is logged', async () => {
  const { bystander, proxy } = given;
  const producer = offline({ outbox: { limit: 2, overflow: 'drop-oldest' } });
  const dropped: PublishError[] = [];
  producer.on('dropped', (cause) => dropped.push(cause));
  const sends = [1, 2, 3, 4].map((body) => producer.send({ queue, body, messageId: `m${String(body)}` }));
  const settled = outcomes(sends);
  expect(producer.outbox.queued).toBe(2);
  await proxy.restore();
  expect(await settled).toEqual(['OUTBOX_FULL', 'OUTBOX_FULL', 'confirmed', 'confirmed']);
  expect(dropped.map(({ messageId, maybeDelivered }) => [messageId, maybeDelivered])).toEqual([
    ['m1', false],
    ['m2', false],
  ]);
  expect(await publishError(sends[0]!)).toBe(dropped[0]);
  const lines = log
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === 'message dropped: the outbox is full');
  expect(lines.map(({ messageId, level }) => [messageId, level])).toEqual([
    ['m1', 40],
    ['m2', 40],
  ]);
  expect(bodies(await bystander.takeAtLeast(queue, 2))).toEqual([3, 4]);
});

test('with `drop-oldest` a large message drops as many as it needs room for', async () => {
  const producer = offline({ outbox: { bytes: 10_000, overflow: 'drop-oldest' } });
  const sends = [3_000, 3_000, 3_000, 6_000].map((size) => producer.send({ queue, body: Buffer.alloc(size) }));
  const settled = outcomes(sends);
  await given.proxy.restore();
  expect(await settled).toEqual(['OUTBOX_FULL', 'OUTBOX_FULL', 'confirmed', 'confirmed']);
});

test.each(['wait', 'reject', 'drop-oldest'] as const)(
  'a message that can never fit rejects at once (%s)',
  async (overflow) => {
    const producer = offline({ outbox: { bytes: 1_000, overflow } });
    const small = producer.send({ queue, body: 'small' });
    const error = await publishError(producer.send({ queue, body: Buffer.alloc(1_000) }));
    expect(error).toMatchObject({ code: 'OUTBOX_FULL' });
    await given.proxy.restore();
    expect(await small).toMatchObject({ attempts: 1 });
  },
);

test('outbox$ starts with the current state, follows it, and completes when the producer is closed', async () => {
  const producer = offline({});
  const seen = collect(producer.outbox$);
  expect(seen.values).toEqual([{ queued: 0, unconfirmed: 0, bytes: 0 }]);
  const sent = producer.send({ queue, body: 1 });
  await given.proxy.restore();
  await sent;
  const path = seen.values.map(({ queued, unconfirmed }: OutboxState) => `${String(queued)}/${String(unconfirmed)}`);
  expect(path).toEqual(['0/0', '1/0', '0/1', '0/0']);
  await producer.close();
  expect(seen.completed).toBe(true);
  expect(seen.error).toBeUndefined();
});

test('messages that timed out while nothing could be sent are not kept in memory', async () => {
  const producer = offline({ outbox: { limit: 10 } });
  const before = heldBytes();
  for (let round = 0; round < 20; round++) {
    const sends = Array.from({ length: 10 }, () =>
      producer.send({ queue, body: Buffer.alloc(1024 * 1024) }, { timeout: 5 }),
    );
    expect(new Set(await outcomes(sends))).toEqual(new Set(['PUBLISH_TIMEOUT']));
  }
  expect(heldBytes() - before).toBeLessThan(60 * 1024 * 1024);
});
