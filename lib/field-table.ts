import { types } from 'node:util';
import { bytesOf } from './codec';
import { NotEncodable, withoutMembers } from './not-encodable';
import type { Arguments } from './properties';

const DEEPEST = 100;
const tooDeep = (path: string): NotEncodable =>
  new NotEncodable(`\`${path}\` is nested more than ${String(DEEPEST)} deep, or contains itself`);

/**
 * A copy of a table in the values that AMQP knows: a Date is a timestamp, in whole seconds, and a typed array or an
 * ArrayBuffer is a Buffer. What is done to the original later does not change the copy, apart from its bytes.
 * @throws NotEncodable for dates that have no timestamp, and for what is no table
 */
export function plainTable(table: Arguments, path = 'headers'): Arguments {
  const values = Object.values(table);
  if (values.length === 0) refuseContent(table, path);
  // Most headers are strings and numbers.
  if (!values.some((value) => typeof value === 'object')) return { ...table };
  // Not by assignment: a member may be named `__proto__`.
  return Object.fromEntries(
    Object.entries(table).map(([name, value]) => [name, plainValue(value, `${path}.${name}`, 0)]),
  );
}

function plainValue(value: unknown, path: string, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) throw tooDeep(path);
  if (types.isDate(value)) return timestamp(value, path);
  const bytes = bytesOf(value);
  if (bytes) return bytes;
  const plain = (member: unknown, at: string): unknown => plainValue(member, `${path}${at}`, depth + 1);
  // `map` would keep the holes of a sparse array.
  if (Array.isArray(value)) return Array.from(value, (item: unknown, i) => plain(item, `[${String(i)}]`));
  refuseContent(value, path);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member, `.${name}`)]));
}

/** As amqplib takes it and reads it. AMQP counts seconds since 1970, without a sign. */
function timestamp(date: Date, path: string): object {
  const seconds = Math.floor(date.getTime() / 1000);
  if (!(seconds >= 0)) {
    const what = Number.isNaN(seconds) ? 'an invalid Date' : 'a Date before 1970, which is no AMQP timestamp';
    throw new NotEncodable(`\`${path}\` is ${what}`);
  }
  return { '!': 'timestamp', value: seconds };
}

const OVERHEAD = 4;
/**
 * The size of a plain table on the wire, in bytes. Counted as amqplib writes it, so that a table that amqplib, or the frame
 * size, would refuse half-way is refused before. https://www.rabbitmq.com/amqp-0-9-1-errata#section_3
 * @throws NotEncodable for values that have no form in a field table
 */
export function tableSize(table: object, path = 'headers', depth = 0): number {
  if (depth > DEEPEST) throw tooDeep(path);
  let size = OVERHEAD;
  // amqplib writes inherited members too, and leaves out undefined ones.
  for (const key in table) {
    const value: unknown = Reflect.get(table, key);
    if (value === undefined) continue;
    const length = Buffer.byteLength(key);
    if (length > 255) throw new NotEncodable(`\`${path}\` has a key of ${String(length)} bytes; at most 255 fit`);
    size += 1 + length + valueSize(value, `${path}.${key}`, depth);
  }
  return size;
}

function valueSize(value: unknown, path: string, depth: number): number {
  switch (typeof value) {
    case 'string':
      return 1 + 4 + Buffer.byteLength(value);
    case 'boolean':
      return 2;
    case 'number':
      return 1 + numberSize(value, path);
    case 'object':
      if (value === null) return 1;
      if (Buffer.isBuffer(value)) return 1 + 4 + value.length;
      if (Array.isArray(value)) return 1 + listSize(value, path, depth + 1);
      if (Object.hasOwn(value, '!')) return typedSize(value, path, depth);
      return 1 + memberSize(value, path, depth + 1);
    default:
      throw new NotEncodable(`\`${path}\` is a ${typeof value}, which a field table cannot hold`);
  }
}

function memberSize(value: object, path: string, depth: number): number {
  refuseContent(value, path);
  return tableSize(value, path, depth);
}

/** amqplib would write an empty table of a Map, a Date or a RegExp. */
function refuseContent(value: object, path: string): void {
  const kind = types.isDate(value) ? 'a Date' : withoutMembers(value);
  if (kind !== undefined) throw new NotEncodable(`\`${path}\` is ${kind}, which a field table cannot hold`);
}

function listSize(list: readonly unknown[], path: string, depth: number): number {
  if (depth > DEEPEST) throw tooDeep(path);
  return list.reduce<number>((size, value, i) => size + valueSize(value, `${path}[${String(i)}]`, depth), OVERHEAD);
}

function numberSize(value: number, path: string): number {
  const fraction = Math.floor(value) !== value;
  // RabbitMQ closes the connection (541) over a number that is not finite. What is as large as that amqplib takes for
  // an integer, and cannot write it if it is none.
  if (!Number.isFinite(value) || value < -(2 ** 63) || (fraction && Math.abs(value) >= 2 ** 50))
    throw new NotEncodable(`\`${path}\` is ${String(value)}, which has no form there`);
  if (fraction || value >= 2 ** 63) return 8;
  if (value < 2 ** 7 && value >= -(2 ** 7)) return 1;
  if (value < 2 ** 15 && value >= -(2 ** 15)) return 2;
  return value < 2 ** 31 && value >= -(2 ** 31) ? 4 : 8;
}

/** amqplib's way to name a type: `{ '!': 'timestamp', value: 1 }`. */
function typedSize(value: object, path: string, depth: number): number {
  const type: unknown = Reflect.get(value, '!');
  const inner: unknown = Reflect.get(value, 'value');
  switch (type) {
    case 'byte':
    case 'int8':
    case 'unsignedbyte':
    case 'uint8':
      return 2;
    case 'short':
    case 'int16':
    case 'unsignedshort':
    case 'uint16':
      return 3;
    case 'int':
    case 'int32':
    case 'unsignedint':
    case 'uint32':
      return 5;
    case 'float':
      finite(inner, Math.fround, `${path}.value`);
      return 5;
    case 'double':
    case 'float64':
      finite(inner, Number, `${path}.value`);
      return 9;
    case 'long':
    case 'int64':
    case 'timestamp':
      return 9;
    case 'decimal':
      return 6;
    case 'string':
    case 'boolean':
    case 'object':
    case 'number':
      return valueSize(inner, `${path}.value`, depth);
    default:
      throw new NotEncodable(`\`${path}\` names the unknown type \`${String(type)}\``);
  }
}

/** Refuses what is no finite number in that precision. */
function finite(value: unknown, precision: (value: number) => number, path: string): void {
  if (typeof value !== 'number' || !Number.isFinite(precision(value)))
    throw new NotEncodable(
      `\`${path}\` is ${typeof value === 'number' ? String(value) : `a ${typeof value}`}, which has no form there`,
    );
}
