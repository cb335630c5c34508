import { publishOptions } from '../../lib/amqp/amqp-properties';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { auto } from '../../lib/codec';
import { encode } from '../../lib/producer/encoded-message';
import { plainTable, tableSize } from '../../lib/field-table';
import { NotEncodable } from '../../lib/not-encodable';
import { propertiesFrameSize, writeTable } from '../support/amqplib/encoder';

const key = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((name) => name !== '!' && name !== '__proto__');
/** What a field table can hold, and what amqplib's own types say about it. */
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.maxSafeInteger(),
    // Fractions that amqplib cannot write are refused, which a law of its own says.
    fc
      .double({ noNaN: true, noDefaultInfinity: true, min: -(2 ** 63) })
      .filter((number) => Number.isInteger(number) || Math.abs(number) < 2 ** 50),
    fc.uint8Array({ maxLength: 30 }).map((octets) => Buffer.from(octets)),
    fc.record({
      '!': fc.constantFrom('byte', 'int8', 'short', 'int16', 'int', 'int32', 'long', 'int64'),
      value: fc.integer({ min: -128, max: 127 }),
    }),
    fc.record({
      '!': fc.constantFrom('uint8', 'unsignedbyte', 'uint16', 'unsignedshort', 'uint32', 'unsignedint', 'timestamp'),
      value: fc.nat(255),
    }),
    fc.record({
      '!': fc.constantFrom('double', 'float64'),
      value: fc.double({ noNaN: true, noDefaultInfinity: true }),
    }),
    fc.record({ '!': fc.constant('float'), value: fc.float({ noNaN: true, noDefaultInfinity: true }) }),
    fc.record({ '!': fc.constant('decimal'), value: fc.record({ places: fc.nat(255), digits: fc.nat() }) }),
    fc.record({ '!': fc.constant('string'), value: fc.string({ maxLength: 20 }) }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5 }),
  ),
}));
const table = fc.dictionary(key, fc.option(value, { nil: undefined, freq: 20 }), { maxKeys: 8 });

describe('the size of a field table', () => {
  it('is what amqplib writes', () => {
    fc.assert(
      fc.property(table, (headers) => {
        expect(tableSize(headers)).toBe(writeTable(headers).length);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    127,
    128,
    -128,
    -129,
    32_767,
    32_768,
    -32_768,
    -32_769,
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    -(2 ** 31) - 1,
    2 ** 50,
    2 ** 62,
    2 ** 63,
    -(2 ** 63),
    0.5,
    -0.5,
    1e300,
    -0,
  ])('is what amqplib writes at the borders between its kinds of numbers: %d', (number) => {
    expect(tableSize({ number })).toBe(writeTable({ number }).length);
  });

  it('is that of inherited members too, which amqplib writes', () => {
    const headers: object = Object.assign(Object.create({ inherited: 'yes' }) as object, { own: 1 });
    expect(tableSize(headers)).toBe(writeTable(headers).length);
  });

  it.each<[string, unknown]>([
    ['a function', () => 1],
    ['a bigint', 5n],
    ['a symbol', Symbol('x')],
    ['NaN', NaN],
    ['-Infinity', -Infinity],
    // These amqplib writes, and RabbitMQ closes the whole connection over them (541): it cannot read them.
    ['Infinity', Infinity],
    ['a double that is NaN', { '!': 'double', value: NaN }],
    ['a double that is Infinity', { '!': 'float64', value: Infinity }],
    ['a float that is NaN', { '!': 'float', value: NaN }],
    ['a float too large for 32 bits', { '!': 'float', value: 1e39 }],
    ['a float that is no number', { '!': 'float', value: 'many' }],
    ['a number below 64 bits', -1e300],
    ['a Date', new Date()],
    ['a Map', new Map()],
    ['a Set', new Set([1])],
    ['a RegExp', /x/],
    ['an Error', new Error('x')],
    ['a Promise', Promise.resolve()],
    [
      'an instance without fields',
      new (class {
        #x = 1;
        get x() {
          return this.#x;
        }
      })(),
    ],
    ['a Map of another realm', runInNewContext('new Map([[1, 2]])')],
    ['an unknown type', { '!': 'complex', value: 1 }],
    ['a type that amqplib does not write', { '!': 'float32', value: 1 }],
    ['a list with a hole in its meaning', [undefined]],
    ['something too deep', Array.from({ length: 200 }).reduce<object>((inner) => ({ inner }), {})],
    ['a name of 256 bytes', { ['x'.repeat(256)]: 1 }],
  ])('is none for %s: refused before amqplib sees it', (_name, wrong) => {
    expect(() => tableSize({ wrong })).toThrow(NotEncodable);
    expect(() => tableSize({ list: [{ wrong }] })).toThrow(NotEncodable);
  });

  it('is none for what contains itself', () => {
    const round: Record<string, unknown> = {};
    round['self'] = round;
    expect(() => tableSize(round)).toThrow(NotEncodable);
    const list: unknown[] = [];
    list.push(list);
    expect(() => tableSize({ list })).toThrow(NotEncodable);
  });
});

describe('a plain table', () => {
  const own = (headers: object): unknown => plainTable(headers as Readonly<Record<string, unknown>>);
  const octets = Uint8Array.of(1, 2, 3);
  const date = new Date(1_700_000_000_999);
  const stamp = { '!': 'timestamp', value: 1_700_000_000 };

  it.each<[string, unknown, unknown]>([
    ['a Date', date, stamp],
    ['a Date of another realm', runInNewContext('new Date(1700000000999)'), stamp],
    ['the beginning of time', new Date(0), { '!': 'timestamp', value: 0 }],
    ['a Uint8Array', octets, Buffer.from([1, 2, 3])],
    ['an ArrayBuffer', octets.buffer, Buffer.from([1, 2, 3])],
    ['a DataView', new DataView(octets.buffer, 1), Buffer.from([2, 3])],
    ['bytes of another realm', runInNewContext('Uint8Array.of(1)'), Buffer.from([1])],
  ])(
    'has %s as AMQP knows it, however deep it lies, and leaves what it was given as it was',
    (_name, given, written) => {
      const headers = { given, list: [1, { given }], untouched: { a: [] } };
      const before = { ...headers };
      const plain = plainTable(headers);
      expect(plain).toEqual({ given: written, list: [1, { given: written }], untouched: { a: [] } });
      expect(plain['untouched']).not.toBe(headers.untouched);
      expect(headers).toEqual(before);
      expect(headers.list[1]).toEqual({ given });
      expect(tableSize(plain)).toBe(writeTable(plain).length);
    },
  );

  it.each([
    ['invalid', new Date(NaN), '`headers.list[0]` is an invalid Date'],
    ['before 1970', new Date(-1), '`headers.list[0]` is a Date before 1970, which is no AMQP timestamp'],
  ])('has no Date that is %s', (_name, wrong, sentence) => {
    expect(() => plainTable({ list: [wrong] })).toThrow(new NotEncodable(sentence));
  });

  it('is the table itself, copied, where everything is plain', () => {
    fc.assert(
      fc.property(table, (headers) => {
        expect(plainTable(headers)).toEqual(headers);
        expect(plainTable(headers)).not.toBe(headers);
      }),
    );
    expect(Object.keys(own(JSON.parse('{"__proto__":{"a":[]}}') as object) as object)).toEqual(['__proto__']);
  });

  it.each<[string, object, string]>([
    ['a Map', new Map([['a', 1]]), '`headers` is a Map'],
    ['an Error', new Error('x'), '`headers` is an Error'],
    ['the headers of a request in HTTP', new Headers({ a: '1' }), '`headers` is an instance of Headers without'],
    ['a Set in a list', { list: [new Set([1])] }, '`headers.list[0]` is a Set'],
  ])('is none of %s, whose content would be lost', (_name, given, sentence) => {
    expect(() => own(given)).toThrow(NotEncodable);
    expect(() => own(given)).toThrow(sentence);
  });

  it('has no holes in its lists: they are refused as `undefined` is', () => {
    const list = [1, 2, 3];
    Reflect.deleteProperty(list, 1);
    expect(() => tableSize(plainTable({ list }))).toThrow(
      new NotEncodable('`headers.list[1]` is a undefined, which a field table cannot hold'),
    );
  });

  it('is none of what contains itself, in however many ways', () => {
    const round: Record<string, unknown> = {};
    Object.assign(round, { one: round, other: [round, round] });
    expect(() => plainTable(round)).toThrow(NotEncodable);
  });
});

describe('headers as large as amqplib can write', () => {
  const headersOf = (bytes: number): { big: string } => ({ big: 'x'.repeat(bytes - tableSize({ big: '' })) });
  const send = (bytes: number): unknown =>
    encode({ queue: 'q', body: 1, headers: headersOf(bytes) }, auto, { persistent: true, mandatory: true });

  it('are let through to the last byte, and not one more', () => {
    expect(() => send(65_536)).not.toThrow();
    expect(() => writeTable(headersOf(65_536))).not.toThrow();
    expect(() => send(65_537)).toThrow('take 65537 bytes');
    expect(() => writeTable(headersOf(65_537))).toThrow(RangeError);
  });
});

describe('the size of a properties frame', () => {
  const shortString = fc.string({ unit: 'grapheme', maxLength: 20 });
  const properties = fc.record(
    {
      messageId: shortString,
      correlationId: shortString,
      replyTo: shortString,
      type: shortString,
      appId: shortString,
      userId: shortString,
      contentType: shortString,
      contentEncoding: shortString,
      timestamp: fc.nat().map((seconds) => new Date(seconds * 1000)),
      expiration: fc.nat(),
      priority: fc.nat(255),
      headers: table,
      persistent: fc.boolean(),
    },
    { requiredKeys: [] },
  );

  it('is never less than what amqplib writes, and not much more', () => {
    fc.assert(
      fc.property(properties, (given) => {
        const message = encode({ ...given, queue: 'q', body: Buffer.from('1') }, auto, {
          persistent: true,
          mandatory: true,
        });
        const { propertiesFrame } = message;
        const written = propertiesFrameSize(publishOptions(message));
        expect(propertiesFrame).toBeGreaterThanOrEqual(written);
        expect(propertiesFrame - written).toBeLessThanOrEqual(10);
      }),
      { numRuns: 300 },
    );
  });
});
