import { pino, type LevelWithSilent, type Logger } from 'pino';
import { DEFAULTS, isObject, type Check } from './options';

/** A pino logger of yours, a level for one of ours (JSON lines to standard output), or nothing: silence. */
export type LoggerOption = Logger | LevelWithSilent;
export type { Logger };

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

export const logger: Check = (value) =>
  (typeof value === 'string' && LEVELS.includes(value)) ||
  (isObject(value) && ['child', 'debug', 'info', 'warn', 'error'].every((name) => typeof value[name] === 'function'))
    ? undefined
    : `a pino logger or one of ${LEVELS.join(', ')}`;

/** The logger everything below writes to, with `bindings` in each line. */
export function loggerFrom(option: LoggerOption | undefined, bindings: Readonly<Record<string, unknown>>): Logger {
  const given = option ?? DEFAULTS.logger;
  const root = typeof given === 'string' ? pino({ name: 'instance-queue', level: given }) : given;
  return root.child({ ...bindings });
}
