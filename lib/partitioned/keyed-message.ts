import type { Codec } from '../codec';
import { expected, isObject, withDefaults } from '../options';
import { invalid, packedBody } from '../producer/encoded-message';
import { givenId, newMessageId, type OutboundMessage, wholeCopy } from '../producer/outbound-message';

/** A message to a partitioned queue: a key instead of a route. */
export type KeyedMessage<T = unknown> = Omit<
  OutboundMessage<T>,
  'queue' | 'exchange' | 'routingKey' | 'streamFilter' | 'mandatory' | 'delay' | 'at'
> & {
  /** Messages of the same key keep their order. It decides about the partition and is not sent: a consumer that needs it finds it in the body. */
  readonly key: string;
};

/** What a message with a key cannot have: a route of its own, or a delay, after which its partition may be another one. */
const NOT_KEYED = ['queue', 'exchange', 'routingKey', 'streamFilter', 'mandatory', 'delay', 'at'] as const;

/** A message as it was when it was sent, whatever its sender makes of it while it waits. */
export interface Taken {
  readonly key: string;
  /** All that it says beside its key; its body as bytes. */
  readonly said: Omit<KeyedMessage<Buffer>, 'key'>;
}

/** @throws OptionsError; PublishError PUBLISH_INVALID if its body cannot be written, or one of its getters throws */
export function take<T>(given: KeyedMessage<T>, codec: Codec<unknown, T>): Taken {
  const message: unknown = given;
  if (!isObject(message)) throw expected('message', 'an object with a `key` and a `body`', message);
  let key: unknown;
  let rest: Omit<KeyedMessage<T>, 'key'> | undefined;
  try {
    ({ key } = message);
    // Most messages have no properties, and what a rest pattern leaves is slow to read.
    if (!saysNoMore(message)) {
      const { key: _, ...others } = wholeCopy(given);
      rest = others;
    }
  } catch (cause) {
    throw invalid(givenId(given) ?? newMessageId(), 'This message cannot be sent', cause);
  }
  if (typeof key !== 'string') throw expected('key', 'a string', key);
  const unfit = rest && NOT_KEYED.find((name) => Reflect.get(rest, name) !== undefined);
  if (rest && unfit !== undefined) throw expected(unfit, 'absent in a message with a key', Reflect.get(rest, unfit));
  const { content: body, contentType, contentEncoding } = packedBody(codec, rest ?? given);
  if (!rest) return { key, said: contentType === undefined ? { body } : { body, contentType } };
  return { key, said: withDefaults({ ...rest, body }, { contentType, contentEncoding }) };
}

function saysNoMore(message: object): boolean {
  // Getters of a class are not listed.
  if (Object.getPrototypeOf(message) !== Object.prototype) return false;
  for (const property in message) if (property !== 'key' && property !== 'body') return false;
  return true;
}
