import type { Producer, ProducerOptions, PublishError } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { map, type Observable } from 'rxjs';
import { MemoryTransport } from '../../../lib/testing/memory/memory-transport';
import type { Endpoint } from '../../../lib/transport/endpoints';
import type { Link } from '../../../lib/transport/transport';
import { closing } from '../../support/closing';
import { outcomes, publishError } from '../../support/publish-error';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

const events = { name: 'events', type: 'fanout' } as const;
const topology = {
  exchanges: [events],
  queues: [{ name: 'taken' }],
  bindings: [{ exchange: 'events', queue: 'taken' }],
};
const toQueue = { queue: 'taken', body: 1 };

/** On whose connections frames are as small as they may be. */
class SmallFrames extends MemoryTransport {
  override dial(endpoint: Endpoint): Observable<Link> {
    return super.dial(endpoint).pipe(map((link) => Object.assign(link, { frameMax: 4096 })));
  }
}

let queue: FakeInstanceQueue;
const newProducer = (options?: ProducerOptions): Producer => queue.producer({ topology, ...options });

inVirtualTime();
beforeEach(() => {
  queue = closing(new FakeInstanceQueue());
});

describe('a producer', () => {
  it('rejects all that it was given when the broker refuses its topology', async () => {
    queue.broker.declare({ exchanges: [{ name: 'events', type: 'topic' }] });
    const producer = newProducer();
    const sent = [1, 2].map((body) => publishError(producer.send({ queue: 'taken', body })));
    await later();
    for (const error of await Promise.all(sent)) {
      expect(error).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 406, maybeDelivered: false });
      expect(error.message).toMatch(/^The broker refused the topology of this producer\. .*inequivalent arg 'type'/);
    }
  });

  it('declares an exchange of its topology again when that was deleted, and rejects nothing', async () => {
    const producer = newProducer();
    await producer.send({ exchange: 'events', body: 1 });
    queue.broker.deleteExchange('events');
    const sent = producer.send({ exchange: 'events', body: 2 });
    await later(5000);
    expect(await sent).toMatchObject({ attempts: 2 });
  });

  it('rejects a message to an exchange that is missing, by name, and sends the others', async () => {
    const producer = newProducer();
    await producer.send(toQueue);
    const lost = publishError(producer.send({ exchange: 'nowhere', body: 1 }));
    const sent = producer.send(toQueue);
    await later(5000);
    const error = await lost;
    expect(error).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404, maybeDelivered: false });
    expect(error.message).toMatch(
      /^The broker refused the message sent to exchange `nowhere`\. .*no exchange 'nowhere'/,
    );
    await sent;
  });

  it('drops a message that expired before it could be sent, and says so', async () => {
    const producer = newProducer();
    const dropped: string[] = [];
    producer.on('dropped', ({ messageId }) => dropped.push(messageId));
    await producer.send(toQueue);
    queue.broker.disconnect();
    await later();
    const sent = rejection(producer.send({ ...toQueue, messageId: 'm', expiration: 100 }));
    await later(101);
    queue.broker.reconnect();
    await later();
    expect(await sent).toMatchObject({
      code: 'PUBLISH_TIMEOUT',
      message: 'The message expired (`expiration`) before it could be sent.',
      maybeDelivered: false,
    });
    expect(dropped).toEqual(['m']);
    expect(queue.broker.messages('taken')).toHaveLength(1);
  });

  it.each([
    ['sends again what the broker may have', 'resend', 'confirmed', 'confirmed'],
    ['rejects it, where nothing may come twice', 'reject', 'PUBLISH_UNKNOWN', 'confirmed'],
  ] as const)('%s when its connection is lost, and sends what it has not', async (_what, onUnknown, first, second) => {
    const producer = newProducer({ onUnknown, maxInFlight: 1 });
    await producer.send(toQueue);
    queue.broker.hold();
    const sent = [1, 2].map((body) => producer.send({ ...toQueue, body }));
    const settled = outcomes(sent);
    await later();
    queue.broker.disconnect();
    await later();
    queue.broker.release();
    queue.broker.reconnect();
    await later(5000);
    expect(await settled).toEqual([first, second]);
    if (first !== 'confirmed') expect(await rejection(sent[0]!)).toMatchObject({ maybeDelivered: true });
  });

  it('sends a message that no queue may keep (`expiration: 0`), however long that waited here', async () => {
    const producer = newProducer();
    await producer.send(toQueue);
    queue.broker.disconnect();
    await later();
    const sent = producer.send({ ...toQueue, expiration: 0 });
    await later(1000);
    queue.broker.reconnect();
    await later();
    expect(await sent).toMatchObject({ attempts: 1 });
  });

  it('refuses a message whose properties are larger than a frame, and sends one that fills it', async () => {
    const broker = new MemoryBroker({ transport: (host) => new SmallFrames(host) });
    const producer = closing(new FakeInstanceQueue({ broker })).producer({ topology });
    const of = (size: number) => ({ ...toQueue, messageId: 'm', headers: { big: 'x'.repeat(size) } });
    const refusal = await publishError(producer.send(of(5000)));
    const taken = /^The properties of this message take (\d+) bytes; the broker takes frames of 4096\. Put large/.exec(
      refusal.message,
    )?.[1];
    expect(refusal).toMatchObject({ code: 'PUBLISH_INVALID', messageId: 'm', maybeDelivered: false });
    const room = 4096 - (Number(taken) - 5000);
    expect(await producer.send(of(room))).toMatchObject({ attempts: 1 });
    expect(await publishError(producer.send(of(room + 1)))).toMatchObject({ code: 'PUBLISH_INVALID' });
    expect(await producer.send(toQueue)).toMatchObject({ attempts: 1 });
  });

  it('keeps its channel over a nack, and replaces one that does nothing but nack', async () => {
    const producer = newProducer();
    await producer.send(toQueue);
    await later(1000);
    queue.broker.nackNext(1);
    const once = producer.send(toQueue);
    await later(5000);
    await once;
    expect(queue.metrics.reopens).toBe(0);
    // At the sixth, half a second has passed at least.
    queue.broker.nackNext(8);
    const often = producer.send(toQueue);
    await later(20_000);
    await often;
    expect(queue.metrics.reopens).toBeGreaterThan(0);
  });

  it.each(['in flight', 'nacked', 'not sent'])('waits at its close for a message that is %s', async (where) => {
    const producer = newProducer();
    await producer.send(toQueue);
    if (where === 'in flight') queue.broker.hold();
    else if (where === 'nacked') queue.broker.nackNext();
    else queue.broker.disconnect();
    await later();
    const sent = outcomes([producer.send(toQueue)]);
    await later(20);
    const closed = producer.close({ drainTimeout: 10_000 });
    await later(20);
    queue.broker.release();
    queue.broker.reconnect();
    await later(9000);
    expect(await sent).toEqual(['confirmed']);
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  });
});

describe('sendAll()', () => {
  it('says which of its messages were not confirmed', async () => {
    const producer = newProducer();
    const lost = { exchange: 'amq.topic', routingKey: 'lost', body: 2 };
    const error = await rejection(producer.sendAll([toQueue, lost, { ...toQueue, messageId: 'last' }]));
    const [failure] = (error as { readonly failures: readonly PublishError[] }).failures;
    expect(failure).toMatchObject({ code: 'PUBLISH_RETURNED' });
    expect(error).toMatchObject({
      code: 'PUBLISH_INCOMPLETE',
      failures: [failure],
      outcomes: [{ attempts: 1 }, failure, { messageId: 'last' }],
      cause: failure,
      retryable: failure?.retryable,
      message: `1 of 3 messages were not confirmed. The first: ${String(failure?.message)}`,
    });
  });
});
