import { ChannelError, ConnectionError, isError, sentenceOf } from '../errors';
import type { ErrorDetails, InstanceQueueError } from '../errors';

/** The reply of a broker that refused or closed something. */
export interface Refusal {
  readonly replyCode: number;
  /** The broker's reply text, which begins with the name of the code: `NOT_FOUND - no queue 'orders' in vhost '/'`. */
  readonly text: string;
}

/** Explanations of error codes of Node.js and OpenSSL. */
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

/** What OpenSSL says of the certificates and keys of this side; what it says of a handshake begins with ERR_SSL_. */
const OWN_TLS = 'ERR_OSSL_';

/** The same codes on a connection that was up. */
const LOST: Readonly<Record<string, string>> = {
  ECONNRESET: 'the other side, or something in between, dropped it.',
  EPIPE: 'the other side, or something in between, dropped it.',
  ETIMEDOUT: 'the other side does not answer any more.',
};

/** The message of amqplib. */
const SILENCE = 'Heartbeat timeout';

/** The Node.js error code, also from the AggregateError of a host with several addresses. */
function systemCodeOf(error: unknown): string | undefined {
  if (!isError(error)) return undefined;
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code === 'string') return code;
  const several: unknown = Reflect.get(error, 'errors');
  return Array.isArray(several) ? systemCodeOf(several[0]) : undefined;
}

/**
 * Temporary refusals that RabbitMQ sends with the codes of permanent ones: a limit on connections or channels, a virtual host
 * that is down, an exclusive consumer or queue. https://www.rabbitmq.com/docs/vhosts#limits
 */
const PASSING =
  /\blimit(?: of)? \(\d+\)|\bhas reached the maximum allowed\b|channels opened \(\d+\)|\blimit cannot be queried\b|\bis down\b|\bin exclusive use\b/;

/** Was a connection closed because the connection or its user has too many channels? https://www.rabbitmq.com/docs/user-limits */
export const isChannelLimit = ({ replyCode, message }: ConnectionError): boolean =>
  replyCode === 530 && message.includes('number of channels opened');

/**
 * Did a process of the broker crash over what this connection asked for? A refusal gives its reason behind the name of the code.
 * RabbitMQ 3.10 crashes when two connections declare the same new quorum queue at once.
 */
export const isBrokerCrash = ({ replyCode, message }: InstanceQueueError): boolean =>
  replyCode === 541 && message.endsWith('541 INTERNAL_ERROR');

/** The facts of a refusal, for an error. */
const detailsOf = (cause: unknown, refusal: Refusal | undefined): ErrorDetails => ({
  cause,
  replyCode: refusal?.replyCode,
  ...(refusal && PASSING.test(refusal.text) && { retryable: true }),
  ...(systemCodeOf(cause)?.startsWith(OWN_TLS) && { retryable: false }),
});

/** The error of a connection that could not be made. An error of that kind is returned as it is. */
export function connectFailed(endpoint: string, cause: unknown, refusal?: Refusal): ConnectionError {
  if (cause instanceof ConnectionError) return cause;
  const message = `Cannot connect to ${endpoint || 'RabbitMQ'}: ${refusal ? whyRefused(refusal, cause) : whyUnreachable(cause)}`;
  return new ConnectionError('CONNECT_FAILED', endpoint, message, detailsOf(cause, refusal));
}

/** The endpoint answered in another protocol. */
export function notAmqp(endpoint: string, cause: unknown, protocol: string): ConnectionError {
  const advice =
    protocol === 'TLS'
      ? 'Use an amqps:// URL, or the port of plain AMQP (5672 by default).'
      : protocol === 'HTTP'
        ? 'That may be the management port (15672 by default); AMQP listens on 5672, with TLS on 5671.'
        : 'This library speaks AMQP 0-9-1.';
  const message = `Cannot connect to ${endpoint}: what answers there speaks ${protocol}, and not AMQP 0-9-1. ${advice}`;
  return new ConnectionError('CONNECT_FAILED', endpoint, message, { cause });
}

function whyRefused({ replyCode, text }: Refusal, cause: unknown): string {
  switch (replyCode) {
    case 403:
      return 'the broker refused the credentials (403 ACCESS_REFUSED). Check user and password, and that the user may connect.';
    case 530:
      return PASSING.test(text)
        ? `the broker takes no connection for now (530 ${text}).`
        : `the broker refused the virtual host (530 ${text}). It does not exist, or this user has no permission for it.`;
    default:
      return whyUnreachable(cause);
  }
}

function whyUnreachable(cause: unknown): string {
  const system = systemCodeOf(cause);
  if (system?.startsWith(OWN_TLS))
    return `a certificate or key of \`tls\` cannot be used: ${sentenceOf(cause)} (${system})`;
  return system !== undefined && system in ADVICE ? `${ADVICE[system] ?? ''} (${system})` : sentenceOf(cause);
}

/** The broker closed a connection because of what `connection.update-secret` gave it. RabbitMQ does so with 530. */
const SECRET_REFUSED = /\bsecret (?:was refused|update failed)\b/i;

/** The error of a connection that was lost. An error of that kind is returned as it is. */
export function connectionLost(endpoint: string, cause: unknown, refusal?: Refusal): ConnectionError {
  if (cause instanceof ConnectionError) return cause;
  if (refusal && SECRET_REFUSED.test(refusal.text)) {
    const { replyCode, text } = refusal;
    const sentence = `Lost the connection to ${endpoint}: the broker refused the renewed credentials: ${String(replyCode)} ${text}`;
    // The source may give others the next time.
    return new ConnectionError('CREDENTIALS_FAILED', endpoint, sentence, { cause, replyCode, retryable: true });
  }
  const why = refusal ? `the broker closed it: ${String(refusal.replyCode)} ${refusal.text}` : whyLost(cause);
  const message = `Lost the connection to ${endpoint}: ${why}`;
  return new ConnectionError('CONNECTION_LOST', endpoint, message, detailsOf(cause, refusal));
}

function whyLost(cause: unknown): string {
  if (cause === undefined) return 'the connection ended';
  const system = systemCodeOf(cause) ?? '';
  const known = LOST[system];
  if (known !== undefined) return `${known} (${system})`;
  const sentence = sentenceOf(cause);
  return sentence === SILENCE
    ? `no heartbeat came for too long. Is the network down, or did this process stand still? (${SILENCE})`
    : sentence;
}

/** What amqplib says when the connection has as many channels as both sides have agreed on. */
const NO_CHANNELS = 'No channels left to allocate';
/** https://www.rabbitmq.com/docs/channels#channel-max */
const CHANNEL_MAX =
  '. The connection has as many channels as `channel_max` allows (of its URL, or of the broker, where 2047 is the default). Each consumer and each producer takes one: close some, raise the limit, or use another connection.';

/** The error of a channel that the broker closed, or of a refused request on it. An error of that kind is returned as it is. */
export function channelRefused(what: string, cause: unknown, refusal?: Refusal): ChannelError {
  if (cause instanceof ChannelError) return cause;
  const why = refusal ? `${String(refusal.replyCode)} ${refusal.text}` : sentenceOf(cause);
  return new ChannelError(`${what}: ${why}${why === NO_CHANNELS ? CHANNEL_MAX : ''}`, detailsOf(cause, refusal));
}
