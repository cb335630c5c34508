import { publishOptions } from '../../../lib/amqp/amqp-properties';
import fc from 'fast-check';
import { inspect } from 'node:util';
import { auto, bytes, json, text, type Codec } from '../../../lib/codec';
import { defineExchange, defineQueue } from '../../../lib/contract';
import { DELAY_HEADERS } from '../../../lib/delay/delayed';
import { PublishError } from '../../../lib/errors';
import { tableSize } from '../../../lib/field-table';
import { delayingExchanges, encode } from '../../../lib/producer/encoded-message';
import type { OutboundMessage } from '../../../lib/producer/outbound-message';
import { propertiesFrameSize } from '../../support/amqplib/encoder';

const DEFAULTS = { persistent: true, mandatory: true };
const encoded = (message: OutboundMessage, codec: Codec<unknown> = auto): ReturnType<typeof encode> =>
  encode(message, codec, DEFAULTS);
/** A message as it comes from untyped callers. */
const untyped = (message: unknown): OutboundMessage => message as OutboundMessage;

function refusalOf(message: unknown, codec?: Codec<unknown>): PublishError {
  try {
    encoded(untyped(message), codec);
  } catch (error) {
    if (error instanceof PublishError) return error;
    throw error;
  }
  throw new Error('Expected a refusal.');
}

describe('a message on its way out', () => {
  it('goes to a queue through the default exchange', () => {
    expect(encoded({ queue: 'orders', body: 1 })).toMatchObject({
      exchange: '',
      routingKey: 'orders',
      queue: 'orders',
    });
  });

  it('goes to an exchange with its routing key, or none', () => {
    expect(encoded({ exchange: 'e', routingKey: 'k', body: 1 })).toMatchObject({
      exchange: 'e',
      routingKey: 'k',
      queue: undefined,
    });
    expect(encoded({ exchange: 'e', body: 1 })).toMatchObject({ exchange: 'e', routingKey: '' });
  });

  it.each([
    ['queue', { queue: 'two\nlines', body: 1 }],
    ['queue', { queue: 'two\rlines', body: 1 }],
    ['queue', { queue: 'two\rlines', body: 1, priority: 1 }],
    ['exchange', { exchange: 'two\nlines', routingKey: 'k', body: 1 }],
  ])('is refused when the name of its %s has a line break: RabbitMQ would declare another one', (_what, message) => {
    expect(refusalOf(message)).toMatchObject({ code: 'PUBLISH_INVALID' });
    expect(refusalOf(message).message).toContain('a name without line breaks');
    expect(() => encoded({ exchange: 'e', routingKey: 'two\nlines', body: 1 })).not.toThrow();
  });

  it('has no properties beside those that every message has, if it says nothing more', () => {
    expect(encoded({ queue: 'q', body: 'x', messageId: 'm', contentType: 'text/csv' }).properties).toBeUndefined();
    expect(encoded({ queue: 'q', body: 1, type: 'created' }).properties).toEqual({ type: 'created' });
  });

  it('carries the contract of its queue, from which the queue is declared', () => {
    const orders = defineQueue({ name: 'orders', type: 'quorum', body: json() });
    const message = encoded(untyped({ queue: orders, body: { id: 1 } }));
    expect(message).toMatchObject({ queue: 'orders', routingKey: 'orders', exchange: '' });
    expect(message.contract).toBe(orders);
  });

  it('goes to the exchange of a contract without a routing key, where that has a message of that name', () => {
    const news = defineExchange({ name: 'news', type: 'fanout', messages: { '': text } });
    const message = encoded(untyped({ exchange: news, body: 'today' }));
    expect(message).toMatchObject({ exchange: 'news', routingKey: '', contract: news });
    expect(message.contentType).toBe('text/plain; charset=utf-8');
    const events = defineExchange({ name: 'events', type: 'topic', messages: { paid: json() } });
    expect(refusalOf({ exchange: events, body: 1 }).code).toBe('PUBLISH_INVALID');
  });

  it('is persistent, mandatory and named unless it says otherwise', () => {
    const message = encoded({ queue: 'q', body: 1 });
    const { messageId } = message;
    expect(publishOptions(message)).toMatchObject({
      persistent: true,
      mandatory: true,
      messageId,
      contentType: 'application/json',
    });
    expect(messageId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    expect(encoded({ queue: 'q', body: 1 }).messageId).not.toBe(messageId);
    const own = encoded({ queue: 'q', body: 1, messageId: 'mine', persistent: false, mandatory: false });
    expect(publishOptions(own)).toMatchObject({ persistent: false, mandatory: false, messageId: 'mine' });
  });

  it('is not mandatory, unless it says so, where an exchange delays it and so returns it at once', () => {
    const delaying = delayingExchanges({
      exchanges: [
        { name: 'late', type: 'x-delayed-message' },
        { name: 'events', type: 'topic' },
      ],
    });
    const messages = { paid: json() };
    const late = defineExchange({ name: 'other', type: 'x-delayed-message', messages });
    const events = defineExchange({ name: 'late', type: 'topic', messages });
    const isMandatory = (message: object, defaults: object = {}): boolean =>
      encode(untyped({ routingKey: 'paid', body: 1, ...message }), auto, { ...DEFAULTS, delaying, ...defaults })
        .mandatory;
    expect(isMandatory({ exchange: 'late' })).toBe(false);
    expect(isMandatory({ exchange: 'late', mandatory: true })).toBe(true);
    expect(isMandatory({ exchange: 'late' }, { delaying: undefined })).toBe(true);
    expect(isMandatory({ exchange: 'events' })).toBe(true);
    expect(isMandatory({ exchange: 'events' }, { mandatory: false })).toBe(false);
    // The type of a contract is its own.
    expect([isMandatory({ exchange: late }), isMandatory({ exchange: events })]).toEqual([false, true]);
    expect(delayingExchanges({ exchanges: [{ name: 'events', type: 'topic' }] })).toBeUndefined();
    expect([delayingExchanges({}), delayingExchanges(undefined)]).toEqual([undefined, undefined]);
  });

  it.each<[string, object]>([
    ['none', {}],
    ['some', { headers: { a: 1 } }],
  ])('has room for the headers of its delay: beside %s of its own', (_which, given) => {
    const message = encoded(untyped({ queue: 'q', body: 1, delay: 1e9, expiration: 1000, ...given }));
    const { delayed, propertiesFrame } = message;
    if (!delayed) throw new Error('It is not delayed.');
    message.dress(delayed.wire(delayed.plan, false));
    expect(propertiesFrameSize(publishOptions(message))).toBeGreaterThan(propertiesFrame - DELAY_HEADERS);
    expect(propertiesFrameSize(publishOptions(message))).toBeLessThanOrEqual(propertiesFrame);
    expect(propertiesFrame - encoded(untyped({ queue: 'q', body: 1, ...given })).propertiesFrame).toBe(
      DELAY_HEADERS + 1 + '1000'.length,
    );
  });

  it('may have headers as large as the headers of its delay leave room for', () => {
    const largest = 65_536 - DELAY_HEADERS - tableSize({ big: '' });
    const send = (bytes: number): unknown =>
      encoded(untyped({ queue: 'q', body: 1, delay: 1000, headers: { big: 'x'.repeat(bytes) } }));
    expect(() => send(largest)).not.toThrow();
    expect(() => send(largest + 1)).toThrow('they take 65537 bytes, at most 65536 fit. Put large data into the body.');
  });

  it('has its filter value in a header, beside those it says', () => {
    const headersOf = (message: object): unknown =>
      publishOptions(encoded(untyped({ queue: 'q', body: 1, ...message }))).headers;
    expect(headersOf({ streamFilter: 'eu' })).toEqual({ 'x-stream-filter-value': 'eu' });
    expect(headersOf({ streamFilter: 'eu', headers: { a: 1 } })).toEqual({ a: 1, 'x-stream-filter-value': 'eu' });
    // As one that was received is sent again.
    const same = { 'x-stream-filter-value': 'eu' };
    expect(headersOf({ streamFilter: 'eu', headers: same })).toEqual(same);
    expect(headersOf({ headers: same })).toEqual(same);
  });

  it.each([
    [{ streamFilter: '' }, 'a string of 1 to 255 bytes'],
    [{ streamFilter: 5 }, 'a string of 1 to 255 bytes'],
    [{ streamFilter: 'eu', headers: { 'x-stream-filter-value': 'us' } }, 'differ'],
  ])('is refused with a filter value that cannot be right: %j', (message, sentence) => {
    const refusal = refusalOf({ queue: 'q', body: 1, ...message });
    expect(refusal.code).toBe('PUBLISH_INVALID');
    expect(refusal.message).toContain(sentence);
  });

  it('has its timestamp in whole seconds and its expiration in whole ms', () => {
    const message = encoded({ queue: 'q', body: 1, timestamp: new Date(1999), expiration: 10.7 });
    expect(publishOptions(message)).toMatchObject({ timestamp: 1, expiration: '10' });
    expect(message.expiration).toBe(10.7);
  });

  it('has the content type of its codec unless it names its own', () => {
    expect(publishOptions(encoded({ queue: 'q', body: 'x' }, text as Codec<unknown>)).contentType).toBe(
      'text/plain; charset=utf-8',
    );
    expect(publishOptions(encoded({ queue: 'q', body: 'x', contentType: 'text/csv' })).contentType).toBe('text/csv');
    expect(publishOptions(encoded({ queue: 'q', body: 'x' }, { ...json(), contentType: '' }))).not.toHaveProperty(
      'contentType',
    );
  });

  it('is not changed by what its sender does to its headers and its timestamp later', () => {
    const [list, table, timestamp] = [[1], { b: 1 }, new Date(5000)];
    const headers: Record<string, unknown> = { a: 1, list, table };
    const message = encoded({ queue: 'q', body: 1, headers, timestamp });
    headers['a'] = 2;
    list.push(2);
    table.b = 2;
    timestamp.setTime(9000);
    expect(publishOptions(message)).toMatchObject({ headers: { a: 1, list: [1], table: { b: 1 } }, timestamp: 5 });
  });
});

describe('a message that cannot be sent is refused before the wire', () => {
  it.each<[string, unknown, string]>([
    ['both routes', { queue: 'a', exchange: 'b', body: 1 }, 'got both'],
    ['no route', { body: 1 }, 'got neither'],
    ['a queue route without a name', { queue: '', body: 1 }, 'needs the name of a queue'],
    ['a queue route with a routing key', { queue: 'a', routingKey: 'k', body: 1 }, 'Expected no `routingKey`'],
    [
      'a routing key of 300 bytes',
      { exchange: 'e', routingKey: 'k'.repeat(300), body: 1 },
      'at most 255 bytes of UTF-8',
    ],
    ['a messageId of 300 bytes', { queue: 'a', messageId: 'k'.repeat(300), body: 1 }, 'at most 255 bytes of UTF-8'],
    [
      'a correlationId of 256 bytes in 128 characters',
      { queue: 'a', correlationId: 'é'.repeat(128), body: 1 },
      '`correlationId`',
    ],
    ['an unknown property', { queue: 'a', body: 1, contentype: 'x' }, 'Did you mean `contentType`?'],
    ['a priority of 256', { queue: 'a', body: 1, priority: 256 }, 'from 0 to 255'],
    ['a negative expiration', { queue: 'a', body: 1, expiration: -1 }, '`expiration`'],
    ['a timestamp that is none', { queue: 'a', body: 1, timestamp: new Date(NaN) }, 'a valid Date'],
    ['headers that are a list', { queue: 'a', body: 1, headers: [] }, '`headers` to be an object'],
    ['a header of 70 KiB', { queue: 'a', body: 1, headers: { big: 'x'.repeat(70 * 1024) } }, 'at most 65536 fit'],
    [
      'a header name of 300 bytes',
      { queue: 'a', body: 1, headers: { ['x'.repeat(300)]: 1 } },
      'has a key of 300 bytes',
    ],
    ['a header without a form', { queue: 'a', body: 1, headers: { f: () => 1 } }, '`headers.f` is a function'],
    [
      'an invalid Date as header',
      { queue: 'a', body: 1, headers: { at: new Date(NaN) } },
      '`headers.at` is an invalid Date',
    ],
    ['a Map as header', { queue: 'a', body: 1, headers: { tags: new Map() } }, '`headers.tags` is a Map'],
    ['a body without a form', { queue: 'a', body: undefined }, 'The codec cannot encode the body'],
    [
      'a body that JSON would empty',
      { queue: 'a', body: { lines: [new Map()] } },
      'The codec cannot encode the body of this message: `body.lines[0]` is a Map',
    ],
    ['no message at all', undefined, 'an object with a route and a `body`, got undefined'],
  ])('%s', (_name, message, sentence) => {
    const error = refusalOf(message);
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', maybeDelivered: false, retryable: false });
    expect(error.message).toContain(sentence);
    expect(error.cause).toBeDefined();
  });

  it.each<[string, string, unknown]>([
    ['a correlationId of 300 bytes', 'correlationId', 'x'.repeat(300)],
    ['a priority of 256', 'priority', 256],
    ['headers that are a list', 'headers', []],
    ['a delay that is no number', 'delay', 'soon'],
  ])('also if a getter of its class says it: %s', (_, name, value) => {
    class Order {
      readonly queue = 'q';
      readonly body = 1;
    }
    Object.defineProperty(Order.prototype, name, { get: () => value });
    expect(refusalOf(new Order()).message).toContain(`Expected \`${name}\` to be`);
  });

  it('for the same reasons, whether it says more than where it goes or not', () => {
    const outcome = (message: unknown): string => {
      try {
        encoded(untyped(message));
        return 'sent';
      } catch (error) {
        return error instanceof PublishError ? error.message : String(error);
      }
    };
    const long = fc.tuple(fc.constantFrom('x', 'ü', '→', '\u{1f407}'), fc.integer({ min: 0, max: 300 }));
    const value = fc.oneof(
      { weight: 3, arbitrary: long.map(([letter, times]) => letter.repeat(times)) },
      { weight: 1, arbitrary: fc.constantFrom<unknown>(undefined, null, 5, true, {}, ['a']) },
    );
    const route = fc.record({ queue: value, exchange: value, routingKey: value }, { requiredKeys: [] });
    const seen = new Set<boolean>();
    fc.assert(
      fc.property(route, (names) => {
        const plain = outcome({ ...names, body: 1 });
        expect(plain).toBe(outcome({ ...names, body: 1, mandatory: true }));
        seen.add(plain === 'sent');
      }),
      { numRuns: 500 },
    );
    expect(seen.size).toBe(2);
  });

  it('with the messageId it was given, or one of its own', () => {
    expect(refusalOf({ messageId: 'mine', body: 1 }).messageId).toBe('mine');
    expect(refusalOf({ body: 1 }).messageId).toMatch(/^[0-9a-f]{8}-/);
    expect(refusalOf({ messageId: 'x'.repeat(300), queue: 'q', body: 1 }).messageId).toHaveLength(255);
  });

  it('and the sentence says what is wrong with what', () => {
    const sentence = (given: object): string => refusalOf({ queue: 'q', body: 1, ...given }).message;
    expect(sentence({ headers: { work: () => 1 } })).toMatch(
      /^The headers of this message cannot be sent: `headers\.work` is a function/,
    );
    expect(sentence({ headers: { at: new Date(-1) } })).toMatch(
      /^This message cannot be sent: `headers\.at` is a Date/,
    );
    expect(refusalOf({ body: 1 }).message).toMatch(/^This message cannot be sent: /);
    const failing = {
      ...json(),
      encode: () => {
        throw new Error('quoted');
      },
    };
    expect(refusalOf({ queue: 'q', body: 1 }, failing).message).toBe(
      'The codec cannot encode the body of this message (see `cause`).',
    );
  });

  it('when its codec returns no Buffer', () => {
    const broken: Codec<unknown> = { ...json(), encode: (value) => value as Buffer };
    expect(refusalOf({ queue: 'a', body: 'words' }, broken).cause).toMatchObject({
      message: '`encode` returned no Buffer.',
    });
  });

  it.each<[string, unknown, Codec<unknown>]>([
    [
      'a codec that quotes it',
      { queue: 'a', body: 's3cret' },
      {
        ...json(),
        encode: (value) => {
          throw new Error(String(value));
        },
      },
    ],
    ['JSON, of which a value is refused', { queue: 'a', body: { text: 's3cret', sum: NaN } }, auto],
    ['a codec that wants something else', { queue: 'a', body: 's3cret' }, bytes],
    ['a message that is a body', 's3cret', auto],
    ['a message that is a list', ['s3cret'], auto],
  ])('and its body is not in the sentence: %s', (_name, message, codec) => {
    const { message: sentence, stack } = refusalOf(message, codec);
    expect(inspect([sentence, stack])).not.toContain('s3cret');
  });
});
