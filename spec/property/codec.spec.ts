import fc from 'fast-check';
import { fromAmqp, toAmqp } from '../../lib/amqp/amqp-properties';
import { auto, bytes, contentTypeOf, json, text, type Codec } from '../../lib/codec';
import { encode } from '../../lib/producer/encoded-message';
import type { MessageProperties } from '../../lib/properties';
import { NO_PROPERTIES } from '../support/amqplib/no-properties';

/** Well-formed: a lone surrogate has no UTF-8. */
const string = fc.string({ unit: 'binary' });
const content = fc.uint8Array().map((octets) => Buffer.from(octets));

function roundTrip<T>(codec: Codec<T>, value: T): T {
  const contentType = contentTypeOf(codec, value);
  return codec.decode(codec.encode(value), contentType === undefined ? {} : { contentType });
}

describe('what is sent is what is read', () => {
  it('as JSON, by `json` and by `auto`', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        // JSON has no -0.
        const meant: unknown = JSON.parse(JSON.stringify(value));
        expect(roundTrip(json(), value)).toEqual(meant);
        expect(roundTrip(auto, value)).toEqual(meant);
      }),
    );
  });

  it('as text', () => {
    fc.assert(
      fc.property(string, (value) => {
        expect(roundTrip(text, value)).toBe(value);
      }),
    );
    expect(roundTrip(text, '\uFEFFa byte order mark is a character like any other')).toMatch(/^\uFEFF/);
  });

  it('as bytes, by `bytes` and by `auto`', () => {
    fc.assert(
      fc.property(content, (value) => {
        expect(roundTrip(bytes, value)).toEqual(value);
        expect(roundTrip(auto, value)).toEqual(value);
      }),
    );
  });
});

describe('reading any bytes under any content type', () => {
  it('gives a body or throws an Error, and nothing else', () => {
    const property = fc.record(
      {
        contentType: fc.oneof(fc.constantFrom('application/json', 'text/plain', 'a/b+json', ';', '/'), fc.string()),
        contentEncoding: fc.oneof(fc.constantFrom('', 'gzip', 'utf-8', 'identity'), fc.string()),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(content, property, (octets, properties) => {
        try {
          auto.decode(octets, properties);
        } catch (error) {
          // Not `instanceof Error`: Node's own errors are of another realm here.
          expect(error).toHaveProperty('message', expect.any(String));
        }
      }),
    );
  });
});

describe('what `auto` has read goes out again as it came', () => {
  const parameters = fc.constantFrom(
    '',
    '; charset=utf-8',
    ';charset="UTF-8"',
    '; charset=US-ASCII; header=present',
    '; format=flowed; charset=iso-8859-1',
    '; Charset=Latin1',
    '; charset=shift_jis',
    '; charset=',
    ';',
  );
  const media = fc.oneof(
    fc.constantFrom('application/json', 'Application/JSON', 'application/vnd.shop+json', 'text/plain', 'TEXT/CSV'),
    fc.constantFrom('text/json', 'application/xml', 'application/octet-stream', 'image/png', '', '+json', 'text/'),
    fc.string({ maxLength: 10 }),
  );
  const properties = fc.record(
    {
      contentType: fc.oneof(
        fc.tuple(media, parameters).map((parts) => parts.join('')),
        fc.string({ maxLength: 20 }),
      ),
      contentEncoding: fc.constantFrom('', 'identity', 'UTF-8', 'utf8', 'gzip', 'br', 'aes256; x=1'),
      messageId: fc.constant('m'),
    },
    { requiredKeys: [] },
  );
  const json = fc.jsonValue({ stringUnit: 'binary' }).map((value) => Buffer.from(JSON.stringify(value)));
  const words = string.map((value) => Buffer.from(value));
  const ascii = fc.string({ unit: 'grapheme-ascii' }).map((value) => Buffer.from(value));

  it('byte for byte, under whatever content type, charset and encoding', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.oneof(content, json, words, ascii), properties, (octets, received) => {
        let body: unknown;
        try {
          body = auto.decode(octets, received);
        } catch {
          // Undecodable: it never reached anybody who could send it again.
          return;
        }
        const sent = encode({ queue: 'q', ...received, body }, auto, { persistent: true, mandatory: true });
        // JSON has many spellings of the same value.
        const isJson = /^[^;]*(?:application\/json|\+json)\s*(?:;|$)/i.test(received.contentType ?? '');
        const parsed = isJson && !Buffer.isBuffer(body);
        const meant = parsed ? Buffer.from(JSON.stringify(JSON.parse(octets.toString()))) : octets;
        expect(sent.content).toEqual(meant);
        expect(sent.contentType).toBe(received.contentType);
        expect(sent.properties?.contentEncoding).toBe(received.contentEncoding);
        seen.add(parsed ? 'JSON' : typeof body);
      }),
      { numRuns: 3000 },
    );
    expect([...seen].sort()).toEqual(['JSON', 'object', 'string']);
  });

  it('byte for byte always, as the bytes that came', () => {
    fc.assert(
      fc.property(content, properties, (octets, received) => {
        const sent = encode({ queue: 'q', ...received, body: octets }, auto, { persistent: true, mandatory: true });
        expect(sent.content).toEqual(octets);
        expect(sent.contentType).toBe(received.contentType);
      }),
    );
  });
});

describe('properties', () => {
  it('come back from the wire as they were sent', () => {
    const properties: fc.Arbitrary<MessageProperties> = fc.record(
      {
        messageId: string,
        correlationId: string,
        replyTo: string,
        type: string,
        appId: string,
        userId: string,
        contentType: string,
        contentEncoding: string,
        timestamp: fc.nat().map((seconds) => new Date(seconds * 1000)),
        expiration: fc.nat(),
        priority: fc.nat(255),
        headers: fc.dictionary(fc.string(), fc.integer()),
      },
      { requiredKeys: [] },
    );
    const absent = { clusterId: undefined, deliveryMode: undefined };
    fc.assert(
      fc.property(properties, (given) => {
        const { persistent: _p, mandatory: _m, ...wire } = toAmqp({ ...given, persistent: true, mandatory: true });
        const names = Object.keys(given);
        const back = fromAmqp({ ...NO_PROPERTIES, ...absent, ...wire });
        expect(back).toEqual(given);
        expect(Object.keys(back).sort()).toEqual(names.sort());
      }),
    );
  });

  it('that make no sense are left out', () => {
    expect(fromAmqp({ ...NO_PROPERTIES, expiration: 'soon', priority: undefined, messageId: 5 })).toEqual({});
  });
});
