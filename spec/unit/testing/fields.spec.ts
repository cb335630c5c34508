import { copyOfTable, describeField, sameField } from '../../../lib/testing/memory/field-table';
import { copies, routingKeys, withoutBlindCopies } from '../../../lib/testing/memory/sender-selected';
import { stored } from '../../../lib/testing/memory/stored-message';

const message = (headers: Readonly<Record<string, unknown>>) => stored('', 'orders', Buffer.from(''), { headers });

describe('a message with further routing keys', () => {
  it.each([
    [{}, ['orders']],
    [{ CC: ['a', 'b'] }, ['orders', 'a', 'b']],
    [{ BCC: ['c'] }, ['orders', 'c']],
    [{ CC: ['a', 'orders'], BCC: ['a', 'c'] }, ['orders', 'a', 'c']],
    [{ CC: ['a', 5, null] }, ['orders', 'a']],
  ])('goes where they lead, once each: %j', (headers, keys) => {
    expect(routingKeys(message(headers))).toEqual(keys);
  });

  it.each(['CC', 'BCC'] as const)('is refused where they are no list: %s', (name) => {
    expect(() => copies({ [name]: 'a' }, name)).toThrow(`unacceptable_type_in_header,"${name}",longstr`);
  });

  it('does not show the blind ones', () => {
    const open = message({ CC: ['a'], tenant: 'north' });
    expect(withoutBlindCopies(open)).toBe(open);
    const blind = message({ CC: ['a'], BCC: ['b'], tenant: 'north' });
    expect(withoutBlindCopies(blind).properties.headers).toEqual({ CC: ['a'], tenant: 'north' });
    expect(withoutBlindCopies(blind).content).toBe(blind.content);
  });
});

describe('a value of a table', () => {
  const date = new Date(1_700_000_000_500);
  it.each<[unknown, string, string]>([
    ['text', 'text', 'longstr'],
    ['', '', 'longstr'],
    [true, 'true', 'bool'],
    [127, '127', 'byte'],
    [-128, '-128', 'byte'],
    [128, '128', 'short'],
    [-129, '-129', 'short'],
    [32_768, '32768', 'signedint'],
    [2 ** 31, '2147483648', 'long'],
    [-(2 ** 31), '-2147483648', 'signedint'],
    [1.5, '1.5', 'double'],
    [null, 'undefined', 'void'],
    [undefined, 'undefined', 'void'],
    [Buffer.from('bytes'), 'bytes', 'binary'],
    [[1, 'a'], '[1,"a"]', 'array'],
    [{ a: 1 }, '{"a":1}', 'table'],
    [date, '1700000000', 'timestamp'],
    [{ '!': 'timestamp', value: 5 }, '5', 'timestamp'],
    [{ '!': 'byte', value: 5 }, '5', 'byte'],
    [{ '!': 'int8', value: 5 }, '5', 'byte'],
    [{ '!': 'unsignedbyte', value: 5 }, '5', 'unsignedbyte'],
    [{ '!': 'uint8', value: 5 }, '5', 'unsignedbyte'],
    [{ '!': 'short', value: 5 }, '5', 'short'],
    [{ '!': 'int16', value: 5 }, '5', 'short'],
    [{ '!': 'unsignedshort', value: 5 }, '5', 'unsignedshort'],
    [{ '!': 'uint16', value: 5 }, '5', 'unsignedshort'],
    [{ '!': 'int', value: 5 }, '5', 'signedint'],
    [{ '!': 'int32', value: 5 }, '5', 'signedint'],
    [{ '!': 'unsignedint', value: 5 }, '5', 'unsignedint'],
    [{ '!': 'uint32', value: 5 }, '5', 'unsignedint'],
    [{ '!': 'long', value: 5 }, '5', 'long'],
    [{ '!': 'int64', value: 5 }, '5', 'long'],
    [{ '!': 'float', value: 5 }, '5', 'float'],
    [{ '!': 'double', value: 5 }, '5', 'double'],
    [{ '!': 'float64', value: 5 }, '5', 'double'],
    [{ '!': 'longstr', value: 'a' }, 'a', 'longstr'],
  ])('is shown as RabbitMQ shows it: %j', (value, shown, type) => {
    expect(describeField(value)).toEqual({ value: shown, type });
  });

  it.each<[unknown, unknown, boolean]>([
    [5, { '!': 'long', value: 5 }, true],
    [5, 6, false],
    [5, '5', false],
    [date, { '!': 'timestamp', value: 1_700_000_000 }, true],
    [{ '!': 'timestamp', value: 5 }, 5, false],
    [[1, { '!': 'short', value: 2 }], [1, 2], true],
    [{ a: undefined, b: 1 }, { b: 1 }, true],
    [Buffer.from('a'), new Uint8Array([97]), true],
  ])('is the same as another if the other end reads the same: %j, %j', (one, other, same) => {
    expect(sameField(one, other)).toBe(same);
  });

  it('is a copy: what the sender changes later does not reach the other end', () => {
    const bytes = Buffer.from('abc');
    const array = new Uint8Array([1, 2]).buffer;
    const given = { bytes, array, list: [bytes], table: { bytes }, none: undefined };
    const copy = copyOfTable(given);
    bytes.fill(0);
    new Uint8Array(array).fill(0);
    const text = Buffer.from('abc');
    expect(copy).toEqual({ bytes: text, array: Buffer.from([1, 2]), list: [text], table: { bytes: text } });
    expect(Object.keys(copy)).not.toContain('none');
    expect(copyOfTable({})).toEqual({});
  });
});
