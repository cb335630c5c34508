import { type Check, checkOptions, date, func, isObject, number, object, type Shape, string } from '../options';
import type { DeadLetter } from './dead-letter';

/** Which dead letters are meant: those to which everything that is given applies. */
export interface DeadLetterFilter {
  readonly messageId?: string;
  /** `rejected`, `expired`, `maxlen`, `delivery_limit`, `failed` or `unknown`; see `DeadLetter.reason`. */
  readonly reason?: string;
  /** The queue in which it failed. */
  readonly queue?: string;
  /** The name of the error, or a part of its message. */
  readonly error?: string;
  /** The `type` property. */
  readonly type?: string;
  /** Headers, by name and value; a value is compared as text, a list or a table as JSON. */
  readonly headers?: Readonly<Record<string, unknown>>;
  /** A part of the body, as UTF-8. A compressed body is not searched. */
  readonly text?: string;
  /** ms; died at least so long ago. A letter without a time of death is never meant. */
  readonly olderThan?: number;
  /** ms; died at most so long ago. */
  readonly newerThan?: number;
  /** Died before this moment. */
  readonly before?: Date;
}

/** No timer runs for it, so it may be longer than one. */
const age = number(0, Number.MAX_SAFE_INTEGER);
const FILTER: Shape<DeadLetterFilter> = {
  messageId: string,
  reason: string,
  queue: string,
  error: string,
  type: string,
  headers: object,
  text: string,
  olderThan: age,
  newerThan: age,
  before: date,
};

/** A filter, or a function that says which letters are meant. */
export type Where = DeadLetterFilter | ((letter: DeadLetter) => boolean);

/** The check of the option `where`; the members of a filter are checked by `matcher`. */
export const where: Check = (value) =>
  isObject(value) || func(value) === undefined ? undefined : 'a filter or a function';

/** @throws OptionsError */
export function matcher(filter: Where | undefined): (letter: DeadLetter) => boolean {
  if (filter === undefined) return () => true;
  if (typeof filter === 'function') return filter;
  checkOptions(filter, FILTER, { of: '`where`', path: 'where.' });
  const now = Date.now();
  const { olderThan, newerThan, before } = filter;
  const latest = Math.min(olderThan === undefined ? Infinity : now - olderThan, before?.getTime() ?? Infinity);
  const earliest = newerThan === undefined ? -Infinity : now - newerThan;
  const timed = olderThan !== undefined || newerThan !== undefined || before !== undefined;
  const headers = Object.entries(filter.headers ?? {}).map(([name, value]) => [name, textOf(value)] as const);
  const text = filter.text === undefined ? undefined : Buffer.from(filter.text);
  const same = (wanted: string | undefined, value: string | undefined): boolean =>
    wanted === undefined || wanted === value;
  return (letter) => {
    const { message, error, diedAt } = letter;
    if (!same(filter.messageId, letter.messageId) || !same(filter.reason, letter.reason)) return false;
    if (!same(filter.queue, letter.queue) || !same(filter.type, message.properties.type)) return false;
    if (filter.error !== undefined && error?.name !== filter.error && error?.message.includes(filter.error) !== true)
      return false;
    for (const [name, value] of headers) {
      const given: unknown = message.properties.headers?.[name];
      if (given === undefined || textOf(given) !== value) return false;
    }
    if (timed) {
      const at = diedAt?.getTime();
      if (at === undefined || at > latest || at < earliest) return false;
    }
    return text === undefined || message.content.includes(text);
  };
}

const textOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
