import { types } from 'node:util';
import { OptionsError } from '../../errors';
import { intervalOf, type Interval } from '../../interval';
import { DEFAULTS, date, expected, integer, isObject, oneOf, type Check } from '../../options';
import type { Arguments } from '../../properties';
import { queueTypeOf, type QueueSpec } from '../../topology';

/**
 * Where to start in a stream: its first message, its last chunk, the next message to be published, an offset, a time, or
 * an interval before now such as `'7D'`.
 */
export type StreamStart = 'first' | 'last' | 'next' | number | Date | Interval;

/** The argument of `basic.consume`, and the header of each message. https://www.rabbitmq.com/docs/streams#consuming */
export const STREAM_OFFSET = 'x-stream-offset';

const SECOND = 1000;

const named = oneOf('first', 'last', 'next');
const position = integer(0, Number.MAX_SAFE_INTEGER);

const isStart = (value: unknown): value is StreamStart =>
  [named, position, date].some((check) => check(value) === undefined) || intervalOf(value) !== undefined;

const WANTED =
  "'first', 'last', 'next', an offset (an integer from 0), a valid Date, or an interval: a whole number and one of Y, M, D, h, m and s, such as '7D'";

/** The check of the option `offset`. */
export const streamStart: Check = (value) => (isStart(value) ? undefined : WANTED);

interface Given {
  readonly offset?: StreamStart;
  readonly onOffset?: (offset: number) => void;
  readonly filter?: unknown;
  readonly onUndecodable?: 'reject' | 'requeue';
  readonly arguments?: Arguments;
}

/**
 * Decides whether the queue is a stream, and then where to start in it. The start may also come as an argument of
 * `basic.consume`; the result holds it as `offset`, and the other arguments. @throws OptionsError
 */
export function resolveStart(
  given: Given,
  {
    queueName,
    spec,
    noAck,
  }: { readonly queueName: string; readonly spec: QueueSpec | undefined; readonly noAck: boolean },
): Pick<Given, 'offset' | 'arguments'> {
  const { [STREAM_OFFSET]: argument, ...others } = given.arguments ?? {};
  if (argument !== undefined && given.offset !== undefined) {
    const message = `Expected the start in stream \`${queueName}\` once: either \`offset\` or \`${STREAM_OFFSET}\` in \`arguments\`, got both.`;
    throw new OptionsError('arguments', message);
  }
  const wanted =
    given.offset !== undefined
      ? 'offset'
      : given.onOffset !== undefined
        ? 'onOffset'
        : given.filter !== undefined
          ? 'filter'
          : argument !== undefined
            ? 'arguments'
            : undefined;
  const type = spec && queueTypeOf(spec);
  const refuse = (option: string, sentence: string): never => {
    throw new OptionsError(option, `Queue \`${queueName}\`: ${sentence}`);
  };
  if (wanted === undefined) {
    if (type !== 'stream') return {};
  } else if (type !== undefined && type !== 'stream') {
    const what = wanted === 'arguments' ? STREAM_OFFSET : wanted;
    refuse(wanted, `\`${what}\` is for streams, and the spec says that it is a ${type} queue.`);
  }
  if (noAck) refuse('noAck', 'RabbitMQ does not deliver from a stream without acks.');
  if (given.onUndecodable === 'requeue') {
    refuse('onUndecodable', 'a message of a stream that cannot be decoded would be read again for ever.');
  }
  if (argument === undefined) return { offset: given.offset ?? DEFAULTS.offset };
  return { offset: startFrom(argument), arguments: others };
}

/** The start out of the argument of `basic.consume`. @throws OptionsError */
function startFrom(argument: unknown): StreamStart {
  // amqplib's form of a timestamp, in seconds.
  const seconds: unknown = isObject(argument) && argument['!'] === 'timestamp' ? argument['value'] : undefined;
  const start = typeof seconds === 'number' ? new Date(seconds * SECOND) : argument;
  if (isStart(start)) return start;
  throw expected(`arguments.${STREAM_OFFSET}`, WANTED, argument);
}

/** The argument of `basic.consume`. RabbitMQ's timestamps are in seconds. */
export const startArgument = (start: StreamStart): Arguments => ({
  [STREAM_OFFSET]: types.isDate(start) ? { '!': 'timestamp', value: Math.floor(start.getTime() / SECOND) } : start,
});
