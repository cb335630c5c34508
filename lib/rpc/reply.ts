import type { Codec } from '../codec';
import { ArrivedMessage, type Message } from '../consumer/delivery';
import { ConsumerError, PublishError } from '../errors';
import { OWN } from '../own-headers';
import type { InboundMessage } from '../transport/transport';

/** RabbitMQ's direct reply-to: no queue, but the channel itself. https://www.rabbitmq.com/docs/direct-reply-to */
export const REPLY_TO = 'amq.rabbitmq.reply-to';

/**
 * What a reply says. @throws PublishError REPLY_ERROR, when the responder says that its work failed; ConsumerError
 * UNDECODABLE
 */
export function readReply<Res>(raw: InboundMessage, codec: Codec<Res, never>, messageId: string): Message<Res> {
  const { properties } = raw;
  const { headers = {} } = properties;
  if (Object.hasOwn(headers, OWN.errorMessage)) throw failed(headers, messageId);
  let body: Res;
  try {
    body = codec.decode(raw.content, properties);
  } catch (cause) {
    const sentence = `Cannot decode the reply to request ${messageId} (content type ${properties.contentType ?? 'none'}, ${String(raw.content.length)} bytes).`;
    throw new ConsumerError('UNDECODABLE', REPLY_TO, sentence, { cause });
  }
  return new ArrivedMessage(raw, REPLY_TO, body);
}

function failed(headers: Readonly<Record<string, unknown>>, messageId: string): PublishError {
  const cause = new Error(told(headers[OWN.errorMessage]));
  cause.name = told(headers[OWN.errorName]) || 'Error';
  const sentence = `The responder could not do the work: ${cause.name}${cause.message ? `: ${cause.message}` : ''}`;
  return new PublishError('REPLY_ERROR', messageId, sentence, { cause, maybeDelivered: true });
}

const told = (value: unknown): string => (typeof value === 'string' ? value : '');
