import { getEventListeners } from 'node:events';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { opened, toQueue } from '../../support/memory-producer';
import { closing } from '../../support/closing';
import { outcomes } from '../../support/publish-error';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

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

  it.each([
    ['confirmed', 'confirmed'],
    ['returned', 'PUBLISH_RETURNED'],
    ['out of time', 'PUBLISH_TIMEOUT'],
    ['aborted', 'PUBLISH_ABORTED'],
  ])('leaves no listener on its signal once it is %s', async (what, outcome) => {
    const { producer, broker } = await opened();
    if (what === 'returned') broker.returnNext();
    else if (what !== 'confirmed') broker.hold();
    const aborting = new AbortController();
    const { signal } = aborting;
    const sent = outcomes([producer.send({ exchange: '', routingKey: 'orders', body: 1 }, { signal, timeout: 50 })]);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    if (what === 'aborted') aborting.abort();
    await later(60);
    expect(await sent).toEqual([outcome]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
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

  it.each<[string, (given: Awaited<ReturnType<typeof opened>>) => void, string, boolean, object | undefined]>([
    [
      'on a connection that is down',
      ({ broker }) => broker.disconnect(),
      'It was not sent; the connection is reconnecting.',
      false,
      { name: 'ConnectionError' },
    ],
    [
      'that the broker does not confirm',
      ({ broker }) => broker.hold(),
      'It was sent; the broker may have it.',
      true,
      undefined,
    ],
  ])('whose time is up %s is rejected, counted and logged', async (_, prepare, where, maybeDelivered, cause) => {
    const given = await opened();
    prepare(given);
    await later();
    const sent = rejection(given.producer.send({ ...toQueue, messageId: 'm' }, { timeout: 50 }));
    await later(51);
    expect(await sent).toMatchObject({
      code: 'PUBLISH_TIMEOUT',
      messageId: 'm',
      message: `The message was not confirmed within 50 ms. ${where}`,
      maybeDelivered,
      ...(cause && { cause }),
    });
    if (!cause) expect(await sent).not.toHaveProperty('cause');
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
