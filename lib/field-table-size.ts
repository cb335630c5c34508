import { NotEncodable } from './not-encodable';

const OVERHEAD = 4;
const DEEPEST = 100;

/**
 * Bytes that a field table takes on the wire, counted as amqplib writes it, so that what it (or the frame size) would
 * refuse half-way is refused before. https://www.rabbitmq.com/amqp-0-9-1-errata#section_3
 * @throws NotEncodable for values that have no form there
 */
export function tableSize(table: object, path = 'headers', depth = 0): number {
  if (depth > DEEPEST)
    throw new NotEncodable(`\`${path}\` is nested more than ${String(DEEPEST)} deep, or contains itself`);
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
      if (value instanceof Date || value instanceof Map || value instanceof Set) {
        // amqplib would write an empty table.
        throw new NotEncodable(
          `\`${path}\` is a ${value.constructor.name}; give a string, or { '!': 'timestamp', value: seconds }`,
        );
      }
      if (Object.hasOwn(value, '!')) return typedSize(value, path, depth);
      return 1 + tableSize(value, path, depth + 1);
    default:
      throw new NotEncodable(`\`${path}\` is a ${typeof value}, which a field table cannot hold`);
  }
}

function listSize(list: readonly unknown[], path: string, depth: number): number {
  if (depth > DEEPEST)
    throw new NotEncodable(`\`${path}\` is nested more than ${String(DEEPEST)} deep, or contains itself`);
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
