import type { ConfirmChannel } from 'amqplib';
import { isObject } from '../../options';
import type { WireMessage } from '../../transport/transport';
import { writeFieldTable } from './field-table';
import {
  BASIC,
  BODY,
  BODY_SIZE_AT,
  FLAG,
  FRAME_END,
  FRAME_HEADER,
  FRAME_OVERHEAD,
  HEADER,
  METHOD,
  SIZE_AT,
} from './frames';

/** The parts of a message that its frames contain. */
export type FramedMessage = Omit<WireMessage, 'propertiesFrame'>;

/** The method `basic.publish`. */
const PUBLISH = 40;
const NO_HEADERS = Object.freeze({});

/** The `basic.publish` frame of a route: the same for all of its messages. */
export function publishFrame(
  channel: number,
  { exchange, routingKey, mandatory }: Pick<FramedMessage, 'exchange' | 'routingKey' | 'mandatory'>,
): Buffer {
  const size = 4 + 2 + 1 + Buffer.byteLength(exchange) + 1 + Buffer.byteLength(routingKey) + 1;
  const frame = Buffer.alloc(size + FRAME_OVERHEAD);
  let at = frameHeader(frame, 0, METHOD, channel, size);
  at = frame.writeUInt16BE(BASIC, at);
  at = frame.writeUInt16BE(PUBLISH, at);
  at = shortString(frame, at + 2, exchange);
  at = shortString(frame, at, routingKey);
  at = frame.writeUInt8(mandatory ? 1 : 0, at);
  frame.writeUInt8(FRAME_END, at);
  return frame;
}

/** Writes the header frame of a message; returns its end. `expiration`: ms, as text. */
export function writeHeaderFrame(
  to: Buffer,
  start: number,
  channel: number,
  message: FramedMessage,
  expiration: string | undefined,
): number {
  const { properties, contentType, messageId, persistent } = message;
  let flags = FLAG.headers | FLAG.deliveryMode | FLAG.messageId;
  let at = start + FRAME_HEADER;
  at = to.writeUInt32BE(BASIC * 0x10000, at);
  at = bodySize(to, at, message.content.length);
  const flagsAt = at;
  at += 2;
  if (contentType !== undefined) {
    flags |= FLAG.contentType;
    at = shortString(to, at, contentType);
  }
  if (properties?.contentEncoding !== undefined) {
    flags |= FLAG.contentEncoding;
    at = shortString(to, at, properties.contentEncoding);
  }
  // An empty table if there are no headers, as in amqplib: consumers can see the difference.
  at = writeFieldTable(to, at, properties?.headers ?? NO_HEADERS);
  at = to.writeUInt8(persistent ? 2 : 1, at);
  if (properties?.priority !== undefined) {
    flags |= FLAG.priority;
    at = to.writeUInt8(properties.priority, at);
  }
  if (properties?.correlationId !== undefined) {
    flags |= FLAG.correlationId;
    at = shortString(to, at, properties.correlationId);
  }
  if (properties?.replyTo !== undefined) {
    flags |= FLAG.replyTo;
    at = shortString(to, at, properties.replyTo);
  }
  if (expiration !== undefined) {
    flags |= FLAG.expiration;
    at = shortString(to, at, expiration);
  }
  at = shortString(to, at, messageId);
  if (properties?.timestamp !== undefined) {
    flags |= FLAG.timestamp;
    at = to.writeBigUInt64BE(BigInt(Math.floor(properties.timestamp.getTime() / 1000)), at);
  }
  if (properties?.type !== undefined) {
    flags |= FLAG.type;
    at = shortString(to, at, properties.type);
  }
  if (properties?.userId !== undefined) {
    flags |= FLAG.userId;
    at = shortString(to, at, properties.userId);
  }
  if (properties?.appId !== undefined) {
    flags |= FLAG.appId;
    at = shortString(to, at, properties.appId);
  }
  to.writeUInt16BE(flags, flagsAt);
  frameHeader(to, start, HEADER, channel, at - start - FRAME_HEADER);
  return to.writeUInt8(FRAME_END, at);
}

/** Writes the start of a body frame; returns the offset of the body. */
export const writeBodyHeader = (to: Buffer, at: number, channel: number, size: number): number =>
  frameHeader(to, at, BODY, channel, size);

export const writeFrameEnd = (to: Buffer, at: number): number => {
  to[at] = FRAME_END;
  return at + 1;
};

function frameHeader(to: Buffer, at: number, type: number, channel: number, size: number): number {
  to[at] = type;
  to[at + 1] = channel >>> 8;
  to[at + 2] = channel;
  putUint32(to, at + SIZE_AT, size);
  return at + FRAME_HEADER;
}

/** As in read-buffer.ts: `Buffer`'s own method costs more. */
function putUint32(to: Uint8Array, at: number, value: number): void {
  to[at] = value >>> 24;
  to[at + 1] = value >>> 16;
  to[at + 2] = value >>> 8;
  to[at + 3] = value;
}

/** Eight octets, of which the upper half is zero: a body here is far below 4 GiB. */
function bodySize(to: Buffer, at: number, size: number): number {
  return to.writeUInt32BE(size, to.writeUInt32BE(0, at));
}

function shortString(to: Buffer, at: number, value: string): number {
  const length = to.write(value, at + 1);
  to[at] = length;
  return at + 1 + length;
}

/** The largest number of cached routes: there may be as many routing keys as messages. */
const REMEMBERED = 256;

/**
 * The bytes that messages of one route share: the publish frame, and the header frame up to the message id, which is the last
 * property of a message without further ones. The differences are patched in.
 */
class Template {
  readonly #of: FramedMessage;
  readonly #bytes: Buffer;
  readonly #headerAt: number;

  constructor(channel: number, of: FramedMessage) {
    this.#of = of;
    const method = publishFrame(channel, of);
    const header = Buffer.alloc(1024);
    const plain = { ...of, messageId: '', properties: undefined };
    const end = writeHeaderFrame(header, 0, channel, plain, undefined);
    // Excludes the empty id and the end of the frame.
    this.#bytes = Buffer.concat([method, header.subarray(0, end - 2)]);
    this.#headerAt = method.length;
  }

  fits({ exchange, routingKey, mandatory, persistent, contentType }: FramedMessage): boolean {
    const of = this.#of;
    return (
      of.routingKey === routingKey &&
      of.exchange === exchange &&
      of.mandatory === mandatory &&
      of.persistent === persistent &&
      of.contentType === contentType
    );
  }

  /** Writes both frames; returns their end. */
  write(to: Buffer, start: number, messageId: string, bodySize: number): number {
    to.set(this.#bytes, start);
    const idAt = start + this.#bytes.length;
    const length = to.write(messageId, idAt + 1);
    to[idAt] = length;
    const end = idAt + 1 + length;
    const header = start + this.#headerAt;
    putUint32(to, header + SIZE_AT, end - header - FRAME_OVERHEAD + 1);
    putUint32(to, header + BODY_SIZE_AT + 4, bodySize);
    to[end] = FRAME_END;
    return end + 1;
  }
}

/** The templates of one channel. */
export class Templates {
  readonly #channel: number;
  readonly #byRoute = new Map<string, Template>();
  #last: Template | undefined;

  constructor(channel: number) {
    this.#channel = channel;
  }

  for(message: FramedMessage): Template {
    // Most messages have the route of the one before, and need no key.
    if (this.#last?.fits(message)) return this.#last;
    const { exchange, routingKey, mandatory, persistent, contentType } = message;
    const key = JSON.stringify([exchange, routingKey, mandatory, persistent, contentType]);
    let template = this.#byRoute.get(key);
    if (!template) {
      if (this.#byRoute.size >= REMEMBERED) this.#byRoute.clear();
      this.#byRoute.set(key, (template = new Template(this.#channel, message)));
    }
    return (this.#last = template);
  }
}

const SAMPLE: FramedMessage = {
  exchange: 'an exchange',
  routingKey: 'clé',
  mandatory: true,
  persistent: true,
  messageId: '0b5bd2ff-0d2f-4f0b-9c43-0e8c1b6a7d11',
  contentType: 'application/json',
  properties: { headers: { count: 1, text: 'tëxt', none: null }, priority: 3, appId: 'self-test' },
  content: Buffer.from('{"a":1}'),
};
const EXPIRATION = '1000';
const CHANNEL = 513;

const verdicts = new WeakMap<object, boolean>();

/**
 * Does this version of amqplib encode messages exactly as we do? Runs amqplib's own `publish` against a stubbed copy of the
 * channel and its connection, once per version: it sends and changes nothing.
 */
export function encodesAsKnown(channel: ConfirmChannel): boolean {
  const publish: unknown = Reflect.get(channel, 'publish');
  if (typeof publish !== 'function') return false;
  let verdict = verdicts.get(publish);
  if (verdict === undefined) verdicts.set(publish, (verdict = writesTheSame(channel, publish)));
  return verdict;
}

function writesTheSame(channel: ConfirmChannel, publish: CallableFunction): boolean {
  const written: unknown[] = [];
  const buffer = { write: (bytes: unknown) => written.push(bytes) };
  const connection: unknown = Reflect.get(channel, 'connection');
  if (!isObject(connection)) return false;
  const shadow = (of: object, members: Record<string, unknown>): object =>
    Object.create(
      of,
      Object.fromEntries(Object.entries(members).map(([name, value]) => [name, { value, writable: true }])),
    ) as object;
  // What is set on it, such as that something was sent, becomes its own.
  const sink = shadow(connection, { channels: { [CHANNEL]: { buffer } } });
  const probe = shadow(channel, { connection: sink, ch: CHANNEL, pushConfirmCallback: () => undefined });
  const { exchange, routingKey, content, properties, ...rest } = SAMPLE;
  const options = { ...rest, ...properties, expiration: EXPIRATION };
  try {
    Reflect.apply(publish, probe, [exchange, routingKey, content, options]);
  } catch {
    return false;
  }
  const theirs = written.every((bytes) => Buffer.isBuffer(bytes)) ? Buffer.concat(written) : undefined;
  return theirs?.equals(encoded(SAMPLE)) === true;
}

/** A complete message. */
function encoded(message: FramedMessage): Buffer {
  const bytes = Buffer.alloc(1024);
  const method = publishFrame(CHANNEL, message);
  method.copy(bytes);
  const headed = writeHeaderFrame(bytes, method.length, CHANNEL, message, EXPIRATION);
  const bodyAt = writeBodyHeader(bytes, headed, CHANNEL, message.content.length);
  const end = writeFrameEnd(bytes, bodyAt + message.content.copy(bytes, bodyAt));
  return bytes.subarray(0, end);
}
