import { PublishError, isError, sentenceOf } from '../errors';
import type { Entry } from '../producer/pending-send';
import type { Session } from '../producer/publishing-channel';

/** `closing`: nothing was written, the channel is about to be gone. An error: this message can never be sent as it is. */
export type Written = 'written' | 'closing' | PublishError;

/** Writes one message, behind those before it. */
export function write(session: Session, entry: Entry): Written {
  const { messageId, propertiesFrame } = entry.message;
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
  const expiration = remaining === undefined ? undefined : String(Math.ceil(remaining));
  return writeFast(session, entry, expiration) ?? publish(session, entry, expiration);
}

/** In frames of our own. Undefined: amqplib's to write, or to refuse: it alone knows whether it is closing. */
function writeFast(session: Session, { message }: Entry, expiration: string | undefined): Written | undefined {
  const { publisher, inFlight } = session;
  if (!publisher) return undefined;
  try {
    return publisher.publish(message, inFlight.written + 1, expiration, message.propertiesFrame)
      ? 'written'
      : undefined;
  } catch {
    // An exotic header, or one that amqplib will refuse with reasons. What was written so far goes first.
    publisher.flush();
    return undefined;
  }
}

/** By amqplib. */
function publish(session: Session, { message, maybeDelivered }: Entry, expiration: string | undefined): Written {
  const { messageId, exchange, routingKey, content, options } = message;
  const left = expiration === undefined ? options : { ...options, expiration };
  try {
    const { channel, link } = session.open;
    session.writable = channel.publish(exchange, routingKey, content, left);
    link.gathering?.published(content.length);
  } catch (cause) {
    // The channel is closing and has not told us yet. Nothing was written.
    if (isError(cause) && cause.name === 'IllegalOperationError') return 'closing';
    const sentence = `This message cannot be encoded: ${sentenceOf(cause)}`;
    return new PublishError('PUBLISH_INVALID', messageId, sentence, { cause, maybeDelivered });
  }
  return 'written';
}
