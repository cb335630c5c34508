import { ConnectionError, InstanceQueueError, REPLY_CODES, isError, sentenceOf } from '../errors';
import type { ChannelError } from '../errors';
import * as linkErrors from '../transport/link-errors';
import type { Refusal } from '../transport/link-errors';

/** amqplib's sentences that carry a reply code in their text. */
const WITH_CODE =
  /(?:Handshake terminated by server|closed by server|Connection closed|Operation failed)\b.*?\b(\d{3}) \(/;
/** Operation failed: QueueDeclare; 404 (NOT-FOUND) with message "…" */
const WITH_MESSAGE = /with message "(.*)"$/s;
/** amqplib answers a close in reply to connection.open by printing the frame. */
const CLOSED_AT_OPEN = /^Expected ConnectionOpenOk; got <ConnectionClose channel:0 fields:(\{.*\})>$/s;

/** The AMQP reply code in an error of amqplib or of this library, if it has one. */
export function replyCodeOf(error: unknown): number | undefined {
  if (error instanceof InstanceQueueError) return error.replyCode;
  if (!isError(error)) return undefined;
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code === 'number' && code in REPLY_CODES) return code;
  const inText = WITH_CODE.exec(error.message)?.[1];
  return inText === undefined ? closedAtOpen(error.message)?.replyCode : Number(inText);
}

/** What the broker said, read out of amqplib's sentence around it. Undefined: the broker did not refuse anything. */
export function refusalOf(error: unknown): Refusal | undefined {
  const replyCode = replyCodeOf(error);
  return replyCode === undefined ? undefined : { replyCode, text: brokersWords(error) };
}

function brokersWords(error: unknown): string {
  const sentence = sentenceOf(error);
  const quoted = WITH_MESSAGE.exec(sentence)?.[1] ?? closedAtOpen(sentence)?.text;
  if (quoted !== undefined) return quoted;
  // A channel that ended with its connection: the broker's words are one error further down.
  return error instanceof ConnectionError && error.replyCode !== undefined && error.cause !== undefined
    ? brokersWords(error.cause)
    : sentence;
}

function closedAtOpen(message: string): Refusal | undefined {
  const fields = CLOSED_AT_OPEN.exec(message)?.[1];
  if (fields === undefined) return undefined;
  try {
    const { replyCode, replyText } = JSON.parse(fields) as Record<string, unknown>;
    if (typeof replyCode === 'number' && typeof replyText === 'string') return { replyCode, text: replyText };
  } catch {
    // Not the frame as amqplib 2 prints it.
  }
  return { replyCode: 530, text: message };
}

/** Why a connection could not be made. */
export const connectFailed = (endpoint: string, cause: unknown): ConnectionError =>
  linkErrors.connectFailed(endpoint, cause, refusalOf(cause));

/** Why a connection that was up is gone. */
export const connectionLost = (endpoint: string, cause: unknown): ConnectionError =>
  linkErrors.connectionLost(endpoint, cause, refusalOf(cause));

/** Why the broker closed a channel, or refused what was asked on it. */
export const channelRefused = (what: string, cause: unknown): ChannelError =>
  linkErrors.channelRefused(what, cause, refusalOf(cause));
