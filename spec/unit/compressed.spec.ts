import { brotliCompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { auto, bytes, json, packBody, type Codec } from '../../lib/codec';
import { compressed } from '../../lib/compressed';
import { OptionsError } from '../../lib/errors';
import { NotDecodable, NotEncodable } from '../../lib/not-encodable';
import { encode } from '../../lib/producer/encoded-message';
import type { MessageProperties } from '../../lib/properties';

const long = { text: 'the same words again and again, '.repeat(200) };
const written = Buffer.from(JSON.stringify(long));

/** What a reader with `codec` makes of what a writer with `codec` sends. */
function roundTrip<T>(
  codec: Codec<T>,
  body: T,
  named: MessageProperties = {},
): { body: T; encoding: string | undefined } {
  const { content, properties, contentType } = encode({ queue: 'q', body, ...named }, codec, {
    persistent: true,
    mandatory: true,
  });
  const encoding = properties?.contentEncoding;
  const read = {
    ...(contentType !== undefined && { contentType }),
    ...(encoding !== undefined && { contentEncoding: encoding }),
  };
  return { body: codec.decode(content, read), encoding };
}

describe.each(['gzip', 'br'] as const)('compressed with %s', (encoding) => {
  const codec = compressed(json(), { encoding, above: 1000 });

  it('what is larger travels compressed, and says so', () => {
    expect(roundTrip(codec, long)).toEqual({ body: long, encoding });
    const { content, contentType } = packBody(codec, long);
    expect(content.length).toBeLessThan(written.length / 10);
    expect(contentType).toBe('application/json');
  });

  it('what is not larger travels as it is', () => {
    expect(roundTrip(codec, 'short')).toEqual({ body: 'short', encoding: undefined });
    const edge = compressed(bytes, { encoding, above: 2000 });
    expect(packBody(edge, Buffer.alloc(2000)).contentEncoding).toBeUndefined();
    expect(packBody(edge, Buffer.alloc(2001)).contentEncoding).toBe(encoding);
  });

  it('what compression would make larger travels as it is', () => {
    const random = Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * 7919 * (i % 251)) % 256));
    const dense = gzipSync(random);
    const { content, contentEncoding } = packBody(compressed(bytes, { encoding, above: 0 }), dense);
    expect(contentEncoding).toBeUndefined();
    expect(content).toEqual(dense);
  });

  it('the other encoding and none at all are read as well', () => {
    expect(codec.decode(gzipSync(written), { contentEncoding: 'gzip' })).toEqual(long);
    expect(codec.decode(gzipSync(written), { contentEncoding: 'X-GZip' })).toEqual(long);
    expect(codec.decode(brotliCompressSync(written), { contentEncoding: 'br' })).toEqual(long);
    for (const plain of ['', 'identity', 'utf-8', undefined])
      expect(codec.decode(written, plain === undefined ? {} : { contentEncoding: plain })).toEqual(long);
  });

  it('a message that names its encoding is written in that, whatever its size', () => {
    expect(roundTrip(codec, 'short', { contentEncoding: 'gzip' })).toEqual({ body: 'short', encoding: 'gzip' });
    expect(roundTrip(codec, 'short', { contentEncoding: 'br' })).toEqual({ body: 'short', encoding: 'br' });
    expect(roundTrip(codec, long, { contentEncoding: 'identity' })).toEqual({ body: long, encoding: 'identity' });
    const unknown = (): unknown => roundTrip(codec, long, { contentEncoding: 'zstd' });
    expect(unknown).toThrow('Expected `contentEncoding` to be gzip, br or identity, got `zstd`.');
  });

  it('a bomb is refused before it has unpacked', () => {
    const bomb = codec.pack!('x'.repeat(50_000_000), {}).content;
    const small = compressed(json(), { maxBytes: 1_000_000 });
    expect(bomb.length).toBeLessThan(100_000);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => small.decode(bomb, { contentEncoding: encoding })).toThrow(NotDecodable);
    expect(() => small.decode(bomb, { contentEncoding: encoding })).toThrow('It unpacks to more than 1000000 bytes');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
  });

  it('what a reader would refuse as too large is not sent', () => {
    const small = compressed(json(), { encoding, maxBytes: 100 });
    expect(() => packBody(small, long)).toThrow(NotEncodable);
    expect(() => packBody(small, long)).toThrow('and `maxBytes` is 100.');
  });

  it('what is broken or in another encoding cannot be decoded', () => {
    expect(() => codec.decode(written, { contentEncoding: encoding })).toThrow();
    expect(() => codec.decode(written, { contentEncoding: 'zstd' })).toThrow('neither gzip nor br');
    const cut = codec.encode(long).subarray(0, 20);
    expect(() => codec.decode(cut, { contentEncoding: encoding })).toThrow();
  });
});

describe('the codec inside', () => {
  it('writes and reads as it does alone: `auto` by the content type', () => {
    const codec = compressed(auto, { above: 0 });
    const text = 'words '.repeat(100);
    expect(roundTrip<unknown>(codec, text, { contentType: 'text/plain' })).toEqual({ body: text, encoding: 'gzip' });
    expect(roundTrip<unknown>(codec, Buffer.alloc(100))).toEqual({ body: Buffer.alloc(100), encoding: 'gzip' });
    expect(packBody(codec, Buffer.alloc(100)).contentType).toBeUndefined();
    expect(roundTrip<unknown>(codec, long)).toEqual({ body: long, encoding: 'gzip' });
  });

  it('may be a codec that packs, too', () => {
    const reversed: Codec<unknown> = {
      ...json(),
      pack: (value) => ({ content: Buffer.from(JSON.stringify(value)).reverse(), contentType: 'x/reversed' }),
      decode: (content) => JSON.parse(Buffer.from(content).reverse().toString()) as unknown,
    };
    expect(roundTrip(compressed(reversed), long)).toEqual({ body: long, encoding: 'gzip' });
    expect(packBody(compressed(reversed), long).contentType).toBe('x/reversed');
  });

  it('may set the content encoding, which the message then has: nothing is compressed on top', () => {
    const reversed: Codec<unknown> = {
      ...json(),
      pack: (value) => ({
        content: Buffer.from(JSON.stringify(value)).reverse(),
        contentType: 'application/json',
        contentEncoding: 'reversed',
      }),
      decode: (content, { contentEncoding }) =>
        JSON.parse((contentEncoding === 'reversed' ? Buffer.from(content).reverse() : content).toString()) as unknown,
    };
    expect(roundTrip(compressed(reversed), long)).toEqual({ body: long, encoding: 'reversed' });
    const twice = compressed(compressed(json(), { encoding: 'br' }));
    expect(roundTrip<unknown>(twice, long)).toEqual({ body: long, encoding: 'br' });
    expect(roundTrip<unknown>(twice, 'short')).toEqual({ body: 'short', encoding: undefined });
  });
});

test('`encode` alone gives the compressed bytes', () => {
  expect(JSON.parse(gunzipSync(compressed(json()).encode(long)).toString())).toEqual(long);
});

test.each([
  [json(), { above: -1 }, 'above'],
  [json(), { encoding: 'zstd' as never }, 'encoding'],
  [json(), { maxBytes: 0 }, 'maxBytes'],
  [{} as never, {}, 'codec'],
])('wrong options are refused at once', (codec, options, option) => {
  const make = (): unknown => compressed(codec, options);
  expect(make).toThrow(OptionsError);
  expect(make).toThrow(`Expected \`${option}\``);
});
