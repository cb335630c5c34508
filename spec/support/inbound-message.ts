import type { InboundMessage } from '../../lib/transport/transport';

/** Everything an application can see of a message, as plain data to compare. */
export function seenOf(message: InboundMessage): object {
  const { deliveryTag, redelivered, exchange, routingKey, contentType, contentEncoding, headers, properties } = message;
  const content = message.content.toString('latin1');
  return {
    deliveryTag,
    redelivered,
    exchange,
    routingKey,
    contentType,
    contentEncoding,
    // An empty table and none are the same to an application.
    headers: { ...headers },
    properties,
    content,
  };
}
