import { randomFillSync } from 'node:crypto';
import { withoutBrokerHeaders } from '../broker-headers';
import { isExchangeContract, isQueueContract } from '../contract';
import type {
  AnyExchangeContract,
  AnyQueueContract,
  BodyFor,
  ExchangeOf,
  Messages,
  QueueContract,
  RoutingKey,
} from '../contract-codecs';
import type { DelayOptions } from '../delay/delayed';
import { LONGEST_DELAY } from '../delay/levels';
import { plainTable } from '../field-table';
import { FILTER_VALUE, filterValue } from '../filter-value';
import {
  type Shape,
  boolean,
  checkOptions,
  date,
  entityName,
  integer,
  isObject,
  number,
  object,
  shortString,
  withDefaults,
} from '../options';
import type { Arguments, MessageProperties, Route } from '../properties';
import { checkRoute } from '../topology-checks';

/** A message to send: its route, body and properties. */
export type OutboundMessage<T = unknown> = Route &
  Partial<MessageProperties> &
  DelayOptions & {
    readonly body: T;
    /** Survives a restart of the broker, in a durable queue. @default true */
    readonly persistent?: boolean;
    /**
     * Rejects (PUBLISH_RETURNED) if no queue takes it. Does not apply by default to an exchange that the topology declares with
     * the type `x-delayed-message`, which returns every mandatory message at once. @default true
     */
    readonly mandatory?: boolean;
    /** In a stream: the value that consumers with a `filter` select by. Sent as the header `x-stream-filter-value`. */
    readonly streamFilter?: string;
  };

/** What every message may say beside its route and body. */
type Extras = Partial<MessageProperties> &
  DelayOptions &
  Pick<OutboundMessage, 'persistent' | 'mandatory' | 'streamFilter'>;

/** A message to the queue of a contract. */
export type QueueMessage<In, Reply = unknown> = Extras & {
  readonly queue: QueueContract<In, unknown, Reply, never>;
  readonly exchange?: never;
  readonly routingKey?: never;
  readonly body: NoInfer<In>;
};

/** A message to the exchange of a contract, which says what body goes with which routing key. */
export type ExchangeMessage<M extends Messages, K extends string> = Extras & {
  readonly exchange: ExchangeOf<M>;
  readonly queue?: never;
  readonly body: NoInfer<BodyFor<M, K>>;
} & ('' extends K ? { readonly routingKey?: K } : { readonly routingKey: K });

/** A message to a contract, with its types left open. */
export type ContractMessage<T = unknown, K extends string = string> = Extras & { readonly body: T } & (
    | { readonly queue: AnyQueueContract; readonly exchange?: never; readonly routingKey?: never }
    | { readonly exchange: AnyExchangeContract; readonly routingKey?: K; readonly queue?: never }
  );

/** A message to a contract, or any other. */
export type AnyMessage<T> = OutboundMessage<T> | ContractMessage;

/** The message as its own type allows it: for messages that come as a stream, each to its own contract. */
export type Checked<M> = M extends { readonly queue: QueueContract<infer In, unknown, unknown, never> }
  ? QueueMessage<In>
  : M extends { readonly exchange: ExchangeOf<infer Ms> }
    ? M extends { readonly routingKey: infer K extends RoutingKey<Ms> }
      ? ExchangeMessage<Ms, K>
      : ExchangeMessage<Ms, RoutingKey<Ms>>
    : OutboundMessage;

const MESSAGE: Shape<
  Omit<MessageProperties, never> & {
    queue: string;
    exchange: string;
    routingKey: string;
    body: unknown;
    persistent: boolean;
    mandatory: boolean;
    streamFilter: string;
    delay: number;
    at: Date;
  }
> = {
  queue: entityName,
  exchange: entityName,
  routingKey: shortString(),
  body: () => undefined,
  persistent: boolean,
  mandatory: boolean,
  streamFilter: filterValue,
  delay: number(0, LONGEST_DELAY),
  at: date,
  messageId: shortString(),
  correlationId: shortString(),
  replyTo: shortString(),
  type: shortString(),
  appId: shortString(),
  userId: shortString(),
  contentType: shortString(),
  contentEncoding: shortString(),
  timestamp: date,
  expiration: number(0, 2 ** 32 - 1),
  priority: integer(0, 255),
  headers: object,
};

/** The names of all that a message can have. */
const MEMBERS: readonly string[] = Object.keys(MESSAGE);

/** A copy of a message with all that its class defines, getters included. @throws what one of them throws */
export function wholeCopy<M extends object>(message: M): M {
  const copy = { ...message };
  if (!isOfClass(message)) return copy;
  const inherited = MEMBERS.filter((name) => !Object.hasOwn(message, name) && Reflect.get(message, name) !== undefined);
  return { ...copy, ...Object.fromEntries(inherited.map((name) => [name, Reflect.get(message, name)])) };
}

/** Why a value that is no object cannot be sent. */
export function notAMessage(value: unknown): string {
  const got = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
  return `Expected an object with a route and a \`body\`, got ${got}.`;
}

/** Refuses what is known to be wrong with a message: unknown or wrong members, no route or several. @throws OptionsError, TypeError */
export function checkMessage(message: unknown): void {
  if (isPlain(message)) return;
  // If a body was passed instead of a message, the error names only its type: errors contain no bodies.
  if (!isObject(message)) throw new TypeError(notAMessage(message));
  const { routingKey } = message;
  const queue = queueOf(message);
  const exchange = exchangeOf(message);
  const byName = queue === message['queue'] && exchange === message['exchange'];
  const whole = isOfClass(message) ? wholeCopy(message) : message;
  checkOptions<object>(byName ? whole : { ...whole, queue, exchange }, MESSAGE, A_MESSAGE);
  // `checkRoute` throws the errors.
  if ((queue === undefined) === (exchange === undefined) || (queue !== undefined && routingKey !== undefined))
    checkRoute({ queue, exchange, routingKey }, 'message');
  if (queue === '') throw new TypeError('a queue route needs the name of a queue');
}
const A_MESSAGE = { of: 'a message' };

/** The name of a contract, or what else is given. */
const queueOf = ({ queue }: Few): unknown => (typeof queue === 'object' && isQueueContract(queue) ? queue.name : queue);
const exchangeOf = ({ exchange }: Few): unknown =>
  typeof exchange === 'object' && isExchangeContract(exchange) ? exchange.name : exchange;

/** Is it right at first sight, as nearly all messages are? Checks by name are faster than the table. */
function isPlain(message: unknown): boolean {
  if (typeof message !== 'object' || message === null || Array.isArray(message) || !isOfFew(message)) return false;
  const { routingKey, contentType, messageId, type, persistent, mandatory }: Few = message;
  const queue = queueOf(message);
  const exchange = exchangeOf(message);
  return (
    (exchange === undefined
      ? isPlainName(queue) && queue !== '' && routingKey === undefined
      : isPlainName(exchange) && queue === undefined && isShortOrNone(routingKey)) &&
    isShortOrNone(contentType) &&
    isShortOrNone(messageId) &&
    isShortOrNone(type) &&
    isFlagOrNone(persistent) &&
    isFlagOrNone(mandatory)
  );
}
type Few = Readonly<Partial<Record<keyof typeof MESSAGE, unknown>>>;

/** Its class may define members, which `Object.keys` does not name. */
const isOfClass = (message: object): boolean => Object.getPrototypeOf(message) !== Object.prototype;

/** Has the message nothing beside what most messages have? */
function isOfFew(message: object): boolean {
  if (isOfClass(message)) return false;
  for (const member in message) {
    switch (member) {
      case 'queue':
      case 'exchange':
      case 'routingKey':
      case 'body':
      case 'persistent':
      case 'mandatory':
      case 'contentType':
      case 'messageId':
      case 'type':
        break;
      default:
        return false;
    }
  }
  return true;
}

const isFlagOrNone = (value: unknown): boolean => value === undefined || typeof value === 'boolean';
/** A UTF-16 unit takes three bytes of UTF-8 at most: these fit into the 255 of a short string. */
const isShort = (value: unknown): value is string => typeof value === 'string' && value.length <= 85;
const isPlainName = (value: unknown): boolean => isShort(value) && !value.includes('\n') && !value.includes('\r');
const isShortOrNone = (value: unknown): boolean => value === undefined || isShort(value);

/** The properties beside route, body, id and content type; undefined: none. A copy, because the caller may change the message. */
export function propertiesOf(
  message: Omit<OutboundMessage | ContractMessage, 'queue' | 'exchange'>,
): MessageProperties | undefined {
  // Most messages have none, and checks by name are faster than a loop.
  const { correlationId, replyTo, type, appId, userId, contentEncoding, timestamp, expiration, priority } = message;
  const headers = message.streamFilter === undefined ? message.headers : filteredHeaders(message, message.streamFilter);
  const nothing =
    correlationId === undefined &&
    replyTo === undefined &&
    type === undefined &&
    appId === undefined &&
    userId === undefined &&
    contentEncoding === undefined &&
    timestamp === undefined &&
    expiration === undefined &&
    priority === undefined &&
    headers === undefined;
  if (nothing) return undefined;
  const at = timestamp && new Date(timestamp);
  const all = { correlationId, replyTo, type, appId, userId, contentEncoding, timestamp: at, expiration, priority };
  return withDefaults(headers === undefined ? {} : { headers: plainTable(withoutBrokerHeaders(headers)) }, all);
}

function filteredHeaders({ headers = {} }: Pick<MessageProperties, 'headers'>, streamFilter: string): Arguments {
  const { [FILTER_VALUE]: given = streamFilter } = headers;
  if (given !== streamFilter) throw new TypeError(`\`streamFilter\` and the header \`${FILTER_VALUE}\` differ`);
  return { ...headers, [FILTER_VALUE]: streamFilter };
}

/** The `messageId` of a message, which may be invalid, if it has one. */
export function givenId(message: unknown): string | undefined {
  try {
    const messageId: unknown = Reflect.get(Object(message), 'messageId');
    return typeof messageId === 'string' ? messageId : undefined;
  } catch {
    // A getter, which throws again where the message is checked.
    return undefined;
  }
}

const BYTES = 16;
/** For each byte, the character code of its first or second hexadecimal digit. */
const digits = (which: 0 | 1): readonly number[] =>
  Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0').charCodeAt(which));
const HIGH = digits(0);
const LOW = digits(1);
const DASH = 45;

const random = Buffer.allocUnsafeSlow(1024 * BYTES);
let at = random.length;

/**
 * A random UUID (RFC 9562, section 5.4: version 4). As random as `crypto.randomUUID`, which concatenates twenty strings: an id
 * made from all its character codes at once takes half the time to create and to write.
 */
export function newMessageId(): string {
  if (at === random.length) {
    randomFillSync(random);
    at = 0;
  }
  random[at + 6] = (byteAt(6) & 0x0f) | 0x40;
  random[at + 8] = (byteAt(8) & 0x3f) | 0x80;
  // prettier-ignore
  const id = String.fromCharCode(
    high(0), low(0), high(1), low(1), high(2), low(2), high(3), low(3), DASH,
    high(4), low(4), high(5), low(5), DASH,
    high(6), low(6), high(7), low(7), DASH,
    high(8), low(8), high(9), low(9), DASH,
    high(10), low(10), high(11), low(11), high(12), low(12), high(13), low(13), high(14), low(14), high(15), low(15),
  );
  at += BYTES;
  return id;
}

const byteAt = (i: number): number => random[at + i] ?? 0;
const high = (i: number): number => HIGH[byteAt(i)] ?? 0;
const low = (i: number): number => LOW[byteAt(i)] ?? 0;
