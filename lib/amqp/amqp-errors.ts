import { ConnectionError, InstanceQueueError, REPLY_CODES, isError, sentenceOf } from '../errors';
import type { ChannelError } from '../errors';
import * as linkErrors from '../transport/link-errors';
import type { Refusal } from '../transport/link-errors';

/** amqplib's sentences that carry a reply code in their text. */
const WITH_CODE =
  /(?:Handshake terminated by server|closed by server|Connection closed|Operation failed)\b.*?\b(\d{3}) \(/;
/** Operation failed: QueueDeclare; 404 (NOT-FOUND) with message "…" */
const WITH_MESSAGE = /with message "(.*)"$/s;
/** A close in answer to connection.open; amqplib drops its reason. The virtual host is unknown, down or forbidden. */
const CLOSED_AT_OPEN = 'Expected ConnectionOpenOk; got <ConnectionClose';
const NOT_ALLOWED = 530;

/** The AMQP reply code in an error of amqplib or of this library, if it has one. */
export function replyCodeOf(error: unknown): number | undefined {
  if (error instanceof InstanceQueueError) return error.replyCode;
  if (!isError(error)) return undefined;
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code === 'number' && code in REPLY_CODES) return code;
  const inText = WITH_CODE.exec(error.message)?.[1];
  if (inText !== undefined) return Number(inText);
  return error.message.startsWith(CLOSED_AT_OPEN) ? NOT_ALLOWED : undefined;
}

/** What the broker said, read out of amqplib's sentence around it. Undefined: the broker did not refuse anything. */
export function refusalOf(error: unknown): Refusal | undefined {
  const replyCode = replyCodeOf(error);
  return replyCode === undefined ? undefined : { replyCode, text: brokersWords(error) };
}

function brokersWords(error: unknown): string {
  const sentence = sentenceOf(error);
  const quoted = WITH_MESSAGE.exec(sentence)?.[1];
  if (quoted !== undefined) return quoted;
  // A channel that ended with its connection: the broker's words are one error further down.
  return error instanceof ConnectionError && error.replyCode !== undefined && error.cause !== undefined
    ? brokersWords(error.cause)
    : sentence;
}

/** What was read during the handshake and amqplib does not pass on. */
export interface Handshake {
  readonly refusal: Refusal | undefined;
  readonly foreignProtocol: string | undefined;
}

/** Why a connection could not be made. */
export function connectFailed(endpoint: string, cause: unknown, handshake?: Handshake): ConnectionError {
  if (handshake?.foreignProtocol !== undefined) return linkErrors.notAmqp(endpoint, cause, handshake.foreignProtocol);
  return linkErrors.connectFailed(endpoint, cause, handshake?.refusal ?? refusalOf(cause));
}

/** Why a connection that was up is gone. */
export const connectionLost = (endpoint: string, cause: unknown): ConnectionError =>
  linkErrors.connectionLost(endpoint, cause, refusalOf(cause));

/** Why the broker closed a channel, or refused what was asked on it. */
export const channelRefused = (what: string, cause: unknown): ChannelError =>
  linkErrors.channelRefused(what, cause, refusalOf(cause));
