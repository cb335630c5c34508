import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { OutboxState, ProducerOptions, ProducerState, SendOptions } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { map, throwError, type Observable } from 'rxjs';
import { ChannelError } from '../../../lib/errors';
import { MemoryTransport } from '../../../lib/testing/memory/memory-transport';
import type { Endpoint } from '../../../lib/transport/endpoints';
import type { Link } from '../../../lib/transport/transport';
import { collect } from '../../support/collect';
import { opened, producing, toQueue } from '../../support/memory-producer';
import { outcomes } from '../../support/publish-error';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

/** On whose connections no channel for publishing opens. */
class WithoutChannels extends MemoryTransport {
  override dial(endpoint: Endpoint): Observable<Link> {
    const openOutbound = (): Observable<never> => throwError(() => new ChannelError('No channel is left.'));
    return super.dial(endpoint).pipe(map((link) => Object.assign(link, { openOutbound })));
  }
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
  it('count what waits to be sent again after a nack as queued, with its bytes', async () => {
    const { producer, broker } = await opened();
    broker.nackNext();
    const sent = producer.send(toQueue);
    await later(20);
    const { bytes } = producer.outbox;
    expect(producer.outbox).toMatchObject({ queued: 1, unconfirmed: 0 });
    broker.disconnect();
    await later();
    const behind = producer.send(toQueue);
    expect(producer.outbox.bytes).toBe(2 * bytes);
    expect(bytes).toBeGreaterThan(0);
    broker.reconnect();
    await later(5000);
    await behind;
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

describe('the gauges of a producer whose outbox is full', () => {
  it('count nothing of a message that waits for room, also when that is given up', async () => {
    const { producer, broker } = await opened({ outbox: { limit: 1 } });
    broker.disconnect();
    await later();
    const sends = [outcomes([producer.send(toQueue)])];
    const full = producer.outbox;
    const aborting = new AbortController();
    sends.push(outcomes([producer.send(toQueue, { signal: aborting.signal })]));
    expect(producer.outbox).toEqual(full);
    aborting.abort();
    expect(producer.outbox).toEqual(full);
    broker.reconnect();
    await later(5000);
    expect(await Promise.all(sends)).toEqual([['confirmed'], ['PUBLISH_ABORTED']]);
    expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
  });
});

describe('the gauges of a producer that drops the oldest', () => {
  it('are emitted also where nothing but the number of messages has changed', async () => {
    const body = 'short';
    const { producer: empty, broker: down } = await opened();
    down.disconnect();
    await later();
    const sends = [outcomes([empty.send({ ...toQueue, body })])];
    const { bytes } = empty.outbox;
    const { producer, broker } = await opened({ outbox: { bytes: 2 * bytes, overflow: 'drop-oldest' } });
    broker.disconnect();
    await later();
    for (let times = 0; times < 2; times++) sends.push(outcomes([producer.send({ ...toQueue, body })]));
    const gauges = collect(producer.outbox$);
    // As large as the two together.
    sends.push(outcomes([producer.send({ ...toQueue, body: body.padEnd(body.length + bytes) })]));
    expect(gauges.values).toEqual([
      { queued: 2, unconfirmed: 0, bytes: 2 * bytes },
      { queued: 1, unconfirmed: 0, bytes: 2 * bytes },
    ]);
    for (const one of [down, broker]) one.reconnect();
    await later(5000);
    expect((await Promise.all(sends)).flat()).toEqual(['confirmed', 'OUTBOX_FULL', 'OUTBOX_FULL', 'confirmed']);
  });

  it('are emitted also where nothing but the bytes has changed', async () => {
    const { producer, broker } = await opened({ outbox: { limit: 1, overflow: 'drop-oldest' } });
    broker.disconnect();
    await later();
    const sends = [outcomes([producer.send(toQueue)])];
    const gauges = collect(producer.outbox$);
    sends.push(outcomes([producer.send({ ...toQueue, body: 'longer' })]));
    expect(withoutBytes(gauges.values.slice(-1))).toEqual([[1, 0]]);
    expect(gauges.values.at(-1)).toEqual(producer.outbox);
    expect(gauges.values.at(-1)?.bytes).toBeGreaterThan(gauges.values[0]?.bytes ?? Infinity);
    broker.reconnect();
    await later(5000);
    expect(await Promise.all(sends)).toEqual([['OUTBOX_FULL'], ['confirmed']]);
  });
});

describe('an option that cannot be right', () => {
  it.each<[string, ProducerOptions, string]>([
    ['unknown', { maxInflight: 5 } as ProducerOptions, 'Unknown option `maxInflight` for a producer. Did you mean'],
    ['too small', { maxInFlight: 0 }, 'Expected `maxInFlight` to be an integer from 1 to 65535'],
    ['too large', { maxInFlight: 65_536 }, 'Expected `maxInFlight` to be an integer from 1 to 65535'],
    ['too short', { timeout: 0 }, 'Expected `timeout` to be a number of milliseconds from 1'],
    ['no word that it knows', { onNack: 'retry' as never }, "Expected `onNack` to be one of 'resend', 'reject'"],
    ['no word either', { onUnknown: 'retry' as never }, "Expected `onUnknown` to be one of 'resend', 'reject'"],
    ['no kind', { delayIn: 'stream' as never }, "Expected `delayIn` to be one of 'quorum', 'classic'"],
    ['unknown in the outbox', { outbox: { size: 5 } as never }, 'Unknown option `outbox.size` for `outbox`'],
    ['no room at all', { outbox: { limit: 0 } }, 'Expected `outbox.limit` to be an integer from 1'],
    ['no byte', { outbox: { bytes: 0 } }, 'Expected `outbox.bytes` to be an integer from 1'],
    [
      'no such overflow',
      { outbox: { overflow: 'drop' as never } },
      "Expected `outbox.overflow` to be one of 'wait', 'reject', 'drop-oldest'",
    ],
    ['a topology that is none', { topology: { queues: [{ name: 5 as never }] } }, 'name'],
  ])('is refused with a sentence: %s', (_what, options, sentence) => {
    const { queue } = producing();
    expect(() => queue.producer(options)).toThrow(sentence);
  });

  it.each<[string, SendOptions, string]>([
    ['unknown', { timeOut: 5 } as SendOptions, 'Unknown option `timeOut` for a send. Did you mean `timeout`?'],
    ['too short', { timeout: 0 }, 'Expected `timeout` to be a number of milliseconds from 1'],
    ['no signal', { signal: {} as never }, 'Expected `signal` to be an AbortSignal'],
  ])('of a single send rejects it: %s', async (_what, options, sentence) => {
    const { producer } = producing();
    expect(await rejection(producer.send(toQueue, options))).toMatchObject({
      name: 'OptionsError',
      message: expect.stringContaining(sentence) as string,
    });
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

  it('has been closed behind the block that uses it', async () => {
    const { producer } = await opened();
    {
      await using used = producer;
      expect(used.state).toMatchObject({ status: 'open' });
    }
    expect(producer.state).toEqual({ status: 'stopped' });
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
    // And so is what comes later, at once, also behind a close.
    for (let times = 0; times < 2; times++) {
      expect(await rejection(given.send({ ...toQueue, messageId: 'm' }))).toMatchObject({
        code: 'PUBLISH_CLOSED',
        messageId: 'm',
        cause: { code: 'CONNECT_FAILED' },
      });
      expect(await given.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    }
    expect(given.state).toMatchObject({ status: 'stopped', cause: { code: 'CONNECT_FAILED' } });
  });

  it('rejects what waits when its channel cannot be opened again as often as it may, with the reason', async () => {
    const refusing = new MemoryBroker({ transport: (host) => new WithoutChannels(host) });
    const queue = closing(new FakeInstanceQueue({ broker: refusing, reopen: { attempts: 2, min: 10, max: 10 } }));
    const given = queue.producer();
    const sent = rejection(given.send(toQueue));
    await later(1000);
    const reason = 'Gave up opening a channel for publishing after 2 failed attempts. No channel is left.';
    expect(await sent).toMatchObject({
      code: 'PUBLISH_CLOSED',
      message: `The producer is closed. ${reason}`,
      cause: { name: 'ChannelError', message: reason },
      maybeDelivered: false,
    });
    expect(given.state).toMatchObject({ status: 'stopped', cause: { name: 'ChannelError', message: reason } });
  });
});
