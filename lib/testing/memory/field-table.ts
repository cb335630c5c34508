import { isDeepStrictEqual, types } from 'node:util';
import { isObject } from '../../options';
import type { Arguments } from '../../properties';

/**
 * A table as the other end reads it: a copy without undefined members, in which a typed value, `{ '!': 'short', value: 5 }`,
 * is a plain one. Timestamps keep their type.
 */
export function copyOfTable(table: Arguments): Arguments {
  if (Object.keys(table).length === 0) return {};
  const present = Object.entries(table).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present.map(([name, value]) => [name, copyOf(value)]));
}

function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (ArrayBuffer.isView(value)) return Buffer.from(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  if (types.isAnyArrayBuffer(value)) return Buffer.from(Buffer.from(value));
  if (types.isDate(value)) return { '!': 'timestamp', value: Math.floor(value.getTime() / 1000) };
  if (!isObject(value)) return value;
  const typed = typeOf(value);
  return typed === undefined || typed === 'timestamp' ? copyOfTable(value) : copyOf(value['value']);
}

/** Are two values of a table the same? Whole numbers are, whatever their sizes on the wire. */
export function sameField(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(copyOf(one), copyOf(other));
}

/** How RabbitMQ's error messages show a value, and what they call its type on the wire. */
export function describeField(value: unknown): { readonly value: string; readonly type: string } {
  const copy = copyOf(value);
  if (isObject(copy) && copy['!'] === 'timestamp') return { value: String(copy['value']), type: 'timestamp' };
  const named = isObject(value) ? TYPED[typeOf(value) ?? ''] : undefined;
  return { value: shown(copy), type: named ?? wireType(copy) };
}

function shown(value: unknown): string {
  if (typeof value === 'string' || Buffer.isBuffer(value)) return value.toString();
  return value === null || value === undefined ? 'undefined' : JSON.stringify(value);
}

/** Values whose type the sender names. */
const TYPED: Readonly<Record<string, string>> = {
  byte: 'byte',
  int8: 'byte',
  unsignedbyte: 'unsignedbyte',
  uint8: 'unsignedbyte',
  short: 'short',
  int16: 'short',
  unsignedshort: 'unsignedshort',
  uint16: 'unsignedshort',
  int: 'signedint',
  int32: 'signedint',
  unsignedint: 'unsignedint',
  uint32: 'unsignedint',
  long: 'long',
  int64: 'long',
  float: 'float',
  double: 'double',
  float64: 'double',
  decimal: 'decimal',
};

const typeOf = (value: Arguments): string | undefined => {
  const type = value['!'];
  return typeof type === 'string' ? type : undefined;
};

/** The smallest type that holds the value. */
function wireType(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return 'longstr';
    case 'boolean':
      return 'bool';
    case 'number':
      return numberType(value);
    default:
      if (value === null || value === undefined) return 'void';
      if (Buffer.isBuffer(value)) return 'binary';
      return Array.isArray(value) ? 'array' : 'table';
  }
}

function numberType(value: number): string {
  if (!Number.isInteger(value)) return 'double';
  const fits = (bits: number): boolean => value < 2 ** (bits - 1) && value >= -(2 ** (bits - 1));
  return fits(8) ? 'byte' : fits(16) ? 'short' : fits(32) ? 'signedint' : 'long';
}
