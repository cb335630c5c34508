import type { ConnectionCore } from '../connection/connection-core';
import { PublishError, type InstanceQueueError, type PublishErrorCode } from '../errors';
import type { PendingSend } from './pending-send';

/** Why a `send` failed on this side of the wire. */

export function aborted(messageId: string, signal: AbortSignal, maybeDelivered: boolean): PublishError {
  const where = maybeDelivered ? 'after it was sent; the broker may have it' : 'before the broker had it';
  return new PublishError('PUBLISH_ABORTED', messageId, `The send was aborted ${where}.`, {
    cause: signal.reason,
    maybeDelivered,
  });
}

/** `held`: the messages in the outbox. */
export function outboxFull(
  messageId: string,
  bytes: number,
  held: { readonly queued: number; readonly bytes: number },
): PublishError {
  const message = `The outbox is full: it holds ${String(held.queued)} messages, ${String(held.bytes)} bytes; this message takes ${String(bytes)} more. See \`outbox\`.`;
  return new PublishError('OUTBOX_FULL', messageId, message);
}

export function droppedForNewer({ message: { messageId }, maybeDelivered }: PendingSend): PublishError {
  const message = 'Dropped from a full outbox to make room for a newer message.';
  return new PublishError('OUTBOX_FULL', messageId, message, { maybeDelivered });
}

export function timedOut(entry: PendingSend, core: ConnectionCore): PublishError {
  // The message was written before the broker reported the block, and is unread there.
  const blocked = core.blocked === undefined ? undefined : `the broker blocks publishing (${core.blocked}).`;
  const where = entry.maybeDelivered
    ? `It was sent; ${blocked === undefined ? 'the broker may have it.' : `the broker may have it, and ${blocked.replace('the broker ', '')}`}`
    : `It was not sent; ${blocked ?? `the connection is ${core.state.status}.`}`;
  const code: PublishErrorCode = entry.nacks > 0 ? 'PUBLISH_NACKED' : 'PUBLISH_TIMEOUT';
  const message =
    entry.nacks > 0 ? whyNacked(entry) : `The message was not confirmed within ${waited(entry)}. ${where}`;
  return new PublishError(code, entry.message.messageId, message, {
    ...(core.state.status === 'reconnecting' && { cause: core.state.cause }),
    maybeDelivered: entry.maybeDelivered,
  });
}

/** A queue did not take the message, which is not sent again. */
export const nackedError = (entry: PendingSend): PublishError =>
  new PublishError('PUBLISH_NACKED', entry.message.messageId, whyNacked(entry), {
    maybeDelivered: entry.maybeDelivered,
  });

/** A full queue refused the message, and has put it among its dead letters. */
export function deadLetteredError({ message: { messageId, routingKey }, maybeDelivered }: PendingSend): PublishError {
  const message = `Queue \`${routingKey}\` is full: it refused the message and dead-lettered it (\`overflow: 'reject-publish-dlx'\`). It is not sent again: each attempt would leave a copy among the dead letters.`;
  return new PublishError('PUBLISH_NACKED', messageId, message, { maybeDelivered });
}

function whyNacked(entry: PendingSend): string {
  const tries = `${String(entry.attempts)} attempt${entry.attempts === 1 ? '' : 's'} within ${waited(entry)}`;
  return entry.toOneQueue
    ? `The broker did not take the message (nack) in ${tries}: the queue is full, or has no leader.`
    : `A queue behind exchange \`${entry.exchange}\` did not take the message (nack) in ${tries}: it is full, or has no leader. Other queues may have it.`;
}

const waited = (entry: PendingSend): string => `${String(Math.round(performance.now() - entry.since))} ms`;

export const topologyRefused = (messageId: string, cause: InstanceQueueError, maybeDelivered: boolean): PublishError =>
  new PublishError('PUBLISH_REFUSED', messageId, `The broker refused the topology of this producer. ${cause.message}`, {
    cause,
    replyCode: cause.replyCode,
    maybeDelivered,
  });

export function producerClosed(
  messageId: string,
  cause: InstanceQueueError | undefined,
  maybeDelivered: boolean,
): PublishError {
  return new PublishError('PUBLISH_CLOSED', messageId, `The producer is closed.${cause ? ` ${cause.message}` : ''}`, {
    cause,
    maybeDelivered,
  });
}

/** The same error, of a message that the broker may have from an earlier attempt; `how` says so in a sentence. */
export function maybeDeliveredBefore(error: PublishError, how: string): PublishError {
  if (error.maybeDelivered) return error;
  const { code, messageId, message, cause, replyCode, retryable } = error;
  return new PublishError(code, messageId, `${message} ${how}`, { cause, replyCode, retryable, maybeDelivered: true });
}
