import { auto } from '../../codec';
import type { Arguments, MessageProperties } from '../../properties';
import type { InboundMessage } from '../../transport/transport';
import { copyOfTable } from './field-table';

/** A message at the broker. */
export interface StoredMessage {
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly properties: MessageProperties & { readonly headers: Arguments };
  /** A classic queue does not keep it over a restart of the broker. */
  readonly transient?: boolean;
}

/** A message in a queue, or out to a consumer of it. */
export interface QueuedMessage {
  readonly message: StoredMessage;
  /** Its priority, as far as the queue counts; Infinity: it has come back to a quorum queue. */
  readonly rank: number;
  /** Its place among those of the same rank. */
  readonly order: number;
  /** By `performance.now()`. */
  readonly expiresAt: number;
  redelivered: boolean;
  /** Deliveries that failed. */
  failures: number;
}

/** A message as a test looks at it. */
export interface BrokerMessage {
  /** What the default codec makes of the content; undefined if it cannot decode it. */
  readonly body: unknown;
  readonly content: Buffer;
  /** Where it was published to. */
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: MessageProperties;
}

/** A published message. It shares nothing with its publisher: bytes and headers are copies. */
export function stored(
  exchange: string,
  routingKey: string,
  content: Buffer,
  given: { readonly [K in keyof MessageProperties]: MessageProperties[K] | undefined },
  persistent = true,
): StoredMessage {
  const properties: Record<string, unknown> = {};
  for (const name of PROPERTIES) if (given[name] !== undefined) properties[name] = given[name];
  const { timestamp, expiration, headers = {} } = given;
  // Whole seconds and whole ms, as on the wire.
  if (timestamp) properties['timestamp'] = new Date(Math.floor(timestamp.getTime() / 1000) * 1000);
  if (expiration !== undefined) properties['expiration'] = Math.floor(expiration);
  // AMQP clients write an empty table where there are no headers, and that is what consumers read.
  const table = copyOfTable(headers);
  const message = {
    exchange,
    routingKey,
    content: Buffer.from(content),
    properties: { ...properties, headers: table },
  };
  return persistent ? message : { ...message, transient: true };
}

/** A new property does not compile until it is here. */
const PROPERTIES = Object.keys({
  messageId: true,
  correlationId: true,
  replyTo: true,
  type: true,
  appId: true,
  userId: true,
  contentType: true,
  contentEncoding: true,
  timestamp: true,
  expiration: true,
  priority: true,
  headers: true,
} satisfies Record<keyof MessageProperties, true>) as readonly (keyof MessageProperties)[];

/** The message as a channel hands it out. */
export function delivered(message: StoredMessage, deliveryTag: number, redelivered: boolean): InboundMessage {
  const { exchange, routingKey, content, properties } = message;
  const headers = copyOfTable(properties.headers);
  return {
    content: Buffer.from(content),
    deliveryTag,
    redelivered,
    exchange,
    routingKey,
    contentType: properties.contentType,
    contentEncoding: properties.contentEncoding,
    headers: Object.keys(headers).length > 0 ? headers : undefined,
    properties: { ...properties, headers },
    unreadable: undefined,
  };
}

/** The message as a test looks at it. */
export function seen({ content, exchange, routingKey, properties }: StoredMessage): BrokerMessage {
  return { body: bodyOf(content, properties), content, exchange, routingKey, properties };
}

function bodyOf(content: Buffer, properties: MessageProperties): unknown {
  try {
    return auto.decode(content, properties);
  } catch {
    return undefined;
  }
}
