import { Buffer } from 'node:buffer';
import { types } from 'node:util';
import { isObservable } from 'rxjs';
import { OptionsError } from './errors';

/** Every default, in one table. Durations in ms, `heartbeat` in seconds. */
export const DEFAULTS = {
  // 50 and not 100: after a cut the wait is most of the gap, and each outage within `stableAfter` stretches it.
  reconnect: { min: 50, max: 30_000, factor: 1.2, jitter: 1, attempts: Infinity, stableAfter: 10_000 },
  reopen: { min: 100, max: 10_000, factor: 1.2, jitter: 1, attempts: Infinity, stableAfter: 10_000 },
  heartbeat: 10,
  connectTimeout: 10_000,
  drainTimeout: 30_000,
  downAfter: 30_000,
  checkAfter: 60_000,
  prefetch: 20,
  tagPrefix: 'instance-queue',
  maxInFlight: 1000,
  timeout: 30_000,
  outbox: { limit: 10_000, bytes: 64 * 1024 * 1024, overflow: 'wait' },
  compressed: { above: 1024, encoding: 'gzip', maxBytes: 64 * 1024 * 1024 },
  durable: true,
  persistent: true,
  mandatory: true,
  declare: true,
  onUnknown: 'resend',
  onNack: 'resend',
  delayIn: 'quorum',
  idempotent: false,
  names: 'open',
  onUndecodable: 'reject',
  offset: 'next',
  onError: 'requeue-once',
  then: 'reject',
  delayedRetry: 'failed',
  waitIn: 'classic',
  authErrors: 'terminal',
  wire: true,
  logger: 'silent',
} as const;

/** Says what a value should have been, or nothing if it is fine. */
export type Check = (value: unknown) => string | undefined;
/** One check per option: a new option does not compile until someone decides what is valid. */
export type Shape<T> = { readonly [K in keyof Required<T>]: Check };

/** Node's timers take a signed 32-bit number of ms; beyond it they fire at once. */
export const LONGEST = 2 ** 31 - 1;
/** Seconds. A larger number was most likely meant as milliseconds. */
export const LONGEST_HEARTBEAT = 600;

const expectation =
  (text: string, fits: (value: unknown) => boolean): Check =>
  (value) =>
    fits(value) ? undefined : text;

const isNumber = (value: unknown): value is number => typeof value === 'number' && !Number.isNaN(value);
/** The imported Buffer: the global one is a getter, which costs more than the question. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);

export const integer = (from: number, to: number): Check =>
  expectation(
    `an integer from ${String(from)} to ${String(to)}`,
    (v) => Number.isInteger(v) && (v as number) >= from && (v as number) <= to,
  );
export const countFrom = (from: number): Check =>
  expectation(
    `an integer of at least ${String(from)}, or Infinity`,
    (v) => isNumber(v) && v >= from && (Number.isInteger(v) || v === Infinity),
  );
export const number = (from: number, to: number): Check =>
  expectation(`a number from ${String(from)} to ${String(to)}`, (v) => isNumber(v) && v >= from && v <= to);
export const duration = (from = 0): Check =>
  expectation(
    `a number of milliseconds from ${String(from)} to ${String(LONGEST)}`,
    (v) => isNumber(v) && v >= from && v <= LONGEST,
  );
export const heartbeat: Check = expectation(
  `a whole number of seconds from 0 to ${String(LONGEST_HEARTBEAT)}`,
  (v) => Number.isInteger(v) && (v as number) >= 0 && (v as number) <= LONGEST_HEARTBEAT,
);
export const boolean: Check = expectation('true or false', (v) => typeof v === 'boolean');
export const string: Check = expectation('a string', (v) => typeof v === 'string');
export const oneOf = (...values: readonly string[]): Check =>
  expectation(`one of ${values.map((v) => `'${v}'`).join(', ')}`, (v) => typeof v === 'string' && values.includes(v));
export const object: Check = expectation('an object', isObject);
export const func: Check = expectation('a function', (v) => typeof v === 'function');
export const list: Check = expectation('an array', Array.isArray);
/** What becomes an AMQP timestamp, which counts the seconds since 1970 without a sign. */
export const date: Check = (value) => {
  if (!types.isDate(value) || Number.isNaN(value.getTime())) return 'a valid Date';
  return value.getTime() < 0 ? 'a Date from 1970 on' : undefined;
};
export const observableInput: Check = expectation(
  'an Observable, a Promise or an iterable',
  (v) =>
    isObservable(v) ||
    (typeof v === 'object' &&
      v !== null &&
      (typeof Reflect.get(v, 'then') === 'function' ||
        typeof Reflect.get(v, Symbol.iterator) === 'function' ||
        typeof Reflect.get(v, Symbol.asyncIterator) === 'function')),
);
/** Not by its class: signals come from other realms (jsdom, `vm`), and from polyfills. */
export const abortSignal: Check = expectation(
  'an AbortSignal',
  (v) =>
    typeof v === 'object' &&
    v !== null &&
    typeof Reflect.get(v, 'aborted') === 'boolean' &&
    ['addEventListener', 'removeEventListener'].every((name) => typeof Reflect.get(v, name) === 'function'),
);
/** At most 255 bytes of UTF-8: AMQP's shortstr (https://www.rabbitmq.com/amqp-0-9-1-reference#domain.shortstr). */
export const shortString = (bytes = 255): Check =>
  expectation(
    `a string of at most ${String(bytes)} bytes of UTF-8`,
    // A UTF-16 unit takes three bytes at most: most strings need not be measured.
    (v) => typeof v === 'string' && (v.length * 3 <= bytes || Buffer.byteLength(v) <= bytes),
  );
const short = shortString();
/**
 * The name of a queue or an exchange. RabbitMQ leaves out line breaks when it declares one, and then knows none of the given name
 * (seen on 3.10).
 */
export const entityName: Check = (value) =>
  short(value) ??
  (/[\r\n]/.test(String(value)) ? 'a name without line breaks, which RabbitMQ would leave out' : undefined);
export const codec: Check = expectation(
  'a codec with `contentType`, `encode` and `decode`',
  (v) =>
    isObject(v) &&
    typeof v['contentType'] === 'string' &&
    typeof v['encode'] === 'function' &&
    typeof v['decode'] === 'function',
);
export const either =
  (...checks: readonly Check[]): Check =>
  (value) => {
    const wrong = checks.map((check) => check(value));
    return wrong.includes(undefined) ? undefined : wrong.join(', or ');
  };

/** The value as it may be shown: its text shortened, its type named, long ones counted in bytes. */
function shown(value: unknown): string {
  if (value === null) return '`null`';
  switch (typeof value) {
    case 'string': {
      const bytes = Buffer.byteLength(value);
      return bytes > 60 ? `a string of ${String(bytes)} bytes` : `\`${value}\` (string)`;
    }
    case 'number':
    case 'boolean':
    case 'bigint':
      return `\`${String(value)}\` (${typeof value})`;
    case 'object':
      return Array.isArray(value) ? 'an array' : 'an object';
    case 'undefined':
      return 'nothing';
    default:
      return `a ${typeof value}`;
  }
}

/** The same without the value itself. */
function kindOf(value: unknown): string {
  const type = typeof value;
  return type === 'string' || type === 'number' || type === 'boolean' || type === 'bigint' ? `a ${type}` : shown(value);
}

/** Every refusal has the same sentence. Of a `secret` only the kind is shown. */
export function expected(option: string, what: string, value: unknown, secret = false): OptionsError {
  return new OptionsError(
    option,
    `Expected \`${option}\` to be ${what}, got ${secret ? kindOf(value) : shown(value)}.`,
  );
}

/** To be called before options are merged with others: spread, a string or a number would look like an object. @throws OptionsError */
export function checkIsOptions(given: unknown, of: string, name = 'options', secret = false): void {
  if (!isObject(given)) throw expected(name, `an object with the options of ${of}`, given, secret);
}

/**
 * Refuses unknown and wrong options with a sentence; `undefined` counts as not given. `path` leads nested names. With `secret`
 * no value is shown.
 */
export function checkOptions<T extends object>(
  given: T,
  shape: Shape<T>,
  {
    of,
    path = '',
    required = [],
    secret = false,
  }: {
    readonly of: string;
    readonly path?: string;
    readonly required?: readonly (keyof T & string)[];
    readonly secret?: boolean;
  },
): void {
  checkIsOptions(given, of, path === '' ? 'options' : path.slice(0, -1), secret);
  const checks = shape as Readonly<Record<string, Check>>;
  for (const name of Object.keys(given)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (!check) {
      const known = Object.keys(checks);
      throw new OptionsError(
        `${path}${name}`,
        `Unknown option \`${path}${name}\` for ${of}.${suggestion(name, known)} Known options: ${known.join(', ')}.`,
      );
    }
    const value: unknown = given[name as keyof T];
    if (value === undefined) continue;
    const wrong = check(value);
    if (wrong !== undefined) throw expected(`${path}${name}`, wrong, value, secret);
  }
  for (const name of required) {
    if (given[name] === undefined) {
      throw expected(`${path}${name}`, checks[name]?.(undefined) ?? 'given', undefined);
    }
  }
}

function suggestion(name: string, known: readonly string[]): string {
  const meant = near(name, known);
  return meant === undefined ? '' : ` Did you mean \`${meant}\`?`;
}

/** The known name that differs in the fewest letters, and in `atMost` letters; for "did you mean". */
export function near(name: string, known: Iterable<string>, atMost = 2): string | undefined {
  let best: string | undefined;
  let least = atMost + 1;
  for (const other of known) {
    const letters = other.toLowerCase() === name.toLowerCase() ? 0 : distance(other, name, atMost);
    if (letters < least) [best, least] = [other, letters];
  }
  return best;
}

/**
 * Letters to add, leave out, replace or swap with their neighbour (optimal string alignment); Infinity as soon as they are more
 * than `atMost`.
 */
function distance(a: string, b: string, atMost: number): number {
  if (Math.abs(a.length - b.length) > atMost) return Infinity;
  let before: readonly number[] = [];
  let row: readonly number[] = Array.from({ length: atMost + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next: number[] = [];
    let least = Infinity;
    // Further from the diagonal there are more.
    for (let j = Math.max(0, i - atMost); j <= Math.min(b.length, i + atMost); j++) {
      const replaced = (row[j - 1] ?? Infinity) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swaps = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = swaps ? (before[j - 2] ?? Infinity) + 1 : Infinity;
      const left = (row[j] ?? Infinity) + 1;
      const added = (next[j - 1] ?? Infinity) + 1;
      next[j] = Math.min(left, added, replaced, swapped);
      least = Math.min(least, next[j] ?? Infinity);
    }
    // A swap reaches back two rows.
    if (least > atMost + 1) return Infinity;
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}

/** `given` over `defaults`; an explicit `undefined` does not erase a default. */
export function withDefaults<D extends object, G extends object>(defaults: D, given: G | undefined): D & Defined<G> {
  const set = Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined));
  return { ...defaults, ...set } as D & Defined<G>;
}
type Defined<G> = { [K in keyof G]: Exclude<G[K], undefined> };
