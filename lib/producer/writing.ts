import { PublishError, isError, sentenceOf } from '../errors';
import type { Entry } from './entry';
import type { Session } from './session';

/** `closing`: nothing was written, the channel is about to be gone. An error: this message can never be sent as it is. */
export type Written = 'written' | 'closing' | PublishError;

/** Hands one message to amqplib. */
export function write(session: Session, entry: Entry): Written {
  const { messageId, exchange, routingKey, content, options, propertiesFrame } = entry.message;
  const { remaining, maybeDelivered } = entry;
  const { frameMax } = session.open.link;
  if (remaining !== undefined && remaining <= 0) {
    const message = 'The message expired (`expiration`) before it could be sent.';
    return new PublishError('PUBLISH_TIMEOUT', messageId, message, { maybeDelivered });
  }
  if (propertiesFrame > frameMax) {
    const message = `The properties of this message take ${String(propertiesFrame)} bytes; the broker takes frames of ${String(frameMax)}. Put large headers into the body.`;
    return new PublishError('PUBLISH_INVALID', messageId, message, { maybeDelivered });
  }
  const left = remaining === undefined ? options : { ...options, expiration: String(Math.ceil(remaining)) };
  try {
    session.writable = session.open.channel.publish(exchange, routingKey, content, left);
  } catch (cause) {
    if (isError(cause) && cause.name === 'IllegalOperationError') {
      // The channel is closing and has not told us yet. Nothing was written.
      session.writable = false;
      return 'closing';
    }
    const message = `This message cannot be encoded: ${sentenceOf(cause)}`;
    return new PublishError('PUBLISH_INVALID', messageId, message, { cause, maybeDelivered });
  }
  return 'written';
}
