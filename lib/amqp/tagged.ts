import type { Message as AmqpMessage } from 'amqplib';

const NOTHING = Buffer.alloc(0);
const NO_PROPERTIES: AmqpMessage['properties'] = Object.freeze({
  contentType: undefined,
  contentEncoding: undefined,
  headers: undefined,
  deliveryMode: undefined,
  priority: undefined,
  correlationId: undefined,
  replyTo: undefined,
  expiration: undefined,
  messageId: undefined,
  timestamp: undefined,
  type: undefined,
  userId: undefined,
  appId: undefined,
  clusterId: undefined,
});

/** amqplib settles by message, of which it reads the tag. */
export const tagged = (deliveryTag: number): AmqpMessage => ({
  content: NOTHING,
  properties: NO_PROPERTIES,
  fields: { deliveryTag, redelivered: false, exchange: '', routingKey: '' },
});
