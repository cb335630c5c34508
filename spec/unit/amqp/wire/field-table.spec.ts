import { walkFieldTable, writeFieldTable } from '../../../../lib/amqp/wire/field-table';
import { writeTable } from '../../../support/amqplib/encoder';

/** Written behind some other octets, into memory that was used before. */
function written(table: object): Buffer {
  const bytes = Buffer.alloc(2048, 0xff);
  return bytes.subarray(3, writeFieldTable(bytes, 3, table));
}
const typed = (type: string, ...values: readonly number[]): [string, unknown][] =>
  values.map((value) => [`${type} ${String(value)}`, { '!': type, value }]);

describe('a value in a field table', () => {
  it.each<[string, unknown]>([
    ...[0, -0, 127, 128, -128, -129, 32_767, 32_768, -32_768, -32_769].map((n): [string, unknown] => [String(n), n]),
    ...[2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1].map((n): [string, unknown] => [String(n), n]),
    ...[2 ** 49 + 0.5, 2 ** 50, -(2 ** 50), 2 ** 62, 2 ** 63, -(2 ** 63)].map((n): [string, unknown] => [String(n), n]),
    ...[0.5, -0.5, 1e300].map((n): [string, unknown] => [String(n), n]),
    ...typed('byte', -128, 127),
    ...typed('int8', -128, 127),
    ...typed('unsignedbyte', 0, 255),
    ...typed('uint8', 0, 255),
    ...typed('short', -32_768, 32_767),
    ...typed('int16', -32_768, 32_767),
    ...typed('unsignedshort', 0, 65_535),
    ...typed('uint16', 0, 65_535),
    ...typed('int', -(2 ** 31), 2 ** 31 - 1),
    ...typed('int32', -(2 ** 31), 2 ** 31 - 1),
    ...typed('unsignedint', 0, 2 ** 32 - 1),
    ...typed('uint32', 0, 2 ** 32 - 1),
    ...typed('long', -(2 ** 53), 2 ** 53),
    ...typed('int64', -(2 ** 53), 2 ** 53),
    ...typed('timestamp', 0, 2 ** 53),
    ...typed('float', 1.5, -0.1),
    ...typed('double', 1.5, -0.1),
    ...typed('float64', 1.5, -0.1),
    ['true', true],
    ['false', false],
    ['null', null],
    ['an empty text', ''],
    ['a text whose length in octets is another', 'Größe 🐇'],
    ['a text longer than a short one can be', 'x'.repeat(300)],
    ['no octets', Buffer.alloc(0)],
    ['octets', Buffer.from([0, 1, 255])],
    ['an empty list', []],
    ['a list', [1, 'two', [3, null], { four: 4 }]],
    ['a list that names a type', Object.assign([1], { '!': 'int8', value: 3 })],
    ['an empty table', {}],
    ['a table', { a: { b: { c: 'd' } }, e: [{}] }],
    ['a table with what is undefined', { a: undefined, b: 1 }],
    ['a table that inherits', Object.assign(Object.create({ inherited: 'yes' }) as object, { own: 1 })],
  ])('is written as amqplib writes it: %s', (_what, value) => {
    expect(written({ before: 1, Größe: value, behind: 'it' })).toEqual(
      writeTable({ before: 1, Größe: value, behind: 'it' }),
    );
    expect(written({ list: [value, value], behind: true })).toEqual(writeTable({ list: [value, value], behind: true }));
  });

  it.each<[string, unknown]>([
    ['a function', () => 1],
    ['a bigint', 1n],
    ['a symbol', Symbol('s')],
    ['a decimal', { '!': 'decimal', value: { places: 1, digits: 2 } }],
    ['a type that needs no name', { '!': 'string', value: 'text' }],
    ['a number under a name for no number', { '!': 'string', value: 1 }],
    ['an unknown type', { '!': 'complex', value: 1 }],
    ['a typed text', { '!': 'int8', value: '1' }],
    ['a number that its type cannot hold', { '!': 'uint8', value: 256 }],
    ['a fraction that amqplib takes for a whole number', 2 ** 50 + 0.5],
  ])('is left to amqplib if it is %s', (_what, value) => {
    expect(() => written({ value })).toThrow();
    expect(() => written({ list: [{ value }] })).toThrow();
  });
});

describe('who looks through a field table', () => {
  const TABLE = {
    void: null,
    bool: true,
    small: 1,
    octet: { '!': 'uint8', value: 1 },
    short: 300,
    word: { '!': 'uint16', value: 1 },
    int: 70_000,
    natural: { '!': 'uint32', value: 1 },
    long: 2 ** 40,
    time: { '!': 'timestamp', value: 1 },
    float: { '!': 'float', value: 1 },
    double: 0.5,
    decimal: { '!': 'decimal', value: { places: 1, digits: 2 } },
    text: 'text',
    none: '',
    octets: Buffer.from('octets'),
    list: [1, 'a', [null], []],
    table: { '': {}, inner: [{ deepest: 'b' }], last: false },
    end: 'end',
  };
  const EXPECTED = 'V1 t1 b1 B1 s1 u1 I1 i1 l1 T1 f1 d1 D1 S1 S1 x1 A1 b2 S2 A2 V3 A2 F1 F2 A2 F3 S4 t2 S1'.split(' ');
  /** The type and the depth of each value. */
  function seen(bytes: Buffer, start: number, until = Infinity): string[] {
    const values: string[] = [];
    walkFieldTable(bytes, start, (tag, at, depth) => {
      const kind = bytes[at] === tag ? String.fromCharCode(tag) : 'elsewhere ';
      return values.push(kind + String(depth)) < until;
    });
    return values;
  }
  const bytes = Buffer.concat([Buffer.from('abc'), writeTable(TABLE), Buffer.from('S is behind it')]);

  it('sees each value, with its type and its depth, wherever the table begins', () => {
    expect(seen(bytes, 3)).toEqual(EXPECTED);
    expect(seen(writeTable(TABLE), 0)).toEqual(EXPECTED);
    expect(seen(writeTable({}), 0)).toEqual([]);
  });

  it('may stop at any of them', () => {
    for (let count = 1; count <= EXPECTED.length; count++)
      expect(seen(bytes, 3, count)).toEqual(EXPECTED.slice(0, count));
  });

  it('sees as much of one that is cut off as is there', () => {
    const whole = writeTable(TABLE);
    const cuts = Array.from({ length: whole.length + 1 }, (_, cut) => seen(whole.subarray(0, cut), 0));
    expect(cuts).toEqual(cuts.map(({ length }) => EXPECTED.slice(0, length)));
    // One more with each type that is there.
    const counts = new Set(cuts.map(({ length }) => length));
    expect([...counts]).toEqual(Array.from({ length: EXPECTED.length + 1 }, (_, count) => count));
  });

  it('sees nothing behind a type that is unknown', () => {
    const unknown = writeTable({ a: 1, b: 2, c: 3 });
    unknown.write('?', unknown.indexOf('b', unknown.indexOf('\x01b') + 2));
    expect(seen(unknown, 0)).toEqual(['b1', '?1']);
  });
});
