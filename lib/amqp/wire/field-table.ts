import { uint32At } from './read-buffer';

/**
 * Writes a field table as amqplib would; returns its end. `tableSize` has refused values that AMQP cannot hold, and has
 * computed the size. https://www.rabbitmq.com/amqp-0-9-1-errata#section_3
 */
export function writeFieldTable(to: Buffer, start: number, table: object): number {
  let at = start + 4;
  // Inherited properties too, as in amqplib.
  for (const key in table) {
    const value: unknown = Reflect.get(table, key);
    if (value === undefined) continue;
    const length = to.write(key, at + 1);
    to[at] = length;
    at = writeValue(to, at + 1 + length, value);
  }
  to.writeUInt32BE(at - start - 4, start);
  return at;
}

function writeValue(to: Buffer, at: number, value: unknown): number {
  switch (typeof value) {
    case 'string':
      return writeText(to, at, value);
    case 'boolean':
      to[tag(to, at, 't')] = value ? 1 : 0;
      return at + 2;
    case 'number':
      return writeNumber(to, at, value);
    case 'object':
      if (value === null) return tag(to, at, 'V');
      // amqplib looks for a named type first.
      if (Object.hasOwn(value, '!')) return writeTyped(to, at, value);
      if (Array.isArray(value)) return writeArray(to, tag(to, at, 'A'), value);
      if (Buffer.isBuffer(value)) {
        const end = to.writeUInt32BE(value.length, tag(to, at, 'x'));
        return end + value.copy(to, end);
      }
      return writeFieldTable(to, tag(to, at, 'F'), value);
    default:
      throw new TypeError(`A ${typeof value} cannot stand in a field table.`);
  }
}

function writeArray(to: Buffer, start: number, values: readonly unknown[]): number {
  let at = start + 4;
  for (const value of values) at = writeValue(to, at, value);
  to.writeUInt32BE(at - start - 4, start);
  return at;
}

function writeText(to: Buffer, at: number, text: string): number {
  const length = to.write(text, tag(to, at, 'S') + 4);
  return to.writeUInt32BE(length, at + 1) + length;
}

/** The smallest type that holds the number, as in amqplib; signed, because RabbitMQ reads them so. */
function writeNumber(to: Buffer, at: number, value: number): number {
  const real = value >= 2 ** 63 || (Math.abs(value) < 2 ** 50 && Math.floor(value) !== value);
  if (real) return to.writeDoubleBE(value, tag(to, at, 'd'));
  if (value >= -(2 ** 7) && value < 2 ** 7) return to.writeInt8(value, tag(to, at, 'b'));
  if (value >= -(2 ** 15) && value < 2 ** 15) return to.writeInt16BE(value, tag(to, at, 's'));
  if (value >= -(2 ** 31) && value < 2 ** 31) return to.writeInt32BE(value, tag(to, at, 'I'));
  return to.writeBigInt64BE(BigInt(value), tag(to, at, 'l'));
}

/** amqplib's notation for a typed value: `{ '!': 'timestamp', value: 1 }`. */
function writeTyped(to: Buffer, at: number, named: object): number {
  const type: unknown = Reflect.get(named, '!');
  const number: unknown = Reflect.get(named, 'value');
  if (typeof number !== 'number') throw new TypeError(`A ${typeof number} is not written here as a number.`);
  switch (type) {
    case 'byte':
    case 'int8':
      return to.writeInt8(number, tag(to, at, 'b'));
    case 'unsignedbyte':
    case 'uint8':
      return to.writeUInt8(number, tag(to, at, 'B'));
    case 'short':
    case 'int16':
      return to.writeInt16BE(number, tag(to, at, 's'));
    case 'unsignedshort':
    case 'uint16':
      return to.writeUInt16BE(number, tag(to, at, 'u'));
    case 'int':
    case 'int32':
      return to.writeInt32BE(number, tag(to, at, 'I'));
    case 'unsignedint':
    case 'uint32':
      return to.writeUInt32BE(number, tag(to, at, 'i'));
    case 'long':
    case 'int64':
      return to.writeBigInt64BE(BigInt(number), tag(to, at, 'l'));
    case 'timestamp':
      return to.writeBigUInt64BE(BigInt(number), tag(to, at, 'T'));
    case 'float':
      return to.writeFloatBE(number, tag(to, at, 'f'));
    case 'double':
    case 'float64':
      return to.writeDoubleBE(number, tag(to, at, 'd'));
    default:
      // 'string', 'boolean', 'object' and 'number' need no name; 'decimal' and unknown names are left to amqplib.
      throw new TypeError(`\`${String(type)}\` is not written here.`);
  }
}

function tag(to: Buffer, at: number, letter: string): number {
  to[at] = letter.charCodeAt(0);
  return at + 1;
}

/** Bytes after the tag, for each kind of value of fixed size. https://www.rabbitmq.com/amqp-0-9-1-errata#section_3 */
const FIXED: ReadonlyMap<number, number> = new Map(
  Object.entries({ V: 0, t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, f: 4, D: 5, T: 8, l: 8, L: 8, d: 8 }).map(
    ([tag, size]) => [tag.charCodeAt(0), size],
  ),
);
const [TABLE, ARRAY, TEXT, BYTES] = ['F', 'A', 'S', 'x'].map((tag) => tag.charCodeAt(0));

/**
 * Does the field table at `start` (its length first) nest tables or arrays more than `limit` deep? Pure, and without recursion:
 * it has to survive tables that would overflow the stack. It does not report malformed tables.
 */
export function nestsDeeper(limit: number, bytes: Buffer, start: number): boolean {
  let deeper = false;
  walkFieldTable(bytes, start, (tag, _at, depth) => {
    deeper = (tag === TABLE || tag === ARRAY) && depth > limit;
    return !deeper;
  });
  return deeper;
}

/**
 * Visits the type of each value of a field table, with its offset and the number of tables and arrays around it. Ends when the visitor
 * returns `false`, and where the table is malformed.
 */
export function walkFieldTable(
  bytes: Buffer,
  start: number,
  visit: (tag: number, at: number, depth: number) => boolean,
): void {
  const open: { readonly end: number; readonly named: boolean }[] = [];
  let at = start;
  const enter = (named: boolean): void => {
    const size = uint32At(bytes, at);
    at += 4;
    open.push({ end: at + size, named });
  };
  enter(true);
  for (;;) {
    let level = open.at(-1);
    while (level && at >= level.end) {
      open.pop();
      level = open.at(-1);
    }
    if (!level) return;
    if (level.named) at += 1 + (bytes[at] ?? 0);
    const tag = bytes[at++];
    if (tag === undefined || !visit(tag, at - 1, open.length)) return;
    if (tag === TABLE || tag === ARRAY) enter(tag === TABLE);
    else if (tag === TEXT || tag === BYTES) at += 4 + uint32At(bytes, at);
    else {
      const size = FIXED.get(tag);
      if (size === undefined) return;
      at += size;
    }
  }
}
