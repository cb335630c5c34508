import { OptionsError } from '../../errors';
import { DEFAULTS, date, either, integer, oneOf, type Check } from '../../options';
import type { QueueSpec } from '../../topology';
import type { ResolvedConsumeOptions } from '../consume-options';

export const streamStart: Check = either(oneOf('first', 'last', 'next'), integer(0, Number.MAX_SAFE_INTEGER), date);

/** Decides where to begin in a stream, if it is one, and refuses what streams cannot do. @throws OptionsError */
export function streamOptions(
  given: Pick<Partial<ResolvedConsumeOptions<never>>, 'offset' | 'onOffset' | 'onUndecodable'> & {
    readonly queue: unknown;
  },
  { queueName, spec, noAck }: Pick<ResolvedConsumeOptions<never>, 'queueName' | 'spec' | 'noAck'>,
): Pick<ResolvedConsumeOptions<never>, 'offset'> {
  const wanted = given.offset !== undefined ? 'offset' : given.onOffset !== undefined ? 'onOffset' : undefined;
  const type = spec && typeOf(spec);
  if (wanted === undefined && type !== 'stream') return {};
  const refuse = (option: string, sentence: string): never => {
    throw new OptionsError(option, `Queue \`${queueName}\`: ${sentence}`);
  };
  if (wanted !== undefined && type !== undefined && type !== 'stream') {
    refuse(wanted, `\`${wanted}\` is for streams, and its spec says that it is a ${type} queue.`);
  }
  if (noAck) refuse('noAck', 'a stream is read with acks: RabbitMQ refuses `noAck` there.');
  if (given.onUndecodable === 'requeue') {
    refuse('onUndecodable', 'in a stream a message that cannot be decoded would come again without an end.');
  }
  return { offset: given.offset ?? DEFAULTS.offset };
}

function typeOf({ type, arguments: args = {} }: QueueSpec): string | undefined {
  const told: unknown = type ?? args['x-queue-type'];
  return typeof told === 'string' ? told : undefined;
}
