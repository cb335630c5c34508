import { ChannelError, ConnectionError, InstanceQueueError, REPLY_CODES, isError, sentenceOf } from '../errors';

/** What Node's and OpenSSL's codes mean to whoever has to mend it. */
const ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there. Is RabbitMQ running, and is the port right?',
  ENOTFOUND: 'the host name is unknown. Is it spelled right, and does DNS know it?',
  EAI_AGAIN: 'DNS does not answer for now.',
  ECONNRESET: 'the other side dropped the connection. Is it RabbitMQ, and is TLS wanted or not wanted there?',
  EPIPE: 'the other side dropped the connection.',
  ETIMEDOUT: 'no answer. Is a firewall in between?',
  EHOSTUNREACH: 'the host cannot be reached.',
  ENETUNREACH: 'the network cannot be reached.',
  EPROTO: 'no TLS handshake was possible. Is that a TLS port?',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the port does not speak TLS. Is it the amqp:// port?',
  CERT_HAS_EXPIRED: 'its certificate has expired.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed. Give its CA as `tls.ca`.',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an unknown CA. Give that CA as `tls.ca`.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate cannot be verified. Give its CA as `tls.ca`.',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from an unknown CA. Give that CA as `tls.ca`.',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for another host name. Set `tls.servername`, or use the name it is for.',
};

/** The AMQP reply code in an amqplib error: a number in `code`, or only in the text. */
export function replyCodeOf(error: unknown): number | undefined {
  if (error instanceof InstanceQueueError) return error.replyCode;
  if (!isError(error)) return undefined;
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code === 'number' && code in REPLY_CODES) return code;
  const told =
    /(?:Handshake terminated by server|closed by server|Connection closed|Operation failed)\b.*?\b(\d{3}) \(/.exec(
      error.message,
    );
  if (told) return Number(told[1]);
  // amqplib gives no code for a close in answer to connection.open: the vhost is unknown, down or forbidden.
  return error.message.startsWith('Expected ConnectionOpenOk; got <ConnectionClose') ? 530 : undefined;
}

/** Node's code, also out of the AggregateError of a host with several addresses. */
function systemCodeOf(error: unknown): string | undefined {
  if (!isError(error)) return undefined;
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code === 'string') return code;
  const several: unknown = Reflect.get(error, 'errors');
  return Array.isArray(several) ? systemCodeOf(several[0]) : undefined;
}

/** Why a connection could not be made, told for people. */
export function connectFailed(endpoint: string, cause: unknown): ConnectionError {
  if (cause instanceof ConnectionError) return cause;
  const replyCode = replyCodeOf(cause);
  const system = systemCodeOf(cause);
  const why =
    replyCode === 403
      ? 'the broker refused the credentials (403 ACCESS_REFUSED). Check user and password, and that the user may connect.'
      : replyCode === 530
        ? 'the broker refused the virtual host (530 NOT_ALLOWED). It is unknown, down, or this user has no permission for it.'
        : system !== undefined && system in ADVICE
          ? `${ADVICE[system] ?? ''} (${system})`
          : sentenceOf(cause);
  return new ConnectionError('CONNECT_FAILED', endpoint, `Cannot connect to ${endpoint || 'RabbitMQ'}: ${why}`, {
    cause,
    replyCode,
  });
}

/** The same of a connection that was up. */
const LOST: Readonly<Record<string, string>> = {
  ECONNRESET: 'the other side, or something in between, dropped it.',
  EPIPE: 'the other side, or something in between, dropped it.',
  ETIMEDOUT: 'the other side does not answer any more.',
};
/** As amqplib says it. */
const SILENCE = 'Heartbeat timeout';

/** Why a connection that was up is gone. */
export function connectionLost(endpoint: string, cause: unknown): ConnectionError {
  if (cause instanceof ConnectionError) return cause;
  const replyCode = replyCodeOf(cause);
  const message = `Lost the connection to ${endpoint}: ${whyLost(cause, replyCode)}`;
  return new ConnectionError('CONNECTION_LOST', endpoint, message, { cause, replyCode });
}

function whyLost(cause: unknown, replyCode: number | undefined): string {
  if (cause === undefined) return 'the connection ended';
  if (replyCode !== undefined) return `the broker closed it: ${String(replyCode)} ${brokersWords(cause)}`;
  const system = systemCodeOf(cause) ?? '';
  const known = LOST[system];
  if (known !== undefined) return `${known} (${system})`;
  const told = sentenceOf(cause);
  return told === SILENCE
    ? `no heartbeat came for too long. Is the network down, or did this process stand still? (${SILENCE})`
    : told;
}

/** amqplib wraps the broker's sentence: Operation failed: QueueDeclare; 404 (NOT-FOUND) with message "…" */
function brokersWords(error: unknown): string {
  const told = /with message "(.*)"$/s.exec(sentenceOf(error))?.[1];
  if (told !== undefined) return told;
  // What a channel is told of its connection has the broker's words one step further down.
  return error instanceof ConnectionError && error.replyCode !== undefined && error.cause !== undefined
    ? brokersWords(error.cause)
    : sentenceOf(error);
}

/** Why the broker closed a channel, or would not do what was asked on it. */
export function channelRefused(what: string, cause: unknown): ChannelError {
  if (cause instanceof ChannelError) return cause;
  const told = brokersWords(cause);
  const replyCode = replyCodeOf(cause);
  return new ChannelError(`${what}: ${replyCode === undefined ? '' : `${String(replyCode)} `}${told}`, {
    cause,
    replyCode,
  });
}
