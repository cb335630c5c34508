import { logBrokerHeaders } from '../broker-headers';
import { packBody, type Codec, type Packed } from '../codec';
import type { ConnectionCore } from '../connection/connection-core';
import { isQueueContract } from '../contract';
import { CONTRACT, type AnyExchangeContract, type AnyQueueContract } from '../contract-codecs';
import { DELAY_HEADERS, Delayed, type Wire } from '../delay/delayed';
import type { DelayKind } from '../delay/levels';
import { PublishError, sentenceOf } from '../errors';
import { tableSize } from '../field-table';
import { NotEncodable } from '../not-encodable';
import { DEFAULTS, withDefaults } from '../options';
import type { MessageProperties } from '../properties';
import type { Topology } from '../topology';
import type { WireMessage } from '../transport/transport';
import {
  checkMessage,
  givenId,
  newMessageId,
  propertiesOf,
  type ContractMessage,
  type OutboundMessage,
} from './outbound-message';

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
    checkMessage(message);
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
  const { content, contentType, contentEncoding } = packedBody(writer, message, messageId);
  if (contentEncoding !== properties?.contentEncoding)
    properties = withDefaults({ ...properties }, { contentEncoding });
  const propertiesFrame = headers + restOfFrame(properties, contentType, given);
  return new Encoded(messageId, message, defaults, contentType, properties, content, propertiesFrame, delayed);
}

/** The body of a message as bytes. @throws PublishError PUBLISH_INVALID */
export function packedBody<T>(
  writer: Codec<unknown, T>,
  message: { readonly body: T } & Pick<MessageProperties, 'contentType' | 'contentEncoding' | 'messageId'>,
  messageId?: string,
): Packed {
  try {
    return packBody(writer, message.body, message);
  } catch (cause) {
    // The error of a codec may quote the body, so it becomes the cause and no part of the message.
    const sentence =
      cause instanceof NotEncodable
        ? `The codec cannot encode the body of this message: ${cause.message}`
        : 'The codec cannot encode the body of this message (see `cause`).';
    throw new PublishError('PUBLISH_INVALID', messageId ?? givenId(message) ?? newMessageId(), sentence, { cause });
  }
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

export function invalid(messageId: string, what: string, cause: unknown): PublishError {
  return new PublishError('PUBLISH_INVALID', messageId.slice(0, 255), `${what}: ${sentenceOf(cause)}`, { cause });
}

/** What knows the queues and exchanges that messages may name. */
export interface RouteNames {
  /** Names that need no look. */
  readonly seen: { readonly queue: ReadonlySet<string>; readonly exchange: ReadonlySet<string> };
  /** Looks at the route of a message. @throws PublishError if it is refused */
  checkMessage(message: Encoded): void;
  /** Called once with each contract that a message is addressed to. @throws OptionsError if it is refused */
  learn(contract: NonNullable<Encoded['contract']>): void;
}

/** @throws PublishError if the names refuse the route of the message */
function checkNames(encoded: Encoded, names: RouteNames): void {
  const { queue, exchange } = encoded;
  const isSeen = queue === undefined ? names.seen.exchange.has(exchange) : names.seen.queue.has(queue);
  if (!isSeen) names.checkMessage(encoded);
}

/** Checks and encodes the messages of one producer, and remembers the contracts that they are addressed to. */
export class MessageEncoder<T> {
  readonly #core: ConnectionCore;
  readonly #codec: Codec<unknown, T>;
  readonly #defaults: MessageDefaults;
  readonly #names: RouteNames | undefined;
  readonly #learned = new WeakSet();

  /** Without `names` a message may name anything. */
  constructor(
    core: ConnectionCore,
    codec: Codec<unknown, T>,
    defaults: MessageDefaults,
    names: RouteNames | undefined,
  ) {
    this.#core = core;
    this.#codec = codec;
    this.#defaults = defaults;
    this.#names = names;
  }

  /** @throws PublishError PUBLISH_INVALID; OptionsError if a contract cannot be right */
  encode(message: OutboundMessage<T> | ContractMessage): Encoded {
    const encoded = encode<unknown>(message, this.#codec, this.#defaults);
    const { contract, messageId } = encoded;
    if (contract !== undefined && !this.#learned.has(contract)) this.#learn(contract);
    if (this.#names) checkNames(encoded, this.#names);
    if (message.headers) logBrokerHeaders(this.#core.log, message.headers, messageId);
    return encoded;
  }

  #learn(contract: NonNullable<Encoded['contract']>): void {
    this.#names?.learn(contract);
    if (isQueueContract(contract)) this.#core.learn(contract);
    this.#learned.add(contract);
  }
}

// Upper bounds of the properties frame of a message, which is never split.

/** The size of the buffer into which amqplib encodes headers. */
const HEADERS = 65_536;
/** Class, weight, body size, flags, and the frame around them. */
const PROPERTIES_FRAME = 22;
/** Bytes of a random UUID with its length. */
const UUID = 37;

/** The size of the headers, with `more` bytes that will be added to them. @throws RangeError if they do not fit */
function headersSize(properties: MessageProperties | undefined, more: number): number {
  if (!properties?.headers) return 4 + more;
  const size = tableSize(properties.headers) + more;
  if (size > HEADERS)
    throw new RangeError(
      `they take ${String(size)} bytes, at most ${String(HEADERS)} fit. Put large data into the body.`,
    );
  return size;
}

function stringsSize({ expiration, ...properties }: MessageProperties): number {
  let size = expiration === undefined ? 0 : 1 + String(Math.floor(expiration)).length;
  for (const value of Object.values(properties)) if (typeof value === 'string') size += sizeOf(value);
  return size;
}

const sizeOf = (value: string | undefined): number => (value === undefined ? 0 : 1 + Buffer.byteLength(value));

/** Everything but the headers; `messageId`: undefined for a random one. */
function restOfFrame(
  properties: MessageProperties | undefined,
  contentType: string | undefined,
  messageId: string | undefined,
): number {
  const strings = (properties ? stringsSize(properties) : 0) + sizeOf(contentType);
  return PROPERTIES_FRAME + strings + (messageId === undefined ? UUID : sizeOf(messageId)) + 10;
}
