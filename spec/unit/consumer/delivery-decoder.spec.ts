import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Observable, type Subscriber } from 'rxjs';
import { type ConsumeOptions, type Delivery, type LogEntry, type MessageProperties } from 'instance-queue';
import { resolveConsumeOptions, type ResolvedConsumeOptions } from '../../../lib/consumer/consume-options';
import { ConsumerChannel } from '../../../lib/consumer/consumer-channel';
import { DeliveryDecoder } from '../../../lib/consumer/delivery-decoder';
import { DeliveryLimit } from '../../../lib/consumer/delivery-limit';
import type { ConnectionCore } from '../../../lib/connection/connection-core';
import { Counters } from '../../../lib/counters';
import { loggerFrom } from '../../../lib/log';
import { NotDecodable } from '../../../lib/not-encodable';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { AskedChannel, inbound } from '../../support/inbound-channel';

afterEach(closeAll);

type Given = Omit<ConsumeOptions, 'queue'> & { readonly noAck?: boolean };

/** The decoder of a consumer of `orders`, and what comes of the messages that it takes. */
function decoding(given: Given = {}, more: Partial<ResolvedConsumeOptions<unknown>> = {}) {
  const counters = new Counters();
  const lines: LogEntry[] = [];
  const log = loggerFrom((line) => lines.push(line), {});
  const core = { counters, log } as Partial<ConnectionCore> as ConnectionCore;
  const asked = new AskedChannel();
  const attachment = new ConsumerChannel({
    channel: asked.channel,
    queue: 'orders',
    tag: 'me',
    epoch: 2,
    prefetch: 10,
    counters,
    log,
    lost: () => undefined,
    limit: new DeliveryLimit({ warnOnce: () => undefined }, 'orders', undefined, undefined),
  });
  let into: Subscriber<Delivery<unknown>> | undefined;
  const { values } = collect(new Observable<Delivery<unknown>>((subscriber) => void (into = subscriber)));
  const options = { ...resolveConsumeOptions<unknown>({ queue: 'orders', ...given }), ...more };
  const decoder = new DeliveryDecoder(core, options, into!);
  const undecodable = collect(decoder.undecodable$).values;
  const take = (...message: Parameters<typeof inbound>): void => {
    decoder.take(attachment, inbound(...message));
  };
  return { core, counters, lines, asked, attachment, values, undecodable, take };
}

describe('a message that arrives', () => {
  it('is emitted as a delivery, decoded by its content type', () => {
    const { take, values, counters } = decoding();
    take(1, { contentType: 'application/json', content: Buffer.from('{"id":1}') });
    take(2, { contentType: 'text/plain', content: Buffer.from('text') });
    expect(values.map(({ body, queue }) => [body, queue])).toEqual([
      [{ id: 1 }, 'orders'],
      ['text', 'orders'],
    ]);
    expect(counters).toMatchObject({ delivered: 2, inFlight: 2 });
  });

  it('is decoded by its codec, which sees its properties', () => {
    const decode = jest.fn((content: Buffer, { messageId }: MessageProperties) => `${String(content)} of ${messageId}`);
    const { take, values } = decoding({ codec: { contentType: 'text/x', encode: () => Buffer.alloc(0), decode } });
    take(1, { properties: { messageId: 'm' } });
    expect(values[0]?.body).toBe('1 of m');
  });

  it('on a channel that has ended is nobody’s any more', () => {
    const { take, attachment, values, asked, undecodable } = decoding();
    attachment.end();
    take(1);
    take(2, { contentType: 'application/json', content: Buffer.from('{') });
    expect([values, undecodable, asked.frames]).toEqual([[], [], []]);
  });

  it('while its consumer drains is given back, unless nothing is settled there', () => {
    const [acked, unacked] = [decoding(), decoding({ noAck: true })];
    for (const { attachment, take } of [acked, unacked]) {
      attachment.drain();
      take(1);
    }
    expect([acked.values, acked.asked.frames]).toEqual([[], ['release 1']]);
    expect([unacked.values.length, unacked.asked.frames]).toEqual([1, []]);
  });

  it('without acks is a message, counted as delivered and not as open', () => {
    const { take, values, counters } = decoding({ noAck: true });
    take(1);
    take(2, { redelivered: true });
    expect(values).toHaveLength(2);
    expect(values[0]).not.toHaveProperty('ack');
    expect(counters).toMatchObject({ delivered: 2, redelivered: 1, inFlight: 0 });
  });

  it('without acks, of a consumer of the library itself, is not counted', () => {
    const { take, values, counters } = decoding({ noAck: true }, { internal: true });
    take(1, { redelivered: true });
    expect([values.length, counters]).toEqual([1, new Counters()]);
  });

  it('that the filter leaves out is passed over, and neither emitted nor undecodable', () => {
    const filter = {
      values: ['eu'],
      matches: ({ routingKey }: { readonly routingKey: string }) => routingKey === 'eu',
    };
    const { take, values, asked, undecodable, counters } = decoding({ filter });
    take(1, { routingKey: 'us' });
    take(2, { routingKey: 'eu' });
    expect(values.map(({ routingKey }) => routingKey)).toEqual(['eu']);
    expect([asked.frames, undecodable, counters.undecodable]).toEqual([['reject 1'], [], 0]);
  });
});

describe('a message that cannot be decoded', () => {
  const broken = { contentType: 'application/json', content: Buffer.from('{secret') };

  it.each([
    ['reject', {}, ['reject 1']],
    ['requeue', { onUndecodable: 'requeue' }, ['requeue 1']],
    ['reject', { noAck: true }, []],
  ] as const)('is told, counted and logged, and refused by its policy: %s %j', (policy, given, frames) => {
    const { take, values, asked, undecodable, counters, lines } = decoding(given);
    take(1, { ...broken, properties: { messageId: 'm', contentType: 'application/json' } });
    expect([values, asked.frames]).toEqual([[], frames]);
    expect(counters).toMatchObject({ undecodable: 1, delivered: 0 });
    const [{ message, cause }] = undecodable as [(typeof undecodable)[0]];
    expect(message).toMatchObject({ body: broken.content, queue: 'orders' });
    expect(cause).toMatchObject({ code: 'UNDECODABLE', queue: 'orders' });
    expect(cause.message).toMatch(
      /^Cannot decode a message of queue `orders` \(content type application\/json, 7 bytes\)\./,
    );
    expect(cause.cause).toBeInstanceOf(Error);
    expect(lines).toEqual([
      {
        level: 'warn',
        message: 'undecodable message',
        fields: {
          queue: 'orders',
          exchange: '',
          routingKey: 'orders',
          messageId: 'm',
          contentType: 'application/json',
          bytes: 7,
          error: expect.any(String) as string,
          policy,
        },
      },
    ]);
  });

  it('is told without a content type, where it has none', () => {
    const { take, undecodable } = decoding({ filter: { values: ['eu'], matches: () => nothing() } });
    const nothing = (): never => {
      throw new RangeError('no filter');
    };
    take(1);
    expect(undecodable[0]?.cause.message).toContain('(content type none, 1 bytes)');
    expect(undecodable[0]?.cause.cause).toEqual(new RangeError('no filter'));
  });

  it('is told and logged with the reason, if that is known to quote nothing of it', () => {
    const reason = 'The body has no member `id`.';
    const decode = (): never => {
      throw new NotDecodable(reason);
    };
    const { take, undecodable, lines } = decoding({
      codec: { contentType: 'text/x', encode: () => Buffer.alloc(0), decode },
    });
    take(1);
    expect(undecodable[0]?.cause.message).toMatch(/bytes\)\. The body has no member `id`\.$/);
    expect(lines[0]?.fields).toMatchObject({ reason });
  });

  it('because its headers could not be read has that as its cause', () => {
    const { take, undecodable, asked } = decoding();
    const unreadable = new Error('a table within a table');
    take(1, { unreadable });
    expect([undecodable[0]?.cause.cause, asked.frames]).toEqual([unreadable, ['reject 1']]);
  });
});

describe('what the diagnostics channels tell of a delivery', () => {
  /** The steps of each delivery and its settlement, in order, as they are published. */
  function listening(): unknown[] {
    const told: unknown[] = [];
    const listen = (name: string, what: string): void => {
      const listener = (event: unknown): void => {
        const { message, settlement, tag, epoch } = event as Record<
          'message' | 'settlement' | 'tag' | 'epoch',
          unknown
        >;
        told.push([what, (message as Delivery<unknown>).body, settlement, ...(tag === undefined ? [] : [tag, epoch])]);
      };
      subscribe(name, listener);
      closing({ close: () => unsubscribe(name, listener) });
    };
    listen('instance-queue:deliver', 'delivered');
    listen('instance-queue:settle', 'settled');
    for (const step of ['start', 'end', 'asyncStart', 'asyncEnd'])
      listen(`tracing:instance-queue:deliver:${step}`, step);
    return told;
  }
  const text = { contentType: 'text/plain' };

  it('is its emission, within its trace, and how it was settled, once', () => {
    const { take, values } = decoding();
    const told = listening();
    take(1, text);
    expect(told).toEqual([
      ['delivered', '1', undefined, 'me', 2],
      ['start', '1', undefined, 'me', 2],
      ['end', '1', undefined, 'me', 2],
    ]);
    told.length = 0;
    values[0]!.ack();
    values[0]!.ack();
    expect(told).toEqual([
      ['settled', '1', 'ack'],
      ['asyncStart', '1', 'ack', 'me', 2],
      ['asyncEnd', '1', 'ack', 'me', 2],
    ]);
  });

  it('is that it was lost', () => {
    const { take, attachment } = decoding();
    take(1, text);
    const told = listening();
    attachment.end();
    // Nobody listened when it was emitted, so it has no trace.
    expect(told).toEqual([['settled', '1', 'lost']]);
  });

  it('is no trace where nothing is settled, and nothing of what the library consumes for itself', () => {
    const told = listening();
    decoding({ noAck: true }).take(1, text);
    expect(told).toEqual([['delivered', '1', undefined, 'me', 2]]);
    told.length = 0;
    const internal = decoding({}, { internal: true });
    internal.take(2, text);
    expect([internal.values.length, told]).toEqual([1, []]);
  });
});
