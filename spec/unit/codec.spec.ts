import { runInNewContext } from 'node:vm';
import { auto, bytes, contentTypeOf, json, packBody, text } from '../../lib/codec';

const encodeBody = (...body: Parameters<typeof packBody>): Buffer => packBody(...body).content;
const utf8 = (value: string): Buffer => Buffer.from(value);
const NOT_UTF8 = Buffer.from([0xff, 0xfe, 0x00]);

const MEMORY = Uint8Array.of(9, 1, 2, 3, 4, 9).buffer;
const shared = (): SharedArrayBuffer => {
  const memory = new SharedArrayBuffer(4);
  new Uint8Array(memory).set([1, 2, 3, 4]);
  return memory;
};
/** The bytes 1 to 4 as JavaScript may hold them; those in a larger memory begin at its second byte. */
const HOLDERS: readonly (readonly [name: string, value: ArrayBufferView | ArrayBuffer])[] = [
  ['a Buffer', Buffer.from([1, 2, 3, 4])],
  ['a Uint8Array', Uint8Array.of(1, 2, 3, 4)],
  ['a part of a larger one', new Uint8Array(MEMORY, 1, 4)],
  ['a Float32Array', new Float32Array(Uint8Array.of(1, 2, 3, 4).buffer)],
  ['a DataView', new DataView(MEMORY, 1, 4)],
  ['an ArrayBuffer', MEMORY.slice(1, 5)],
  ['a SharedArrayBuffer', shared() as never],
  ['a Uint8Array in shared memory', new Uint8Array(shared() as never)],
  ['a Uint8Array of another realm', runInNewContext('Uint8Array.of(1, 2, 3, 4)') as Uint8Array],
  ['an ArrayBuffer of another realm', runInNewContext('Uint8Array.of(1, 2, 3, 4).buffer') as ArrayBuffer],
];

describe('bytes are written as they are', () => {
  it.each(HOLDERS)('by `auto` and by `bytes`, out of %s', (_name, value) => {
    const content = auto.encode(value);
    expect([...content]).toEqual([1, 2, 3, 4]);
    expect(Buffer.isBuffer(content)).toBe(true);
    expect(contentTypeOf(auto, value)).toBeUndefined();
    expect([...bytes.encode(value)]).toEqual([1, 2, 3, 4]);
    expect(contentTypeOf(bytes, value)).toBe('application/octet-stream');
  });

  it.each(HOLDERS)('also those that a codec of the caller returns in %s', (_name, value) => {
    const codec = { contentType: '', encode: () => value as Buffer, decode: (content: Buffer) => content };
    expect([...encodeBody(codec, 'x')]).toEqual([1, 2, 3, 4]);
  });

  it('none at all, too', () => {
    for (const none of [Buffer.alloc(0), new Uint8Array(), new ArrayBuffer(0)])
      expect(auto.encode(none)).toHaveLength(0);
  });

  it('as they were at the time of the call, where another thread can write', () => {
    const memory = shared();
    const content = auto.encode(memory);
    new Uint8Array(memory).fill(0);
    expect([...content]).toEqual([1, 2, 3, 4]);
  });

  it.each([
    ['Buffer', (memory: ArrayBuffer) => Buffer.from(memory)],
    ['Uint8Array', (memory: ArrayBuffer) => new Uint8Array(memory)],
    ['DataView', (memory: ArrayBuffer) => new DataView(memory)],
    ['ArrayBuffer', (memory: ArrayBuffer) => memory],
  ])('and refused when the memory of the %s was transferred: they are gone', (_name, holder) => {
    const memory = new ArrayBuffer(4);
    const value = holder(memory);
    structuredClone(memory, { transfer: [memory] });
    expect(() => auto.encode(value)).toThrow('detached');
  });
});

describe('auto', () => {
  it.each<[string, unknown, string]>([
    ['an object', { a: [1, null] }, '{"a":[1,null]}'],
    ['a string', 'grüß', '"grüß"'],
    ['a number', 5, '5'],
    ['null', null, 'null'],
    ['a Date', new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ])('writes %s as JSON', (_name, value, written) => {
    expect(auto.encode(value).toString()).toBe(written);
    expect(contentTypeOf(auto, value)).toBe('application/json');
  });

  it('writes a Buffer as it is, and says nothing of what is in it', () => {
    expect(auto.encode(NOT_UTF8)).toBe(NOT_UTF8);
    expect(contentTypeOf(auto, NOT_UTF8)).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    ['a bigint', 5n],
  ])('refuses what has no JSON form: %s', (_name, value) => {
    expect(() => auto.encode(value)).toThrow(TypeError);
  });

  it('refuses what contains itself', () => {
    const round: Record<string, unknown> = {};
    round['self'] = round;
    expect(() => auto.encode(round)).toThrow(TypeError);
  });

  it.each<[string | undefined, string | undefined, unknown]>([
    ['application/json', undefined, { a: 1 }],
    ['Application/JSON; charset=utf-8', undefined, { a: 1 }],
    ['application/vnd.shop+json', undefined, { a: 1 }],
    ['application/json', 'utf-8', { a: 1 }],
    ['application/json', 'identity', { a: 1 }],
    ['text/plain', undefined, '{"a":1}'],
    ['text/csv; header=present', undefined, '{"a":1}'],
    ['text/plain; charset="US-ASCII"', undefined, '{"a":1}'],
    ['text/plain; charset=iso-8859-1', undefined, '{"a":1}'],
    ['text/plain; charset=utf-16', undefined, utf8('{"a":1}')],
    ['application/json', 'gzip', utf8('{"a":1}')],
    ['application/octet-stream', undefined, utf8('{"a":1}')],
    [undefined, undefined, utf8('{"a":1}')],
    ['', undefined, utf8('{"a":1}')],
  ])('reads by content type %j and encoding %j', (contentType, contentEncoding, body) => {
    const properties = {
      ...(contentType !== undefined && { contentType }),
      ...(contentEncoding !== undefined && { contentEncoding }),
    };
    expect(auto.decode(utf8('{"a":1}'), properties)).toEqual(body);
  });

  it('throws on what is not what its content type says', () => {
    expect(() => auto.decode(utf8('{'), { contentType: 'application/json' })).toThrow(SyntaxError);
    expect(() => auto.decode(utf8(''), { contentType: 'application/json' })).toThrow(SyntaxError);
    expect(() => auto.decode(NOT_UTF8, { contentType: 'application/json' })).toThrow('not valid');
    expect(() => auto.decode(NOT_UTF8, { contentType: 'text/plain' })).toThrow('not valid');
  });
});

describe('`auto` writes by the content type as it reads by it', () => {
  it.each<[string, unknown, string]>([
    ['text/plain', 'hello', 'hello'],
    ['text/plain; charset=utf-8', 'grüß', 'gr\xc3\xbc\xc3\x9f'],
    ['text/csv; charset="ISO-8859-1"', 'grüß', 'gr\xfc\xdf'],
    ['application/xml', '<a/>', '<a/>'],
    ['application/octet-stream', 'hello', 'hello'],
    ['', 'hello', 'hello'],
    ['application/json', 'hello', '"hello"'],
    ['application/vnd.shop+json; charset=utf-8', { a: 1 }, '{"a":1}'],
    ['image/png', Uint8Array.of(1, 255), '\x01\xff'],
    ['application/json', Buffer.from('{ }'), '{ }'],
    ['text/plain; charset=shift_jis', Buffer.of(0x83, 0x65), '\x83\x65'],
  ])('%s: %p', (contentType, value, written) => {
    expect(encodeBody(auto, value, { contentType }).toString('latin1')).toBe(written);
  });

  it.each<[string, unknown, string]>([
    ['text/plain', { a: 1 }, 'writes `text/plain` from a string or bytes, got an object: use a JSON type, or a codec.'],
    ['text/plain', 5, 'got a number'],
    ['application/xml', [1], 'got an object'],
    ['text/plain; charset=iso-8859-1', '→', 'cannot write this string in the charset of'],
    ['text/plain; charset=shift_jis', 'a', 'cannot write this string in the charset of'],
    ['application/json', new Map(), '`body` is a Map'],
  ])('and refuses what could not be read as it was: %s, %p', (contentType, value, sentence) => {
    expect(() => encodeBody(auto, value, { contentType })).toThrow(sentence);
  });

  it('and takes bytes alone in an encoding that it does not know', () => {
    const packed = { contentType: 'application/json', contentEncoding: 'gzip' };
    expect(encodeBody(auto, NOT_UTF8, packed)).toBe(NOT_UTF8);
    expect(() => encodeBody(auto, { a: 1 }, packed)).toThrow('has to be bytes in that encoding, got an object.');
    expect(() => encodeBody(auto, 'words', { contentEncoding: 'gzip' })).toThrow('got a string.');
    expect(encodeBody(auto, 'words', { contentEncoding: 'utf-8' }).toString()).toBe('"words"');
  });

  it('but leaves it to other codecs what they write', () => {
    expect(encodeBody(json(), 'hello', { contentType: 'text/plain' }).toString()).toBe('"hello"');
    expect(encodeBody(text, 'hello', { contentType: 'application/json' }).toString()).toBe('hello');
  });
});

describe('json', () => {
  it('reads JSON whatever the content type says', () => {
    expect(json().decode(utf8('[1]'), { contentType: 'image/png' })).toEqual([1]);
  });

  it('reads JSON behind a byte order mark, which some producers write', () => {
    expect(json().decode(utf8('\uFEFF[1]'), {})).toEqual([1]);
    expect(auto.decode(utf8('\uFEFF[1]'), { contentType: 'application/json' })).toEqual([1]);
  });

  it('gives what `parse` makes of it', () => {
    const numbers = json((value) => (Array.isArray(value) ? value.length : 0));
    expect(numbers.decode(utf8('[1,2]'), {})).toBe(2);
  });

  it('throws what `parse` throws', () => {
    const strict = json(() => {
      throw new RangeError('no such order');
    });
    expect(() => strict.decode(utf8('[]'), {})).toThrow('no such order');
  });

  it('says what it writes', () => {
    expect(contentTypeOf(json(), Buffer.alloc(0))).toBe('application/json');
    expect(() => json().encode(undefined)).toThrow('has no JSON form');
  });
});

describe('text', () => {
  it('reads and writes UTF-8', () => {
    expect(text.encode('grüß').toString('hex')).toBe('6772c3bcc39f');
    expect(text.decode(utf8('grüß'), {})).toBe('grüß');
  });

  it('throws on bytes that are no UTF-8, and on what is no string', () => {
    expect(() => text.decode(NOT_UTF8, {})).toThrow('not valid');
    const five: unknown = 5;
    expect(() => text.encode(five as string)).toThrow('Expected a string, got number.');
  });
});

describe('bytes', () => {
  it('leaves them alone, whatever the content type says', () => {
    expect(bytes.encode(NOT_UTF8)).toBe(NOT_UTF8);
    expect(bytes.decode(NOT_UTF8, { contentType: 'application/json' })).toBe(NOT_UTF8);
  });

  it('refuses what are none', () => {
    const words: unknown = 'words';
    expect(() => bytes.encode(words as Buffer)).toThrow(
      'Expected bytes (a Buffer, a typed array, an ArrayBuffer), got string.',
    );
  });
});

describe('a codec of the caller', () => {
  it('without a content type writes none', () => {
    expect(contentTypeOf({ contentType: '' }, 'x')).toBeUndefined();
  });

  it('that returns something else than bytes is refused', () => {
    const codec = { contentType: '', encode: (value: string) => value as never, decode: String };
    expect(() => encodeBody(codec, 'x')).toThrow('`encode` returned no Buffer.');
  });
});
