import { tracingChannel } from 'node:diagnostics_channel';
import { PublishError, SendAllError, type Confirmation, type OutboundMessage } from 'instance-queue';
import { bodies, ids } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { eventually } from '../../support/waiting';
import { numbers } from '../../support/numbers';
import { publishError } from '../../support/publish-error';

const given = producingFixture();

const messages = (count: number, queue = given.queue): OutboundMessage[] =>
  numbers(count).map((body) => ({ queue, body, messageId: `m${String(body)}` }));

async function sendAllError(sent: Promise<unknown>): Promise<SendAllError> {
  const error: unknown = await sent.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SendAllError)) throw new Error(`Expected a SendAllError, got ${String(error)}.`);
  return error;
}

test('messages sent together arrive in order, and each has its confirmation', async () => {
  const producer = given.newProducer();
  const confirmations = await producer.sendAll(messages(500));
  expect(confirmations.map(({ messageId }) => messageId)).toEqual(numbers(500).map((n) => `m${String(n)}`));
  expect(confirmations.every(({ attempts, epoch }) => attempts === 1 && epoch === 1)).toBe(true);
  expect(bodies(await given.bystander.takeAtLeast(given.queue, 500))).toEqual(numbers(500));
});

test('they keep their place between sends before and after', async () => {
  const producer = given.newProducer();
  const { queue } = given;
  const before = producer.send({ queue, body: 0, messageId: 'before' });
  const together = producer.sendAll(messages(3));
  const after = producer.send({ queue, body: 9, messageId: 'after' });
  await Promise.all([before, together, after]);
  expect(ids(await given.bystander.takeAtLeast(queue, 5))).toEqual(['before', 'm0', 'm1', 'm2', 'after']);
});

test('no messages are no trouble', async () => {
  expect(await given.newProducer().sendAll([])).toEqual([]);
});

test('one wrong message refuses them all, and none is sent', async () => {
  const { queue, bystander, connection } = given;
  const producer = given.newProducer();
  const wrong = [...messages(2), { queue, body: 2, messageId: 'wrong', priority: -1 }, ...messages(2)];
  const error = await publishError(producer.sendAll(wrong));
  expect(error).toMatchObject({ code: 'PUBLISH_INVALID', messageId: 'wrong', maybeDelivered: false });
  expect(error.message).toMatch(/^Message 3 of 5, so that none was sent: .*`priority`/);
  expect(error.cause).toBeInstanceOf(PublishError);
  await producer.send({ queue, body: 'next' });
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual(['next']);
  expect(connection.core.counters.sent).toBe(1);
});

test.each([[undefined], [{ queue: 'q', body: 1 }], ['text']])(
  'anything but an array is refused: %j',
  async (given_) => {
    const error = await publishError(given.newProducer().sendAll(given_ as never));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID' });
    expect(error.message).toMatch(/expects an array of messages/);
  },
);

test('when some are not confirmed, the error says what became of each', async () => {
  const { queue, bystander } = given;
  const producer = given.newProducer();
  const lost = { exchange: 'amq.direct', routingKey: 'nowhere', body: 1, messageId: 'lost' };
  const error = await sendAllError(producer.sendAll([...messages(2), lost, { queue, body: 2, messageId: 'm2' }]));
  expect(error).toMatchObject({ name: 'SendAllError', code: 'PUBLISH_INCOMPLETE', retryable: false });
  expect(error.message).toMatch(/^1 of 4 messages were not confirmed\. The first: No queue took the message/);
  expect(error.outcomes.map((outcome) => (outcome instanceof PublishError ? outcome.code : outcome.messageId))).toEqual(
    ['m0', 'm1', 'PUBLISH_RETURNED', 'm2'],
  );
  expect(error.failures).toEqual([error.cause]);
  expect(error.failures[0]).toMatchObject({ messageId: 'lost' });
  expect(ids(await bystander.takeAtLeast(queue, 3))).toEqual(['m0', 'm1', 'm2']);
});

test('a lost link resends what was in flight, with the same ids', async () => {
  const { bystander, proxy, queue } = given;
  const producer = given.newProducer();
  await producer.send({ queue, body: 'first', messageId: 'first' });
  proxy.hold('toClient');
  const sent = producer.sendAll(messages(20));
  await eventually(async () => (await bystander.count(queue)).ready >= 21);
  proxy.cut();
  proxy.release();
  const confirmations = await sent;
  expect(confirmations.every(({ attempts, epoch }) => attempts === 2 && epoch === 2)).toBe(true);
  const arrived = ids(await bystander.takeAtLeast(queue, 41));
  expect(new Set(arrived).size).toBe(21);
});

test('`timeout` and `signal` end each message that is not confirmed', async () => {
  given.proxy.refuse();
  const producer = given.newProducer();
  const late = await sendAllError(producer.sendAll(messages(3), { timeout: 20 }));
  expect(late.failures.map(({ code }) => code)).toEqual(['PUBLISH_TIMEOUT', 'PUBLISH_TIMEOUT', 'PUBLISH_TIMEOUT']);
  expect(late.retryable).toBe(true);
  const abort = new AbortController();
  const waiting = sendAllError(producer.sendAll(messages(2), { signal: abort.signal }));
  abort.abort();
  expect((await waiting).failures.map(({ code }) => code)).toEqual(['PUBLISH_ABORTED', 'PUBLISH_ABORTED']);
  expect(await publishError(producer.sendAll(messages(2), { signal: abort.signal }))).toMatchObject({
    code: 'PUBLISH_ABORTED',
    maybeDelivered: false,
  });
  expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
});

test('with `overflow: reject` they are taken all or none', async () => {
  given.proxy.refuse();
  const producer = given.newProducer({ outbox: { limit: 5, overflow: 'reject' } });
  const three = producer.sendAll(messages(3));
  expect(await publishError(producer.sendAll(messages(3)))).toMatchObject({ code: 'OUTBOX_FULL' });
  expect(producer.outbox).toMatchObject({ queued: 3 });
  await given.proxy.restore();
  expect(await three).toHaveLength(3);
});

test('with `overflow: drop-oldest` the newest stay', async () => {
  given.proxy.refuse();
  const producer = given.newProducer({ outbox: { limit: 2, overflow: 'drop-oldest' } });
  const sent = sendAllError(producer.sendAll(messages(5)));
  await given.proxy.restore();
  const { outcomes } = await sent;
  expect(outcomes.map((outcome) => (outcome instanceof PublishError ? outcome.code : 'confirmed'))).toEqual([
    'OUTBOX_FULL',
    'OUTBOX_FULL',
    'OUTBOX_FULL',
    'confirmed',
    'confirmed',
  ]);
});

test('a listener that sends in the middle changes nothing about what became of each', async () => {
  given.proxy.refuse();
  const producer = given.newProducer({ outbox: { limit: 2, overflow: 'drop-oldest' } });
  const spare: Promise<unknown>[] = [];
  producer.once('dropped', () => {
    spare.push(producer.send({ queue: given.queue, body: 'spare', messageId: 'spare' }).catch(() => undefined));
  });
  const sent = sendAllError(producer.sendAll(messages(5)));
  await given.proxy.restore();
  const { outcomes } = await sent;
  expect(outcomes.map(({ messageId }) => messageId)).toEqual(['m0', 'm1', 'm2', 'm3', 'm4']);
  await Promise.all(spare);
});

test('a closed producer refuses them', async () => {
  const producer = given.newProducer();
  await producer.close();
  expect(await publishError(producer.sendAll(messages(1)))).toMatchObject({ code: 'PUBLISH_CLOSED' });
});

test('each message is traced as a `send` is', async () => {
  const channel = tracingChannel('instance-queue:publish');
  const traced: string[] = [];
  const subscriber = {
    start: (trace: unknown) => traced.push((trace as Confirmation).messageId),
    end: () => undefined,
    asyncStart: () => undefined,
    asyncEnd: () => undefined,
    error: () => undefined,
  };
  channel.subscribe(subscriber);
  try {
    const producer = given.newProducer();
    await producer.sendAll(messages(3));
    expect(traced).toEqual(['m0', 'm1', 'm2']);
    const wrong = { ...messages(1)[0], priority: -1 } as OutboundMessage;
    await publishError(producer.sendAll([...messages(2), wrong]));
    expect(traced).toHaveLength(3);
    const lost = { exchange: 'amq.direct', routingKey: 'nowhere', body: 1 };
    const error = await sendAllError(producer.sendAll([...messages(1), lost]));
    expect(error.failures.map(({ code }) => code)).toEqual(['PUBLISH_RETURNED']);
  } finally {
    channel.unsubscribe(subscriber);
  }
});

test('more messages than the outbox holds wait for room, and arrive in order', async () => {
  given.proxy.refuse();
  const producer = given.newProducer({ outbox: { limit: 10 }, maxInFlight: 7 });
  const sent = producer.sendAll(messages(200));
  expect(producer.outbox).toMatchObject({ queued: 10 });
  await given.proxy.restore();
  expect(await sent).toHaveLength(200);
  expect(bodies(await given.bystander.takeAtLeast(given.queue, 200))).toEqual(numbers(200));
});

test('a close right after it waits for all of them', async () => {
  const producer = given.newProducer();
  const sent = producer.sendAll(messages(300));
  const report = await producer.close();
  expect(report).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(await sent).toHaveLength(300);
});

test('a listener that closes the producer in the middle leaves no message unsettled', async () => {
  given.proxy.refuse();
  const producer = given.newProducer({ outbox: { limit: 2, overflow: 'drop-oldest' } });
  const closed: Promise<unknown>[] = [];
  producer.on('dropped', () => closed.push(producer.close({ drainTimeout: 50 })));
  const { outcomes, failures } = await sendAllError(producer.sendAll(messages(5)));
  expect(outcomes).toHaveLength(5);
  expect(failures.map(({ code }) => code)).toEqual([
    'OUTBOX_FULL',
    'OUTBOX_FULL',
    'OUTBOX_FULL',
    'PUBLISH_CLOSED',
    'PUBLISH_CLOSED',
  ]);
  await Promise.all(closed);
  expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
});

test('an array that changes while its messages wait changes nothing', async () => {
  given.proxy.refuse();
  const producer = given.newProducer();
  const batch = messages(3);
  const sent = producer.sendAll(batch);
  batch.length = 0;
  await given.proxy.restore();
  expect(await sent).toHaveLength(3);
});
