import { Connection, Producer, type OutboxState, type ProducerOptions, type PublishError } from 'instance-queue';
import { pino } from 'pino';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { bodies } from '../../support/brokers/messages';
import { heldBytes } from '../../support/memory';
import { outcomes, publishError } from '../../support/publish-error';

const { url } = sharedBroker();
let bystander: Bystander;
let proxy: FaultProxy;
let queue: string;
let log: string[];

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  proxy = closing(await FaultProxy.before(url));
  proxy.refuse();
  queue = bystander.freeQueueName();
  log = [];
});
afterEach(closeAll);

/** A producer whose connection is refused until `proxy.restore()`. */
function offline(options: ProducerOptions): Producer {
  const logger = pino({ level: 'debug' }, { write: (line) => log.push(line) });
  const connection = new Connection({ url: proxy.url(url), reconnect: { min: 10, max: 10 }, logger });
  return closing(new Producer(closing(connection), options));
}

test('with `wait` everything beyond the limit waits its turn, and arrives in order', async () => {
  const producer = offline({ outbox: { limit: 5 } });
  const sends = Array.from({ length: 20 }, (_, body) => producer.send({ queue, body }));
  expect(producer.outbox).toMatchObject({ queued: 5, unconfirmed: 0 });
  await proxy.restore();
  await Promise.all(sends);
  expect(bodies(await bystander.takeAtLeast(queue, 20))).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
});

test('with `wait` the bound of bytes holds just as well', async () => {
  const producer = offline({ outbox: { bytes: 10_000 } });
  const sends = Array.from({ length: 10 }, () => producer.send({ queue, body: Buffer.alloc(3_000) }));
  expect(producer.outbox.queued).toBe(3);
  expect(producer.outbox.bytes).toBeGreaterThan(9_000);
  expect(producer.outbox.bytes).toBeLessThanOrEqual(10_000);
  await proxy.restore();
  expect(await outcomes(sends)).toEqual(sends.map(() => 'confirmed'));
});

test('the deadline of a message runs while it waits outside', async () => {
  const producer = offline({ outbox: { limit: 1 } });
  const inside = producer.send({ queue, body: 'inside' });
  const outside = producer.send({ queue, body: 'outside' }, { timeout: 30 });
  expect(await publishError(outside)).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
  await proxy.restore();
  await inside;
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual(['inside']);
});

test('a message given up makes room for the next', async () => {
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

test('with `reject` what is beyond is rejected at once', async () => {
  const producer = offline({ outbox: { limit: 2, overflow: 'reject' } });
  const sends = [1, 2, 3].map((body) => producer.send({ queue, body }));
  const error = await publishError(sends[2]!);
  expect(error).toMatchObject({ code: 'OUTBOX_FULL', maybeDelivered: false, retryable: true });
  expect(error.message).toMatch(/holds 2 messages/);
  await proxy.restore();
  expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed', 'OUTBOX_FULL']);
});

test('with `reject` the bound of bytes holds just as well', async () => {
  const producer = offline({ outbox: { bytes: 5_000, overflow: 'reject' } });
  const sends = [1, 2, 3].map(() => producer.send({ queue, body: Buffer.alloc(2_000) }));
  await proxy.restore();
  expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed', 'OUTBOX_FULL']);
});

test('with `drop-oldest` the oldest gives its place, and is told of: rejection, event, log line', async () => {
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

test('with `drop-oldest` a large message takes the place of as many as it needs', async () => {
  const producer = offline({ outbox: { bytes: 10_000, overflow: 'drop-oldest' } });
  const sends = [3_000, 3_000, 3_000, 6_000].map((size) => producer.send({ queue, body: Buffer.alloc(size) }));
  const settled = outcomes(sends);
  await proxy.restore();
  expect(await settled).toEqual(['OUTBOX_FULL', 'OUTBOX_FULL', 'confirmed', 'confirmed']);
});

test.each(['wait', 'reject', 'drop-oldest'] as const)(
  'what could never fit is rejected at once (%s)',
  async (overflow) => {
    const producer = offline({ outbox: { bytes: 1_000, overflow } });
    const small = producer.send({ queue, body: 'small' });
    const error = await publishError(producer.send({ queue, body: Buffer.alloc(1_000) }));
    expect(error).toMatchObject({ code: 'OUTBOX_FULL' });
    await proxy.restore();
    expect(await small).toMatchObject({ attempts: 1 });
  },
);

test('outbox$ begins with the present, follows the gauges, and completes when the producer is closed', async () => {
  const producer = offline({});
  const seen = collect(producer.outbox$);
  expect(seen.values).toEqual([{ queued: 0, unconfirmed: 0, bytes: 0 }]);
  const sent = producer.send({ queue, body: 1 });
  await proxy.restore();
  await sent;
  const path = seen.values.map(({ queued, unconfirmed }: OutboxState) => `${String(queued)}/${String(unconfirmed)}`);
  expect(path).toEqual(['0/0', '1/0', '0/1', '0/0']);
  await producer.close();
  expect(seen.completed).toBe(true);
  expect(seen.error).toBeUndefined();
});

test('messages that were given up while nothing could be sent are not kept', async () => {
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
