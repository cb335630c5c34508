import { isObject } from '../../options';
import type { Arguments } from '../../properties';

/** A table as it comes out at the other end: a copy, without what is undefined, typed values as what they are. */
export function copyOfTable(table: Arguments): Record<string, unknown> {
  const present = Object.entries(table).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present.map(([name, value]) => [name, copyOf(value)]));
}

function copyOf(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(copyOf);
  if (!isObject(value)) return value;
  // amqplib's way of naming a type: only times keep it when they are read.
  const { '!': type, value: typed } = value;
  if (typeof type === 'string' && type !== 'timestamp') return copyOf(typed);
  return copyOfTable(value);
}

/** Do two tables say the same? */
export function sameTable(one: Arguments, other: Arguments): boolean {
  const sorted = (table: Arguments): unknown => Object.entries(copyOfTable(table)).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}
