import type { Codec } from '../codec';
import { ArrivedMessage, type Message } from '../consumer/delivery';
import { ConsumerError, PublishError } from '../errors';
import { OWN } from '../own-headers';
import type { InboundMessage } from '../transport/transport';

/** The pseudo-queue of direct reply-to: it stands for the channel itself. https://www.rabbitmq.com/docs/direct-reply-to */
export const REPLY_TO = 'amq.rabbitmq.reply-to';

/**
 * The message that a reply holds. @throws PublishError REPLY_ERROR if the reply says that the work failed; ConsumerError UNDECODABLE
 */
export function readReply<Res>(reply: InboundMessage, codec: Codec<Res, never>, messageId: string): Message<Res> {
  const { properties } = reply;
  const { headers = {} } = properties;
  if (Object.hasOwn(headers, OWN.errorMessage)) throw failed(headers, messageId);
  let body: Res;
  try {
    body = codec.decode(reply.content, properties);
  } catch (cause) {
    const sentence = `Cannot decode the reply to request ${messageId} (content type ${properties.contentType ?? 'none'}, ${String(reply.content.length)} bytes).`;
    throw new ConsumerError('UNDECODABLE', REPLY_TO, sentence, { cause });
  }
  return new ArrivedMessage(reply, REPLY_TO, body);
}

function failed(headers: Readonly<Record<string, unknown>>, messageId: string): PublishError {
  const cause = new Error(text(headers[OWN.errorMessage]));
  cause.name = text(headers[OWN.errorName]) || 'Error';
  const sentence = `The responder could not do the work: ${cause.name}${cause.message ? `: ${cause.message}` : ''}`;
  return new PublishError('REPLY_ERROR', messageId, sentence, { cause, maybeDelivered: true });
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
