import type { OutboundMessage, Producer, ProducerOptions } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { delay, filter, map, merge, tap, type Observable } from 'rxjs';
import type { ConnectionCore } from '../../../lib/connection/connection-core';
import { Counters } from '../../../lib/counters';
import type { PumpEvents } from '../../../lib/producer/producer-events';
import { NackBackoff, Verdicts } from '../../../lib/producer/verdicts';
import { MemoryTransport } from '../../../lib/testing/memory/memory-transport';
import type { Endpoint } from '../../../lib/transport/endpoints';
import type { Link, OutboundChannel, Verdict } from '../../../lib/transport/transport';
import { closeAll, closing } from '../../support/closing';
import { onLink, sendOf } from '../../support/publishing-channel';
import { outcomes, publishError } from '../../support/publish-error';
import { inVirtualTime } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

const topology = {
  exchanges: [
    { name: 'events', type: 'topic' },
    { name: 'others', type: 'topic' },
  ],
  queues: [{ name: 'taken' }],
  bindings: [
    { exchange: 'events', queue: 'taken', routingKey: 'bound' },
    { exchange: 'others', queue: 'taken', routingKey: 'lost' },
  ],
} as const;
const toQueue = { queue: 'taken', body: 1 };
const bound = { exchange: 'events', routingKey: 'bound', body: 1 };
/** No queue is bound for it. */
const lost = { exchange: 'events', routingKey: 'lost', messageId: 'lost', body: 1 };

/** A return as it is read: UTF-8 has no form for half a surrogate pair. */
function asRead(verdict: Verdict): Verdict {
  if (verdict.kind !== 'return') return verdict;
  const { messageId = '', exchange, routingKey } = verdict;
  const [id, name, key] = [messageId, exchange, routingKey].map((text) => Buffer.from(text).toString());
  return { ...verdict, messageId: id!, exchange: name!, routingKey: key! };
}

/** Returns messages at once and confirms them later, as RabbitMQ does while a queue writes to its disk. */
class SlowDisk extends MemoryTransport {
  override dial(endpoint: Endpoint): Observable<Link> {
    const confirmLate = (channel: OutboundChannel): void => {
      const isReturn = ({ kind }: Verdict): boolean => kind === 'return';
      const { verdicts$ } = channel;
      const confirms$ = verdicts$.pipe(
        filter((verdict) => !isReturn(verdict)),
        delay(5),
      );
      Object.assign(channel, { verdicts$: merge(verdicts$.pipe(filter(isReturn), map(asRead)), confirms$) });
    };
    return super.dial(endpoint).pipe(
      map((link) => {
        const channel$ = link.openOutbound();
        return Object.assign(link, { openOutbound: () => channel$.pipe(tap(confirmLate)) });
      }),
    );
  }
}

interface Given {
  readonly queue: FakeInstanceQueue;
  readonly producer: Producer;
  readonly broker: MemoryBroker;
  /** Names of the events of the producer, each with the id of its message. */
  readonly events: readonly string[];
}

/** A producer that has published once. */
async function given(options?: ProducerOptions): Promise<Given> {
  const broker = new MemoryBroker({ transport: (host) => new SlowDisk(host) });
  const queue = closing(new FakeInstanceQueue({ broker }));
  const producer = queue.producer({ topology, ...options });
  await producer.send({ queue: 'taken', body: 0 });
  const events: string[] = [];
  producer.on('returned', ({ messageId }) => events.push(`returned ${messageId}`));
  producer.on('confirmed', ({ messageId }) => events.push(`confirmed ${messageId}`));
  return { queue, producer, broker, events };
}

/** Aborts the send of a message that is published, lets its confirm come then, and sends one more behind it. */
async function givenUp(
  message: OutboundMessage,
  { producer, broker }: Pick<Given, 'producer' | 'broker'>,
): Promise<void> {
  broker.hold();
  const aborting = new AbortController();
  const sent = publishError(producer.send(message, { signal: aborting.signal }));
  aborting.abort();
  expect(await sent).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: true });
  broker.release();
  await producer.send({ ...toQueue, messageId: 'next' });
}

afterEach(closeAll);

describe('a message that the broker returns', () => {
  it.each([
    ['exchange', { ...lost, exchange: 'others' }],
    ['routing key', { ...lost, routingKey: 'bound' }],
    ['`mandatory`', { ...lost, mandatory: false }],
  ])('is not mistaken for an older one with another %s', async (_what, older: OutboundMessage) => {
    const { producer } = await given();
    expect(await outcomes([producer.send(older), producer.send(lost)])).toEqual(['confirmed', 'PUBLISH_RETURNED']);
  });

  it('is not mistaken for an older one with another id', async () => {
    const { producer, broker } = await given();
    const older = producer.send({ ...bound, messageId: 'older' });
    broker.returnNext();
    const newer = producer.send({ ...bound, messageId: 'newer' });
    expect(await outcomes([older, newer])).toEqual(['confirmed', 'PUBLISH_RETURNED']);
  });

  it.each([
    ['id', { ...lost, messageId: 'cut \ud83d' }],
    ['routing key', { ...lost, routingKey: 'cut \ud83d' }],
  ])('is recognised though its %s was cut in the middle of a character', async (_what, message: OutboundMessage) => {
    const { producer, events } = await given();
    expect(await outcomes([producer.send(message), producer.send(bound)])).toEqual(['PUBLISH_RETURNED', 'confirmed']);
    expect(events).toContain(`returned ${String(message.messageId)}`);
  });

  it('is each of several with the same id and route', async () => {
    const { producer, events } = await given();
    const twins = [producer.send(lost), producer.send(lost)];
    expect(await outcomes(twins)).toEqual(['PUBLISH_RETURNED', 'PUBLISH_RETURNED']);
    expect(events).toEqual(['returned lost', 'returned lost']);
  });

  it('is neither reported nor counted when it was given up meanwhile', async () => {
    const { queue, producer, broker, events } = await given();
    await givenUp(lost, { producer, broker });
    expect(events).toEqual(['confirmed next']);
    expect(queue.metrics.returned).toBe(0);
  });
});

describe('a message that was given up before its confirm comes', () => {
  it('is not reported as confirmed', async () => {
    const { producer, broker, events } = await given();
    await givenUp(toQueue, { producer, broker });
    expect(events).toEqual(['confirmed next']);
  });
});

describe('a message that the broker nacks', () => {
  inVirtualTime();

  const started = async (starting: Promise<Given>): Promise<Given> => {
    await jest.advanceTimersByTimeAsync(10);
    return starting;
  };

  it.each([
    ['a queue', 9, toQueue],
    ['an exchange', 4, bound],
  ])('is sent again to %s, %i times at least', async (_to, times, message: OutboundMessage) => {
    const { producer, broker } = await started(given());
    broker.nackNext(times);
    const sent = producer.send(message);
    await jest.advanceTimersByTimeAsync(29_000);
    expect(await sent).toMatchObject({ attempts: times + 1 });
  });

  it.each([
    ['to an exchange five times: each attempt may leave copies in other queues', {}, bound, 5, true],
    ['to an exchange, when there are to be no copies', { onUnknown: 'reject' } as const, bound, 1, true],
    ['by a queue, when nothing is to be sent again', { onNack: 'reject' } as const, toQueue, 1, false],
  ])('is rejected %s', async (_when, options, message: OutboundMessage, attempts, maybeDelivered) => {
    const { producer, broker } = await started(given(options));
    broker.nackNext(9);
    const sent = publishError(producer.send(message));
    await jest.advanceTimersByTimeAsync(29_000);
    const error = await sent;
    expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered });
    const tries = `(nack) in ${String(attempts)} attempt${attempts > 1 ? 's' : ''} within \\d+ ms`;
    const sentence =
      message === toQueue
        ? `^The broker did not take the message ${tries}: the queue is full, or has no leader\\.$`
        : `^A queue behind exchange \`events\` did not take the message ${tries}: it is full, or has no leader\\. Other queues may have it\\.$`;
    expect(error.message).toMatch(new RegExp(sentence.replace('(nack)', '\\(nack\\)')));
    expect(broker.published).toHaveLength(1 + attempts);
  });

  it('is not sent again when it was given up meanwhile', async () => {
    const { queue, producer, broker } = await started(given());
    broker.hold();
    broker.nackNext();
    const sent = publishError(producer.send(toQueue, { timeout: 50 }));
    await jest.advanceTimersByTimeAsync(50);
    expect(await sent).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: true });
    broker.release();
    await jest.advanceTimersByTimeAsync(20);
    expect(queue.metrics.outbox.queued).toBe(0);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(broker.published).toHaveLength(2);
  });
});

describe('a message to a queue that was deleted', () => {
  it('is returned, its queue declared again, and the message sent once more', async () => {
    const { queue, producer, broker, events } = await given();
    await producer.send({ queue: 'own', body: 0 });
    broker.deleteQueue('own');
    expect(await producer.send({ queue: 'own', body: 1, messageId: 'again' })).toMatchObject({ attempts: 2 });
    const kept = broker.queues.find(({ name }) => name === 'own')?.messages;
    expect(kept?.map(({ properties }) => properties.messageId)).toEqual(['again']);
    expect(events.filter((event) => event.startsWith('returned'))).toEqual([]);
    expect(queue.metrics.returned).toBe(1);
  });
});

describe('a delayed message to an exchange', () => {
  it.each([{}, { declare: false }])(
    'is sent once more when its level is gone, and waits in a new one (%p)',
    async (options) => {
      const { producer, broker } = await given();
      const later = closing(new FakeInstanceQueue({ broker })).producer(options);
      const delayed = { ...bound, delay: 3_600_000 };
      await later.send(delayed);
      for (const { name } of broker.queues) if (name !== 'taken') broker.deleteQueue(name);
      expect(await later.send({ ...delayed, messageId: 'second' })).toMatchObject({ attempts: 2 });
      await producer.send(toQueue);
      const waiting = broker.queues.filter(({ name }) => name !== 'taken').flatMap(({ messages }) => messages);
      expect(waiting.map(({ properties }) => properties.messageId)).toEqual(['second']);
    },
  );
});

describe('what a producer says of a message that no queue took', () => {
  it('names the exchange and the key, and what may be wrong with them', async () => {
    const { producer } = await given();
    expect(await rejection(producer.send(lost))).toMatchObject({
      code: 'PUBLISH_RETURNED',
      messageId: 'lost',
      replyCode: 312,
      maybeDelivered: false,
      message:
        'No queue took the message sent to exchange `events` with routing key `lost`: 312 NO_ROUTE. Is the binding there? An exchange that delays messages returns every one of them at once: declare its type in the topology, or send with `mandatory: false` to let such messages go.',
    });
  });

  it.each<[string, OutboundMessage]>([
    ['as such', { queue: 'missing', body: 1 }],
    ['behind the default exchange', { exchange: '', routingKey: 'missing', body: 1 }],
  ])('names the queue, which it may not declare: %s', async (_how, message) => {
    const { queue } = await given();
    const sent = queue.producer({ declare: false }).send(message);
    expect(await rejection(sent)).toMatchObject({
      code: 'PUBLISH_RETURNED',
      message:
        'No queue took the message sent to queue `missing`: 312 NO_ROUTE. Send with `mandatory: false` to let such messages go.',
    });
  });
});

describe('a return of a message that nobody sent', () => {
  it('is no return of any other', () => {
    const { publishing } = onLink();
    const { entry } = sendOf({ queue: 'q', messageId: 'm' });
    publishing.inFlight.add(entry);
    const unused = {} as never;
    const options = {
      counters: new Counters(),
      declare: true,
      topology: () => ({}),
      onNack: 'resend',
      onUnknown: 'resend',
    } as const;
    const verdicts = new Verdicts(unused, options, unused, new NackBackoff(() => undefined), () => undefined);
    const verdict = {
      kind: 'return',
      messageId: 'm',
      exchange: '',
      routingKey: 'q',
      replyCode: 312,
      replyText: 'NO',
    } as const;
    for (const other of [{ messageId: 'other' }, { messageId: undefined }, { exchange: 'x' }, { routingKey: 'k' }])
      verdicts.returned(publishing, { ...verdict, ...other });
    expect(entry.returned).toBeUndefined();
    verdicts.returned(publishing, verdict);
    expect(entry.returned).toEqual({ replyCode: 312, replyText: 'NO' });
  });
});

describe('the channel of a message', () => {
  it('has proven itself with the first confirm, and the nacks before it count no more', () => {
    const { publishing } = onLink();
    const { entry } = sendOf({ queue: 'q' });
    const later = new NackBackoff(() => undefined);
    const events = { confirmed: () => undefined } as unknown as PumpEvents;
    const counters = new Counters();
    const options = {
      counters,
      topology: () => ({}),
      declare: true,
      onNack: 'resend',
      onUnknown: 'resend',
    } as const;
    const verdicts = new Verdicts({} as ConnectionCore, options, events, later, () => undefined);
    publishing.nackingSince = 5;
    expect(publishing.proven).toBe(false);
    verdicts.acked(publishing, entry);
    expect(publishing).toMatchObject({ proven: true, nackingSince: undefined });
    expect([entry.settled, counters.confirmed]).toEqual([true, 1]);
    verdicts.acked(publishing, entry);
    expect(counters.confirmed).toBe(1);
  });
});
