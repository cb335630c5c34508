import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type OutboxState, type ProducerOptions, type ProducerState } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { outcomes } from '../../support/publish-error';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

const toQueue = { queue: 'orders', body: 1 };

function producing(options?: ProducerOptions) {
  const queue = closing(new FakeInstanceQueue({ name: 'shop' }));
  queue.broker.declare({ queues: [{ name: 'orders' }, { name: 'others' }] });
  const producer = queue.producer(options);
  return { queue, broker: queue.broker, producer };
}
/** One that has published once. */
async function opened(options?: ProducerOptions) {
  const given = producing(options);
  const sent = given.producer.send({ ...toQueue, body: 0 });
  await later();
  await sent;
  return given;
}
const withoutBytes = (values: readonly OutboxState[]) => values.map(({ queued, unconfirmed }) => [queued, unconfirmed]);

describe('the states of a producer', () => {
  it('are published on `instance-queue:state`, with the name of its connection, except the first', async () => {
    const seen: { readonly of: string; readonly state: ProducerState }[] = [];
    const listener = (event: unknown): void => void seen.push(event as (typeof seen)[number]);
    subscribe('instance-queue:state', listener);
    const { producer } = await opened();
    const closed = producer.close();
    await later();
    await closed;
    unsubscribe('instance-queue:state', listener);
    expect(seen.filter(({ of }) => of === 'producer')).toEqual(
      [{ status: 'opening' }, { status: 'open', epoch: 1 }, { status: 'stopped' }].map((state) => ({
        of: 'producer',
        connection: 'shop.producer',
        state,
      })),
    );
  });

  it('begin with `idle`, and complete behind `stopped`', async () => {
    const { producer } = producing();
    const states = collect(producer.state$);
    expect(states.values).toEqual([{ status: 'idle' }]);
    const closed = producer.close();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(states.values).toEqual([{ status: 'idle' }, { status: 'stopped' }]);
    expect(states.completed).toBe(true);
    expect(producer.state).toEqual({ status: 'stopped' });
  });
});

describe('the gauges of a producer', () => {
  it('count what waits to be sent again after a nack as queued', async () => {
    const { producer, broker } = await opened();
    broker.nackNext();
    const sent = producer.send(toQueue);
    await later(20);
    expect(producer.outbox).toMatchObject({ queued: 1, unconfirmed: 0 });
    await later(5000);
    await sent;
    expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
  });

  it('are emitted at first and with each change of any of them, and complete when the producer is closed', async () => {
    const { producer, broker } = await opened();
    const gauges = collect(producer.outbox$);
    expect(withoutBytes(gauges.values)).toEqual([[0, 0]]);
    broker.hold();
    const sent = producer.send(toQueue);
    await later();
    expect(withoutBytes(gauges.values).at(-1)).toEqual([0, 1]);
    const before = gauges.values.length;
    broker.release();
    await later();
    await sent;
    expect(withoutBytes(gauges.values.slice(before))).toEqual([[0, 0]]);
    broker.disconnect();
    await later();
    const waiting = outcomes([producer.send(toQueue), producer.send({ ...toQueue, body: 'longer' })]);
    await later();
    const [one, two] = gauges.values.slice(-2);
    expect(withoutBytes([one!, two!])).toEqual([
      [1, 0],
      [2, 0],
    ]);
    expect(two!.bytes).toBeGreaterThan(one!.bytes);
    for (const [i, value] of gauges.values.entries()) if (i > 0) expect(value).not.toEqual(gauges.values[i - 1]);
    const closed = producer.close({ drainTimeout: 0 });
    await later();
    await closed;
    expect(await waiting).toEqual(['PUBLISH_CLOSED', 'PUBLISH_CLOSED']);
    expect(gauges.completed).toBe(true);
  });
});

describe('a producer that is closed', () => {
  it('refuses to send, with the id that the message was given', async () => {
    const { producer } = await opened();
    await producer.close();
    expect(await rejection(producer.send({ ...toQueue, messageId: 'm' }))).toMatchObject({
      code: 'PUBLISH_CLOSED',
      messageId: 'm',
      message: 'The producer is closed.',
      maybeDelivered: false,
    });
    expect(await rejection(producer.send(toQueue))).toMatchObject({ code: 'PUBLISH_CLOSED', messageId: '' });
    expect(await rejection(producer.sendAll([toQueue]))).toMatchObject({ code: 'PUBLISH_CLOSED', messageId: '' });
  });

  it('refuses to send while it still waits for confirms', async () => {
    const { producer, broker } = await opened();
    broker.hold();
    const sent = producer.send(toQueue);
    const closed = producer.close({ drainTimeout: 1000 });
    await later();
    expect(await rejection(producer.send(toQueue))).toMatchObject({ code: 'PUBLISH_CLOSED' });
    broker.release();
    await later();
    expect(await outcomes([sent])).toEqual(['confirmed']);
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  });

  it('rejects and counts what is left after its drain timeout, and says what the broker may have', async () => {
    const { producer, broker } = await opened({ maxInFlight: 1 });
    broker.hold();
    const sends = [rejection(producer.send(toQueue)), rejection(producer.send(toQueue))];
    const closed = producer.close({ drainTimeout: 500 });
    await later(499);
    expect(producer.outbox).toMatchObject({ queued: 1, unconfirmed: 1 });
    await later(1);
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 2 });
    const [first, second] = await Promise.all(sends);
    expect(first).toMatchObject({ code: 'PUBLISH_CLOSED', message: 'The producer is closed.', maybeDelivered: true });
    expect(second).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
    broker.release();
  });

  it('ends by the end of its connection, and gives that as the reason', async () => {
    const { queue, producer } = await opened();
    const closed = queue.close();
    await later();
    await closed;
    expect(await rejection(producer.send(toQueue))).toMatchObject({ code: 'PUBLISH_CLOSED' });
    expect(producer.state).toEqual({ status: 'stopped' });
    const late = queue.producer();
    expect(await rejection(late.send({ ...toQueue, messageId: 'm' }))).toMatchObject({
      code: 'PUBLISH_CLOSED',
      messageId: 'm',
      message: 'The producer is closed. The connection is closed. Open a new one to go on.',
      cause: { code: 'CONNECTION_CLOSED' },
    });
    expect(late.state).toMatchObject({ status: 'stopped', cause: { code: 'CONNECTION_CLOSED' } });
  });

  it('rejects what waits when its connection gives up, with the reason', async () => {
    const queue = closing(new FakeInstanceQueue({ reconnect: { attempts: 2, min: 10, max: 10 } }));
    queue.broker.disconnect();
    const given = queue.producer();
    const sent = rejection(given.send(toQueue));
    await later(1000);
    expect(await sent).toMatchObject({
      code: 'PUBLISH_CLOSED',
      message: expect.stringMatching(
        /^The producer is closed\. Gave up after 2 attempts\. Cannot connect to /,
      ) as string,
      cause: { code: 'CONNECT_FAILED' },
      maybeDelivered: false,
    });
    expect(given.state).toMatchObject({ status: 'stopped', cause: { code: 'CONNECT_FAILED' } });
    // And so is what comes later, at once.
    expect(await rejection(given.send({ ...toQueue, messageId: 'm' }))).toMatchObject({
      code: 'PUBLISH_CLOSED',
      messageId: 'm',
      cause: { code: 'CONNECT_FAILED' },
    });
  });
});

describe('a message', () => {
  it.each([
    ['before it is sent', AbortSignal.abort(new Error('enough')), false],
    ['of a broker that does not answer', undefined, true],
  ])('whose signal is aborted %s is rejected with the reason', async (_, early, maybeDelivered) => {
    const { producer, broker } = await opened();
    broker.hold();
    const aborting = new AbortController();
    const sent = rejection(producer.send({ ...toQueue, messageId: 'm' }, { signal: early ?? aborting.signal }));
    aborting.abort(new Error('enough'));
    const where = maybeDelivered ? 'after it was sent; the broker may have it' : 'before the broker had it';
    expect(await sent).toMatchObject({
      code: 'PUBLISH_ABORTED',
      messageId: 'm',
      message: `The send was aborted ${where}.`,
      cause: new Error('enough'),
      maybeDelivered,
    });
    expect(broker.published).toHaveLength(maybeDelivered ? 2 : 1);
    broker.release();
  });

  it('that is larger than the outbox ever takes is refused, whatever becomes of others there', async () => {
    for (const overflow of ['wait', 'reject', 'drop-oldest'] as const) {
      const { producer, broker } = await opened({ outbox: { bytes: 1000, overflow } });
      const body = 'x'.repeat(2000);
      const error = await rejection(producer.send({ queue: 'orders', messageId: 'm', body }));
      expect(error).toMatchObject({ code: 'OUTBOX_FULL', messageId: 'm', maybeDelivered: false });
      expect((error as Error).message).toMatch(
        /^The outbox is full: it holds 0 messages, 0 bytes; this message takes \d{4} more\. See `outbox`\.$/,
      );
      expect(broker.published).toHaveLength(1);
    }
  });

  it('that is dropped for a newer one is told to `dropped`, counted and logged', async () => {
    const entries: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[] = [];
    const queue = closing(new FakeInstanceQueue({ logger: (entry) => void entries.push(entry) }));
    queue.broker.disconnect();
    const producer = queue.producer({ outbox: { limit: 1, overflow: 'drop-oldest' } });
    const dropped: unknown[] = [];
    producer.on('dropped', (cause) => dropped.push(cause));
    const sends = [
      rejection(producer.send({ ...toQueue, messageId: 'old' })),
      rejection(producer.send({ ...toQueue, messageId: 'new' })),
    ];
    await later();
    const error = await sends[0];
    expect(error).toMatchObject({
      code: 'OUTBOX_FULL',
      messageId: 'old',
      message: 'Dropped from a full outbox to make room for a newer message.',
      maybeDelivered: false,
    });
    expect(dropped).toEqual([error]);
    expect(queue.metrics).toMatchObject({ dropped: 1, outbox: { queued: 1 } });
    expect(entries.find(({ message }) => message === 'message dropped: the outbox is full')?.fields).toMatchObject({
      messageId: 'old',
      err: { code: 'OUTBOX_FULL' },
    });
    const closed = producer.close({ drainTimeout: 0 });
    await later();
    await closed;
    expect(await sends[1]).toMatchObject({ code: 'PUBLISH_CLOSED', messageId: 'new' });
  });

  it.each<[string, (given: Awaited<ReturnType<typeof opened>>) => void, string, string, boolean]>([
    [
      'on a connection that is down',
      ({ broker }) => broker.disconnect(),
      'PUBLISH_TIMEOUT',
      'It was not sent; the connection is reconnecting.',
      false,
    ],
    [
      'that the broker does not confirm',
      ({ broker }) => broker.hold(),
      'PUBLISH_TIMEOUT',
      'It was sent; the broker may have it.',
      true,
    ],
  ])('whose time is up %s is rejected, counted and logged', async (_, prepare, code, where, maybeDelivered) => {
    const given = await opened();
    prepare(given);
    await later();
    const sent = rejection(given.producer.send({ ...toQueue, messageId: 'm' }, { timeout: 50 }));
    await later(51);
    expect(await sent).toMatchObject({
      code,
      messageId: 'm',
      message: `The message was not confirmed within 50 ms. ${where}`,
      maybeDelivered,
    });
    expect(given.queue.metrics.timedOut).toBe(1);
    expect(given.producer.outbox.queued).toBe(0);
    given.broker.release();
  });

  it('whose time is up while the broker blocks publishing is rejected with its reason', async () => {
    const { producer, broker, queue } = await opened();
    broker.block('low on disk');
    const first = rejection(producer.send(toQueue, { timeout: 50 }));
    await later(10);
    const second = rejection(producer.send(toQueue, { timeout: 30 }));
    await later(51);
    expect(await first).toMatchObject({
      message:
        'The message was not confirmed within 50 ms. It was sent; the broker may have it, and blocks publishing (low on disk).',
      maybeDelivered: true,
    });
    expect(await second).toMatchObject({
      message:
        'The message was not confirmed within 30 ms. It was not sent; the broker blocks publishing (low on disk).',
      maybeDelivered: false,
    });
    expect(queue.metrics.timedOut).toBe(2);
    broker.unblock();
  });

  it('whose time is up after nacks is rejected as nacked, and says how often it was sent', async () => {
    const { producer, broker } = await opened();
    broker.nackNext(100);
    const sent = rejection(producer.send({ ...toQueue, messageId: 'm' }, { timeout: 90 }));
    await later(91);
    expect(await sent).toMatchObject({
      code: 'PUBLISH_NACKED',
      message: expect.stringMatching(
        /^The broker did not take the message \(nack\) in \d attempts? within 90 ms: the queue is full, or has no leader\.$/,
      ) as string,
      maybeDelivered: false,
    });
  });
});
