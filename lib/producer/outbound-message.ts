import { withoutBrokerHeaders } from '../broker-headers';
import { packBody, type Codec, type Packed } from '../codec';
import { DELAY_HEADERS, Delayed, type Wire } from '../delay/delayed';
import { LONGEST_DELAY, type DelayKind } from '../delay/levels';
import { isExchangeContract, isQueueContract } from '../contract';
import { CONTRACT } from '../contract-codecs';
import type { AnyExchangeContract, AnyQueueContract } from '../contract-codecs';
import { PublishError, sentenceOf } from '../errors';
import { plainTable } from '../field-table';
import { FILTER_VALUE, filterValue } from '../filter-value';
import { NotEncodable } from '../not-encodable';
import {
  DEFAULTS,
  type Shape,
  boolean,
  checkOptions,
  date,
  integer,
  isObject,
  number,
  object,
  shortString,
  withDefaults,
} from '../options';
import type { Arguments, MessageProperties } from '../properties';
import type { Topology } from '../topology';
import { checkRoute } from '../topology-checks';
import type { WireMessage } from '../transport/transport';
import type { ContractMessage, OutboundMessage } from './contract-message';
import { newMessageId } from './message-id';
import { headersSize, restOfFrame } from './properties-frame';

export type { OutboundMessage };

/** Defaults for messages. */
export interface MessageDefaults {
  readonly persistent: boolean;
  readonly mandatory: boolean;
  /** Where messages with a `delay` or an `at` wait. */
  readonly delayIn?: DelayKind;
  /** Exchanges that delay messages, and so return every mandatory one at once. */
  readonly delaying?: ReadonlySet<string> | undefined;
}

/**
 * The delayed-message exchanges of a topology.
 * https://github.com/rabbitmq/rabbitmq-delayed-message-exchange#performance-impact
 */
export function delayingExchanges(topology: Topology | undefined): ReadonlySet<string> | undefined {
  const delaying = (topology?.exchanges ?? []).filter(({ type }) => type === 'x-delayed-message');
  return delaying.length === 0 ? undefined : new Set(delaying.map(({ name }) => name));
}

const name = shortString();
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
  queue: name,
  exchange: name,
  routingKey: name,
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

/** A checked and encoded message, ready for the wire. */
export class Encoded implements WireMessage {
  readonly messageId: string;
  /** Where it is published to; that of a level, if it waits at the broker. */
  exchange: string;
  readonly routingKey: string;
  /** The queue to ensure, for a `queue` route. */
  readonly queue: string | undefined;
  readonly persistent: boolean;
  mandatory: boolean;
  readonly contentType: string | undefined;
  /** Further properties; undefined: none. */
  properties: MessageProperties | undefined;
  /** The contract that it was addressed to, if any. */
  readonly contract: AnyQueueContract | AnyExchangeContract | undefined;
  /** Released when the message is settled. */
  content: Buffer;
  /** Bytes of the properties frame, which is never split. */
  readonly propertiesFrame: number;
  /** Bytes held while it waits: content and properties. */
  readonly bytes: number;
  /** Its delay, if it has one. */
  readonly delayed: Delayed | undefined;

  constructor(
    messageId: string,
    { queue, exchange, routingKey, persistent, mandatory }: OutboundMessage | ContractMessage,
    defaults: MessageDefaults,
    contentType: string | undefined,
    properties: MessageProperties | undefined,
    content: Buffer,
    propertiesFrame: number,
    delayed: Delayed | undefined,
  ) {
    this.messageId = messageId;
    const name = typeof queue === 'object' ? queue.name : queue;
    this.contract = typeof queue === 'object' ? queue : typeof exchange === 'object' ? exchange : undefined;
    this.exchange = typeof exchange === 'object' ? exchange.name : (exchange ?? '');
    this.routingKey = name ?? routingKey ?? '';
    this.queue = name;
    this.persistent = persistent ?? defaults.persistent;
    const delaying =
      typeof exchange === 'object'
        ? exchange.type === 'x-delayed-message'
        : defaults.delaying?.has(this.exchange) === true;
    this.mandatory = mandatory ?? (defaults.mandatory && !delaying);
    this.contentType = contentType;
    this.properties = properties;
    this.content = content;
    this.propertiesFrame = propertiesFrame;
    this.bytes = content.length + propertiesFrame;
    this.delayed = delayed;
    delayed?.belongsTo(this);
  }

  /** Takes the form in which it goes to the wire now: into the levels of its delay, or to where it goes without one. */
  dress({ exchange, properties, mandatory }: Wire): void {
    this.exchange = exchange;
    this.properties = properties;
    this.mandatory = mandatory;
  }

  /** The exchange that it is sent to, whatever lies in between. */
  get sentTo(): string {
    return this.delayed?.exchange ?? this.exchange;
  }

  /** ms */
  get expiration(): number | undefined {
    return this.properties?.expiration;
  }
}

/** The `messageId` of an invalid message, if it has one. */
export function givenId(message: unknown): string | undefined {
  return isObject(message) && typeof message['messageId'] === 'string' ? message['messageId'] : undefined;
}

/**
 * Checks and encodes a message. Refuses everything known to close the channel or the connection.
 * @throws PublishError PUBLISH_INVALID
 */
export function encode<T>(
  message: OutboundMessage<T> | ContractMessage<T>,
  codec: Codec<unknown, T>,
  defaults: MessageDefaults,
): Encoded {
  const given = givenId(message);
  const messageId = given ?? newMessageId();
  let properties: MessageProperties | undefined;
  let writer: Codec<unknown, T>;
  let delayed: Delayed | undefined;
  try {
    check(message);
    writer = writerOf(message, codec);
    properties = propertiesOf(message);
    if (message.delay !== undefined || message.at !== undefined) {
      delayed = new Delayed(message, defaults.delayIn ?? DEFAULTS.delayIn, properties?.headers);
    }
  } catch (cause) {
    throw invalid(messageId, 'This message cannot be sent', cause);
  }
  let headers: number;
  try {
    headers = headersSize(properties, delayed ? DELAY_HEADERS : 0);
  } catch (cause) {
    throw invalid(messageId, 'The headers of this message cannot be sent', cause);
  }
  // The error of a codec may quote the body, so it becomes the cause and no part of the message.
  let packed: Packed;
  try {
    packed = packBody(writer, message.body, message);
  } catch (cause) {
    const sentence =
      cause instanceof NotEncodable
        ? `The codec cannot encode the body of this message: ${cause.message}`
        : 'The codec cannot encode the body of this message (see `cause`).';
    throw new PublishError('PUBLISH_INVALID', messageId, sentence, { cause });
  }
  const { content, contentType, contentEncoding } = packed;
  if (contentEncoding !== properties?.contentEncoding)
    properties = withDefaults({ ...properties }, { contentEncoding });
  const propertiesFrame = headers + restOfFrame(properties, contentType, given);
  return new Encoded(messageId, message, defaults, contentType, properties, content, propertiesFrame, delayed);
}

/** The codec that writes a message: that of its contract, or else the given one. @throws NotEncodable if the contract has no such message */
export function writerOf<T>(
  { queue, exchange, routingKey = '' }: OutboundMessage<T> | ContractMessage<T>,
  codec: Codec<unknown, T>,
): Codec<unknown, T> {
  if (typeof queue === 'object') return queue[CONTRACT].toSend();
  if (typeof exchange === 'object') return exchange[CONTRACT].toSend(routingKey);
  return codec;
}

function check(message: unknown): void {
  // If a body was passed instead of a message, the error names only its type: errors contain no bodies.
  if (!isObject(message))
    throw new TypeError(
      `Expected an object with a route and a \`body\`, got ${Array.isArray(message) ? 'an array' : typeof message}.`,
    );
  const { routingKey, contentType, messageId, type, persistent, mandatory } = message;
  const queue = isQueueContract(message['queue']) ? message['queue'].name : message['queue'];
  const exchange = isExchangeContract(message['exchange']) ? message['exchange'].name : message['exchange'];
  // For nearly all messages, checks by name are faster than the table.
  const plain =
    isOfFew(message) &&
    isName(queue) &&
    isName(exchange) &&
    isName(routingKey) &&
    isName(contentType) &&
    isName(messageId) &&
    isName(type) &&
    isFlag(persistent) &&
    isFlag(mandatory);
  if (!plain) {
    const byName = queue === message['queue'] && exchange === message['exchange'];
    checkOptions<object>(byName ? message : { ...message, queue, exchange }, MESSAGE, A_MESSAGE);
  }
  // `checkRoute` throws the errors.
  if ((queue === undefined) === (exchange === undefined) || (queue !== undefined && routingKey !== undefined))
    checkRoute({ queue, exchange, routingKey }, 'message');
  if (queue === '') throw new TypeError('a queue route needs the name of a queue');
}
const A_MESSAGE = { of: 'a message' };

/** Has the message nothing beside what most messages have? */
function isOfFew(message: object): boolean {
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

const isFlag = (value: unknown): boolean => value === undefined || typeof value === 'boolean';
const isName = (value: unknown): boolean => value === undefined || name(value) === undefined;

/** The properties beside route, body, id and content type; undefined: none. A copy, because the caller may change the message. */
function propertiesOf(
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
  const all = { correlationId, replyTo, type, appId, userId, contentEncoding, timestamp, expiration, priority };
  return withDefaults(headers === undefined ? {} : { headers: plainTable(withoutBrokerHeaders(headers)) }, all);
}

function filteredHeaders({ headers = {} }: Pick<MessageProperties, 'headers'>, streamFilter: string): Arguments {
  const { [FILTER_VALUE]: given = streamFilter } = headers;
  if (given !== streamFilter) throw new TypeError(`\`streamFilter\` and the header \`${FILTER_VALUE}\` differ`);
  return { ...headers, [FILTER_VALUE]: streamFilter };
}

function invalid(messageId: string, what: string, cause: unknown): PublishError {
  return new PublishError('PUBLISH_INVALID', messageId.slice(0, 255), `${what}: ${sentenceOf(cause)}`, { cause });
}
