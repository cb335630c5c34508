import { type LevelWithSilent, type Logger as PinoLogger, pino } from 'pino';
import { isError } from './errors';
import { type Check, DEFAULTS } from './options';

type Level = 'debug' | 'info' | 'warn' | 'error';
type Fields = Readonly<Record<string, unknown>>;

/** One line of the log. */
export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Constant: what happened. What it happened to is in `fields`. */
  readonly message: string;
  /** Facts: `connection`, `queue`, `epoch`, …; `err` is an error as plain data, which JSON can hold. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A logger that takes the fields first: pino, bunyan, and what is made like them. It has a `child` method and no `log`. */
export interface FieldsLogger extends Record<
  'debug' | 'info' | 'warn' | 'error',
  (fields: object, message: string) => void
> {
  /** A logger that writes `bindings` in each line. */
  child(bindings: object): unknown;
}

/** A logger that takes the message first: `console`, winston, Nest's `Logger` (which calls its `info` `log`). */
export type MessageLogger = Record<'debug' | 'warn' | 'error', (message: string, fields: object) => void> &
  (
    | {
        /** Writes a line at level `info`. */
        readonly info: (message: string, fields: object) => void;
        readonly log?: unknown;
      }
    | {
        /** Writes a line at level `info`. */
        readonly log: (message: string, fields: object) => void;
        readonly info?: unknown;
      }
  );

/**
 * Where the log goes: a level, for JSON lines on standard output; or a logger of the caller, which is called in its own
 * way and decides itself which levels it writes; or a function.
 */
export type LoggerOption = LevelWithSilent | PinoLogger | FieldsLogger | MessageLogger | ((entry: LogEntry) => void);

/** What the library logs with. */
export type Logger = Readonly<Record<Level, Line>>;
interface Line {
  (message: string): void;
  (fields: object, message: string): void;
}

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** The named method of an object or a function, bound to it. */
function method(of: unknown, name: string): ((...args: readonly unknown[]) => unknown) | undefined {
  if ((typeof of !== 'object' && typeof of !== 'function') || of === null) return undefined;
  const found: unknown = Reflect.get(of, name);
  return typeof found === 'function' ? (...args) => Reflect.apply(found, of, args) as unknown : undefined;
}

const has = (value: unknown, ...names: readonly string[]): boolean => names.every((name) => method(value, name));
const isLogger = (value: unknown): boolean =>
  has(value, 'debug', 'warn', 'error') && (has(value, 'info') || has(value, 'log'));
/** winston has `child`, too, and `log`; pino can be given a level named `log`, but has `bindings`. */
const takesFieldsFirst = (value: unknown): boolean =>
  has(value, 'child', 'info') && (has(value, 'bindings') || !has(value, 'log'));

export const logger: Check = (value) =>
  (typeof value === 'string' ? LEVELS.includes(value) : typeof value === 'function' || isLogger(value))
    ? undefined
    : `one of ${LEVELS.join(', ')}, a logger with debug, info (or log), warn and error, or a function`;

/** Writes one line somewhere. */
type Sink = (level: Level, message: string, fields: Fields) => unknown;

/** The logger that everything below writes to, with `bindings` in each line. */
export function loggerFrom(option: LoggerOption | undefined, bindings: Fields): Logger {
  const given = option ?? DEFAULTS.logger;
  if (given === 'silent') return SILENT;
  const sink = sinkOf(typeof given === 'string' ? pino({ name: 'instance-queue', level: given }) : given, bindings);
  const line = (level: Level): Line => {
    return (first: string | object, message?: string) => {
      const [fields, text] = typeof first === 'string' ? [{}, first] : [first, message ?? ''];
      harmlessly(() => sink(level, text, { ...fields }));
    };
  };
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}

const nothing = (): void => undefined;
const SILENT: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** A logger that throws, or rejects, is no reason for a connection to fail. */
function harmlessly(write: () => unknown): void {
  try {
    void method(write(), 'catch')?.(nothing);
  } catch {
    // There is nowhere left to write it.
  }
}

function sinkOf(given: Exclude<LoggerOption, string>, bindings: Fields): Sink {
  if (!isLogger(given)) {
    const tell = given as (entry: LogEntry) => unknown;
    return (level, message, fields) => tell({ level, message, fields: asData({ ...bindings, ...fields }) });
  }
  if (takesFieldsFirst(given)) {
    const made = method(given, 'child')?.({ ...bindings });
    const [target, more] = isLogger(made) ? [made, undefined] : [given, bindings];
    const prepare = serializesErrors(target) ? (fields: Fields) => fields : asData;
    return (level, message, fields) => method(target, level)?.(prepare({ ...more, ...fields }), message);
  }
  return (level, message, fields) => {
    const write = method(given, level) ?? method(given, 'log');
    return write?.(message, asData({ ...bindings, ...fields }));
  };
}

/** pino does, under `err`; bunyan if it is asked to. Other loggers write `{}`, or what is enumerable. */
const serializesErrors = (target: unknown): boolean =>
  has(target, 'bindings') ||
  (typeof target === 'object' && target !== null && 'serializers' in target && has(target.serializers, 'err'));

const asData = (fields: Fields): Fields => ('err' in fields ? { ...fields, err: plainError(fields['err']) } : fields);

/** Causes of causes beyond this are left out. */
const DEEPEST = 5;

/**
 * An error as plain data, for loggers that would write it as `{}`: its name, message and stack, those of its own fields
 * that are strings, numbers or booleans, and its causes as far as they are errors. Anything else stays what it is.
 */
function plainError(error: unknown, depth = 0): unknown {
  if (!isError(error)) return error;
  const { name, message, stack, cause } = error;
  const own = Object.entries(error).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value));
  const errors: unknown = Reflect.get(error, 'errors');
  return {
    name,
    message,
    ...Object.fromEntries(own),
    stack,
    ...(isError(cause) && depth < DEEPEST && { cause: plainError(cause, depth + 1) }),
    ...(Array.isArray(errors) &&
      depth < DEEPEST && { errors: errors.filter(isError).map((one) => plainError(one, depth + 1)) }),
  };
}
