import { Logger } from '@nestjs/common';
import type { LogEntry } from '../log';

/**
 * Writes the log of an InstanceQueue with Nest's `Logger`: the message and its facts in one line, the stack of an error
 * behind it. The module uses it unless its options name another logger.
 *
 * @example
 * const queue = new InstanceQueue({ url: 'amqp://localhost', logger: nestLogger('Orders') });
 */
export function nestLogger(context = 'InstanceQueue'): (entry: LogEntry) => void {
  const logger = new Logger(context);
  return ({ level, message, fields: { err, ...facts } }) => {
    const line = [message, ...Object.entries(facts).map(fact), ...sentence(err)].join(' ');
    if (level === 'error') logger.error(line, ...stack(err));
    else if (level === 'info') logger.log(line);
    else logger[level](line);
  };
}

const fact = ([name, value]: [string, unknown]): string =>
  `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`;

const member = (of: unknown, name: string): readonly string[] => {
  const value: unknown = typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined;
  return typeof value === 'string' ? [value] : [];
};
const sentence = (err: unknown): readonly string[] => member(err, 'message').map((text) => `(${text})`);
const stack = (err: unknown): readonly string[] => member(err, 'stack');
