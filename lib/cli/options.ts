import { type Command, InvalidArgumentError } from 'commander';
import type { DeadLetterFilter } from '../tools/index';

/** What commander calls with the text of an option, and with the value so far if it was given before. */
type Parse<T> = (text: string, previous: T | undefined) => T;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30s`, `15m`, `2h`, `7d` as ms. */
export const period: Parse<number> = (text) => {
  const [, count, unit = ''] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? Number.NaN);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('Expected a number and a unit, ms, s, m, h or d: 30s, 2h, 7d.');
  return ms;
};

/** A whole number from 1 on, or `all`. */
export const count: Parse<number> = (text) => {
  if (text === 'all') return Infinity;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1 on, or all.');
  return value;
};

export const whole: Parse<number> = (text) => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new InvalidArgumentError('Expected a whole number.');
  return value;
};

/** Seconds that a step may take, as many as a timer can count. */
export const seconds: Parse<number> = (text) => {
  const value = Number(text);
  if (!(value >= 0.001) || value * 1000 >= 2 ** 31)
    throw new InvalidArgumentError('Expected a number of seconds above 0.');
  return value;
};

export const positive: Parse<number> = (text) => {
  const value = Number(text);
  if (!(value > 0) || value === Infinity) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
};

/** `name=value`, several times. */
export const pairs: Parse<Readonly<Record<string, string>>> = (text, previous = {}) => {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Expected name=value.');
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
};

export const several: Parse<readonly string[]> = (text, previous = []) => [...previous, text];

/** The options by which letters are chosen. */
export interface FilterOptions {
  readonly id?: string;
  readonly reason?: string;
  readonly failedIn?: string;
  readonly error?: string;
  readonly type?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly text?: string;
  readonly olderThan?: number;
  readonly newerThan?: number;
}

/** Adds the options by which letters are chosen. */
export function filters(command: Command): Command {
  return command
    .option('--id <id>', 'the letter with this messageId')
    .option('--error <text>', 'the name of the error, or a part of its message')
    .option('--reason <reason>', 'rejected, expired, maxlen, delivery_limit, or failed (moved by retry)')
    .option('--failed-in <queue>', 'failed in this queue')
    .option('--type <type>', 'with this type property')
    .option('--header <name=value>', 'with this header; may be repeated', pairs)
    .option('--text <text>', 'with this text in the body')
    .option('--older-than <time>', 'died at least so long ago: 30s, 15m, 2h, 7d', period)
    .option('--newer-than <time>', 'died at most so long ago', period);
}

export function filterOf(options: FilterOptions): DeadLetterFilter {
  const { id, failedIn, header, reason, error, type, text, olderThan, newerThan } = options;
  const given = { messageId: id, queue: failedIn, headers: header, reason, error, type, text, olderThan, newerThan };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** The filter in words, for a question. Empty: all letters. */
export const filterWords = (filter: DeadLetterFilter): string =>
  Object.entries(filter)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
