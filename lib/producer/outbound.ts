import type { Options } from 'amqplib';
import { randomUUID } from 'node:crypto';
import { contentTypeOf, type Codec } from '../codec';
import { PublishError, sentenceOf } from '../errors';
import { boolean, checkOptions, date, integer, isObject, number, object, shortString, type Shape } from '../options';
import { toAmqp, type MessageProperties, type Route } from '../properties';
import { checkRoute } from '../topology';
import { tableSize } from './table-size';

/** A message on its way out: where it goes, what it says, its properties. */
export type OutboundMessage<T = unknown> = Route &
  Partial<MessageProperties> & {
    readonly body: T;
    /** Survives a restart of the broker, in a durable queue. @default true */
    readonly persistent?: boolean;
    /** Comes back (PUBLISH_RETURNED) if no queue takes it. @default true */
    readonly mandatory?: boolean;
  };

const MESSAGE: Shape<
  Omit<MessageProperties, never> & {
    queue: string;
    exchange: string;
    routingKey: string;
    body: unknown;
    persistent: boolean;
    mandatory: boolean;
  }
> = {
  queue: shortString(),
  exchange: shortString(),
  routingKey: shortString(),
  body: () => undefined,
  persistent: boolean,
  mandatory: boolean,
  messageId: shortString(),
  correlationId: shortString(),
  replyTo: shortString(),
  type: shortString(),
  appId: shortString(),
  userId: shortString(),
  contentType: shortString(),
  contentEncoding: shortString(),
  timestamp: date,
  expiration: number(0, 2 ** 32 - 1),
  priority: integer(0, 255),
  headers: object,
};

/** amqplib encodes headers into a buffer of this size. */
const HEADERS = 65_536;
/** Class, weight, body size, flags, and the frame around them. */
const PROPERTIES_FRAME = 22;

/** A message encoded, checked, and ready for the wire. */
export interface Encoded {
  readonly messageId: string;
  readonly exchange: string;
  readonly routingKey: string;
  /** The queue to be ensured, for a route that names one. */
  readonly queue: string | undefined;
  /** Let go of once the message is settled. */
  content: Buffer;
  readonly options: Options.Publish;
  /** ms */
  readonly expiration: number | undefined;
  /** Bytes of the properties frame, which is never split. */
  readonly propertiesFrame: number;
  /** Bytes held while it waits: content and properties. */
  readonly bytes: number;
}

/** The id a message was given, whatever else is wrong with it. */
export function givenId(message: unknown): string | undefined {
  return isObject(message) && typeof message['messageId'] === 'string' ? message['messageId'] : undefined;
}

/**
 * Checks and encodes. Everything that would close the channel or the connection, and can be known here, is refused here.
 * @throws PublishError PUBLISH_INVALID
 */
export function encode<T>(
  message: OutboundMessage<T>,
  codec: Codec<T>,
  defaults: { readonly persistent: boolean; readonly mandatory: boolean },
): Encoded {
  const messageId = givenId(message) ?? randomUUID();
  const invalid = (cause: unknown, what: string): PublishError => {
    return new PublishError('PUBLISH_INVALID', messageId.slice(0, 255), `${what}: ${sentenceOf(cause)}`, { cause });
  };
  const attempt = <R>(what: string, step: () => R): R => {
    try {
      return step();
    } catch (cause) {
      throw invalid(cause, what);
    }
  };

  const { queue, exchange, routingKey, body, persistent, mandatory, ...properties } = attempt(
    'This message cannot be sent',
    () => {
      // A body in the place of the message is named by its type alone: no body is in a sentence.
      if (!isObject(message))
        throw new TypeError(
          `Expected an object with a route and a \`body\`, got ${Array.isArray(message) ? 'an array' : typeof message}.`,
        );
      checkOptions(message as object, MESSAGE as Shape<object>, { of: 'a message' });
      checkRoute({ queue: message.queue, exchange: message.exchange, routingKey: message.routingKey }, 'message');
      return message;
    },
  );
  if (queue === '') throw invalid('a queue route needs the name of a queue', 'This message cannot be sent');
  const headers = attempt('The headers of this message cannot be sent', () => {
    const size = properties.headers ? tableSize(properties.headers) : 4;
    if (size > HEADERS)
      throw new RangeError(
        `they take ${String(size)} bytes, at most ${String(HEADERS)} fit. Put large data into the body.`,
      );
    return size;
  });
  // The codec's own error may quote the body: it is the cause, and not in the sentence.
  let content: Buffer;
  try {
    content = codec.encode(body);
    if (!Buffer.isBuffer(content)) throw new TypeError('`encode` returned no Buffer.');
  } catch (cause) {
    throw new PublishError(
      'PUBLISH_INVALID',
      messageId,
      'The codec cannot encode the body of this message (see `cause`).',
      { cause },
    );
  }

  const contentType = properties.contentType ?? contentTypeOf(codec, body);
  // The caller may go on to change its headers while the message waits.
  const copy = properties.headers && { headers: { ...properties.headers } };
  const all = { ...properties, ...copy, ...(contentType !== undefined && { contentType }), messageId };
  const options = toAmqp({
    ...all,
    persistent: persistent ?? defaults.persistent,
    mandatory: mandatory ?? defaults.mandatory,
  });
  const strings = Object.values(options).reduce(
    (sum: number, v) => sum + (typeof v === 'string' ? 1 + Buffer.byteLength(v) : 0),
    0,
  );
  const propertiesFrame = PROPERTIES_FRAME + headers + strings + 10;
  return {
    messageId,
    exchange: exchange ?? '',
    routingKey: queue ?? routingKey ?? '',
    queue,
    content,
    options,
    expiration: properties.expiration,
    propertiesFrame,
    bytes: content.length + propertiesFrame,
  };
}
