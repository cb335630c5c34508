import { types } from 'node:util';

/** A connection could not be made, was lost, or was closed by us; or there were no credentials for it. */
export type ConnectionErrorCode = 'CONNECT_FAILED' | 'CREDENTIALS_FAILED' | 'CONNECTION_LOST' | 'CONNECTION_CLOSED';
/**
 * The broker cancelled the consumer; a message could not be decoded; work took longer than its `timeout`; a partitioned queue that was
 * to be resized is in use.
 */
export type ConsumerErrorCode = 'CONSUMER_CANCELLED' | 'UNDECODABLE' | 'WORK_TIMEOUT' | 'NOT_DRAINED';
/** Why a message was not confirmed, or a request not answered; `Producer.send` and `InstanceQueue.request` say what each means. */
export type PublishErrorCode =
  | 'PUBLISH_NACKED'
  | 'PUBLISH_RETURNED'
  | 'PUBLISH_REFUSED'
  | 'PUBLISH_UNKNOWN'
  | 'PUBLISH_TIMEOUT'
  | 'PUBLISH_ABORTED'
  | 'PUBLISH_INVALID'
  | 'PUBLISH_CLOSED'
  | 'OUTBOX_FULL'
  | 'REPLY_TIMEOUT'
  | 'REPLY_ERROR';
/** Every code an error of this library can carry. Codes are stable: branch on them, not on messages. */
export type ErrorCode =
  | 'OPTIONS_INVALID'
  | 'CHANNEL_CLOSED'
  | 'PUBLISH_INCOMPLETE'
  | ConnectionErrorCode
  | ConsumerErrorCode
  | PublishErrorCode;

/** May the same call succeed later without anyone changing anything? A new code does not compile until someone decides. */
export const RETRYABLE = {
  OPTIONS_INVALID: false,
  CONNECT_FAILED: true,
  CREDENTIALS_FAILED: true,
  CONNECTION_LOST: true,
  CONNECTION_CLOSED: false,
  CHANNEL_CLOSED: true,
  CONSUMER_CANCELLED: true,
  UNDECODABLE: false,
  WORK_TIMEOUT: true,
  NOT_DRAINED: true,
  PUBLISH_NACKED: true,
  PUBLISH_RETURNED: false,
  PUBLISH_REFUSED: false,
  PUBLISH_UNKNOWN: true,
  PUBLISH_TIMEOUT: true,
  PUBLISH_ABORTED: false,
  PUBLISH_INVALID: false,
  PUBLISH_CLOSED: false,
  PUBLISH_INCOMPLETE: true,
  OUTBOX_FULL: true,
  REPLY_TIMEOUT: true,
  REPLY_ERROR: false,
} as const satisfies Record<ErrorCode, boolean>;

/**
 * AMQP 0-9-1 reply codes, and whether a *refusal* (connect, declare, consume) with that code can succeed when it is tried again.
 * A connection or channel that was up before is retried whatever the code.
 * Source: https://www.rabbitmq.com/amqp-0-9-1-reference#constants
 */
export const REPLY_CODES = {
  200: { name: 'REPLY_SUCCESS', retryable: true },
  311: { name: 'CONTENT_TOO_LARGE', retryable: false },
  312: { name: 'NO_ROUTE', retryable: false },
  313: { name: 'NO_CONSUMERS', retryable: true },
  320: { name: 'CONNECTION_FORCED', retryable: true },
  402: { name: 'INVALID_PATH', retryable: false },
  403: { name: 'ACCESS_REFUSED', retryable: false },
  404: { name: 'NOT_FOUND', retryable: true },
  // An exclusive queue stays locked until the broker notices that its owner died.
  405: { name: 'RESOURCE_LOCKED', retryable: true },
  406: { name: 'PRECONDITION_FAILED', retryable: false },
  501: { name: 'FRAME_ERROR', retryable: true },
  502: { name: 'SYNTAX_ERROR', retryable: false },
  503: { name: 'COMMAND_INVALID', retryable: false },
  504: { name: 'CHANNEL_ERROR', retryable: true },
  505: { name: 'UNEXPECTED_FRAME', retryable: true },
  506: { name: 'RESOURCE_ERROR', retryable: true },
  530: { name: 'NOT_ALLOWED', retryable: false },
  540: { name: 'NOT_IMPLEMENTED', retryable: false },
  541: { name: 'INTERNAL_ERROR', retryable: false },
} as const;

/** Can a refusal with this reply code mend itself? Unknown codes are given the benefit of the doubt. */
export function replyCodeRetryable(replyCode: number): boolean {
  return (REPLY_CODES as Readonly<Record<number, { retryable: boolean }>>)[replyCode]?.retryable ?? true;
}

/** What an error carries besides its code and sentence. */
export interface ErrorDetails {
  /** The error underneath, if any. */
  readonly cause?: unknown;
  /** The AMQP reply code, when the broker gave one. */
  readonly replyCode?: number | undefined;
  /** Can the same call succeed later? Given where the broker's words say more than the codes, which decide otherwise. */
  readonly retryable?: boolean | undefined;
}

/** The documentation site. `npm run project` writes it here: it is `homepage` of package.json. */
const SITE = 'https://__owner__.github.io/instance-queue/';

/** Keeps the name of a class, and so of its errors, through bundlers and minifiers, which rename classes. */
export function keepName(errorClass: object, name: string): void {
  Object.defineProperty(errorClass, 'name', { value: name });
}

/**
 * What every error of this library is: a sentence for people, a stable `code` for programs, the `cause` underneath.
 * Messages hold no credentials and no message bodies.
 */
export abstract class InstanceQueueError<C extends ErrorCode = ErrorCode> extends Error {
  /** Stable; branch on it. */
  readonly code: C;
  /** Can the same call succeed later without any other change? */
  readonly retryable: boolean;
  /**
   * The address of the section that explains the code and says what to do. It is shown beside the stack and in logged errors.
   * The same text comes with the package, as `demo/guides/errors.md`.
   */
  readonly help: string;
  /** The AMQP reply code, when the broker gave one. */
  declare readonly replyCode?: number;

  protected constructor(code: C, message: string, { cause, replyCode, retryable }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = retryable ?? (RETRYABLE[code] && (replyCode === undefined || replyCodeRetryable(replyCode)));
    this.help = `${SITE}guides/errors.html#${code.toLowerCase()}`;
    if (replyCode !== undefined) this.replyCode = replyCode;
  }
}

/** Errors of other realms (a `vm`, the sandbox of a test runner) count, and the DOMException of an AbortSignal. */
export const isError = (thrown: unknown): thrown is Error =>
  thrown instanceof Error ||
  types.isNativeError(thrown) ||
  Object.prototype.toString.call(thrown) === '[object DOMException]';

/** What was thrown, said in words. */
export const sentenceOf = (thrown: unknown): string =>
  isError(thrown) && thrown.message !== '' ? thrown.message : String(thrown);

/** The name of what was thrown, alone: its message may quote the content of a message, and must not be logged. */
export const nameOf = (thrown: unknown): string => (isError(thrown) ? thrown.name : typeof thrown);

/** Is it an error of this library? */
export const isInstanceQueueError = (error: unknown): error is InstanceQueueError =>
  error instanceof InstanceQueueError;

/** An option (or an argument) that cannot be right. Thrown at the call that gave it. */
export class OptionsError extends InstanceQueueError<'OPTIONS_INVALID'> {
  static {
    keepName(this, 'OptionsError');
  }
  /** The name of the option at fault. */
  readonly option: string;
  constructor(option: string, message: string, details?: ErrorDetails) {
    super('OPTIONS_INVALID', message, details);
    this.option = option;
  }
}

/** A connection that could not be made, was lost, or is closed. */
export class ConnectionError extends InstanceQueueError<ConnectionErrorCode> {
  static {
    keepName(this, 'ConnectionError');
  }
  /** `host:port/vhost`; never credentials. Empty where no endpoint was reached for yet. */
  readonly endpoint: string;
  constructor(code: ConnectionErrorCode, endpoint: string, message: string, details?: ErrorDetails) {
    super(code, message, details);
    this.endpoint = endpoint;
  }
}

/** A channel that the broker closed or refused to serve: a declaration that differs, a missing permission, a timeout. */
export class ChannelError extends InstanceQueueError<'CHANNEL_CLOSED'> {
  static {
    keepName(this, 'ChannelError');
  }
  constructor(message: string, details?: ErrorDetails) {
    super('CHANNEL_CLOSED', message, details);
  }
}

/** Trouble of one consumer or of one message on it. */
export class ConsumerError extends InstanceQueueError<ConsumerErrorCode> {
  static {
    keepName(this, 'ConsumerError');
  }
  /** The queue it consumes from. */
  readonly queue: string;
  constructor(code: ConsumerErrorCode, queue: string, message: string, details?: ErrorDetails) {
    super(code, message, details);
    this.queue = queue;
  }
}

/** Why one message was not confirmed. */
export class PublishError extends InstanceQueueError<PublishErrorCode> {
  static {
    keepName(this, 'PublishError');
  }
  /** The message at fault. */
  readonly messageId: string;
  /** May the broker have the message despite the error? `true`: sending it again can make a duplicate. */
  readonly maybeDelivered: boolean;
  constructor(
    code: PublishErrorCode,
    messageId: string,
    message: string,
    details: ErrorDetails & { readonly maybeDelivered?: boolean } = {},
  ) {
    super(code, message, details);
    this.messageId = messageId;
    this.maybeDelivered = details.maybeDelivered ?? false;
  }
}
