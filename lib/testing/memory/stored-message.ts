import type { Message as AmqpMessage, MessageProperties as AmqpProperties, Options } from 'amqplib';
import { auto } from '../../codec';
import { fromAmqp, type Arguments, type MessageProperties } from '../../properties';
import { copyOfTable } from './field-table';

/** A message at the broker. */
export interface StoredMessage {
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly properties: AmqpProperties;
}

/** A message as a test looks at it. */
export interface BrokerMessage {
  /** What the default codec makes of the content; undefined, if it can make nothing of it. */
  readonly body: unknown;
  readonly content: Buffer;
  /** Where it was published to. */
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: MessageProperties;
}

/** As a publish brings it; nothing of it is the publisher's any more. */
export function stored(exchange: string, routingKey: string, content: Buffer, given: Options.Publish): StoredMessage {
  const headers = given.headers === undefined ? undefined : copyOfTable(given.headers as Arguments);
  return {
    exchange,
    routingKey,
    content: Buffer.from(content),
    properties: {
      contentType: given.contentType,
      contentEncoding: given.contentEncoding,
      headers,
      deliveryMode: given.persistent === true ? 2 : given.deliveryMode === undefined ? 1 : Number(given.deliveryMode),
      priority: given.priority,
      correlationId: given.correlationId,
      replyTo: given.replyTo,
      expiration: given.expiration === undefined ? undefined : String(given.expiration),
      messageId: given.messageId,
      timestamp: given.timestamp,
      type: given.type,
      userId: given.userId,
      appId: given.appId,
      clusterId: undefined,
    },
  };
}

/** As amqplib hands it out. */
export function toAmqplib<F extends object>({ content, exchange, routingKey, properties }: StoredMessage, fields: F) {
  const headers = properties.headers as Arguments | undefined;
  return {
    content: Buffer.from(content),
    properties: { ...properties, headers: headers && copyOfTable(headers) },
    fields: { exchange, routingKey, ...fields },
  } satisfies Omit<AmqpMessage, 'fields'> & { fields: F };
}

/** As a test looks at it. */
export function seen({ content, exchange, routingKey, properties }: StoredMessage): BrokerMessage {
  const told = fromAmqp(properties);
  return { body: bodyOf(content, told), content, exchange, routingKey, properties: told };
}

function bodyOf(content: Buffer, properties: MessageProperties): unknown {
  try {
    return auto.decode(content, properties);
  } catch {
    return undefined;
  }
}
