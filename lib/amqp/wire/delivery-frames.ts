import type { ConsumeMessage } from 'amqplib';
import type { Arguments, MessageProperties } from '../../properties';
import type { InboundMessage } from '../../transport/transport';
import { fromAmqp } from '../amqp-properties';
import {
  BASIC,
  BODY,
  BODY_SIZE_AT,
  FLAG,
  FLAGS_AT,
  FRAME_END,
  FRAME_HEADER,
  FRAME_OVERHEAD,
  HEADER,
  METHOD,
  PROPERTIES_AT,
  SIZE_AT,
} from './frames';

/** Class 60, method 60. */
const BASIC_DELIVER = BASIC * 0x10000 + 60;
const TAG_AT = FRAME_HEADER + 4;
/** Class, weight, body size and flags. */
const LEAST_HEADER = 14;
/** amqplib and its guard handle header frames from this size on. Smaller ones cannot nest deep. */
const LARGEST_HEADER = 500;
/** The largest body that is waited for. RabbitMQ's frames hold less by default, and what is larger comes in several. */
const LARGEST_BODY = 256 * 1024;

/** Parses the messages of one consumer on one channel, and caches the names of the last one. */
export class DeliveryFrames {
  readonly #channel: number;
  readonly #tag: Buffer;
  readonly #decode: DecodeHeader;
  /** The bytes of exchange and routing key in the last frame. */
  #route: Buffer = Buffer.alloc(0);
  #names: Names;
  /** The end of the last message that was parsed. */
  end = 0;
  /** Is the message that was last to be parsed as expected so far, and a part of its body still to come? */
  incomplete = false;

  constructor(channel: number, consumerTag: string, decode: DecodeHeader) {
    this.#channel = channel;
    this.#tag = Buffer.from(consumerTag);
    this.#decode = decode;
    this.#names = { exchange: '', routingKey: '' };
  }

  /**
   * The message at `start`: deliver, header and at most one body frame, all complete and as expected. `end` is then where the
   * next one begins. Undefined: amqplib has to handle it, or it is `incomplete`.
   */
  parse(bytes: Buffer, start: number): Arrival | undefined {
    this.incomplete = false;
    const headerAt = this.#frameEnd(bytes, start, METHOD);
    if (headerAt === 0 || uint32At(bytes, start + FRAME_HEADER) !== BASIC_DELIVER) return undefined;
    const tagAt = start + TAG_AT;
    const deliveryTagAt = tagAt + 1 + this.#tag.length;
    // The least: tag, number, redelivered, two names.
    if (deliveryTagAt + 8 + 1 + 2 >= headerAt || bytes[tagAt] !== this.#tag.length) return undefined;
    if (!liesAt(bytes, tagAt + 1, deliveryTagAt, this.#tag)) return undefined;
    if (!this.#readRoute(bytes, deliveryTagAt + 9, headerAt - 1)) return undefined;

    const bodyAt = this.#frameEnd(bytes, headerAt, HEADER);
    const headerSize = bodyAt - headerAt - FRAME_OVERHEAD;
    if (bodyAt === 0 || headerSize < LEAST_HEADER || headerSize >= LARGEST_HEADER) return undefined;
    if (uint16At(bytes, headerAt + FRAME_HEADER) !== BASIC || uint32At(bytes, headerAt + BODY_SIZE_AT) !== 0)
      return undefined;
    if (!beginsWithin(bytes, headerAt, bodyAt - 1)) return undefined;
    const size = uint32At(bytes, headerAt + BODY_SIZE_AT + 4);
    let end = bodyAt;
    if (size > 0) {
      end = this.#frameEnd(bytes, bodyAt, BODY);
      if (end === 0) this.incomplete = this.#isCut(bytes, bodyAt, size);
      // In several frames, or still incomplete.
      if (end === 0 || end - bodyAt - FRAME_OVERHEAD !== size) return undefined;
    }
    const content = size === 0 ? NOTHING : bytes.subarray(bodyAt + FRAME_HEADER, end - 1);
    this.end = end;
    const deliveryTag = uint32At(bytes, deliveryTagAt) * 2 ** 32 + uint32At(bytes, deliveryTagAt + 4);
    const redelivered = ((bytes[deliveryTagAt + 8] ?? 0) & 1) === 1;
    return new Arrival(bytes, this.#names, deliveryTag, redelivered, headerAt, bodyAt, content, this.#decode);
  }

  /** The end of the frame at `at`; 0 if its type or channel differs, it is incomplete, or its end octet is wrong. */
  #frameEnd(bytes: Buffer, at: number, type: number): number {
    if (at + FRAME_HEADER > bytes.length || bytes[at] !== type) return 0;
    if (uint16At(bytes, at + 1) !== this.#channel) return 0;
    const end = at + FRAME_OVERHEAD + uint32At(bytes, at + SIZE_AT);
    return end <= bytes.length && bytes[end - 1] === FRAME_END ? end : 0;
  }

  /** Is a part of the body frame at `at`, with all of the body, still to come? */
  #isCut(bytes: Buffer, at: number, size: number): boolean {
    if (size > LARGEST_BODY || at + FRAME_OVERHEAD + size <= bytes.length) return false;
    if (at + FRAME_HEADER > bytes.length) return true;
    return bytes[at] === BODY && uint16At(bytes, at + 1) === this.#channel && uint32At(bytes, at + SIZE_AT) === size;
  }

  #readRoute(bytes: Buffer, from: number, end: number): boolean {
    if (liesAt(bytes, from, end, this.#route)) return true;
    const keyAt = from + 1 + (bytes[from] ?? 0);
    if (keyAt >= end || keyAt + 1 + (bytes[keyAt] ?? 0) !== end) return false;
    this.#route = Buffer.from(bytes.subarray(from, end));
    this.#names = {
      exchange: bytes.toString('utf8', from + 1, keyAt),
      routingKey: bytes.toString('utf8', keyAt + 1, end),
    };
    return true;
  }
}

const NOTHING = Buffer.alloc(0);

/** Lets amqplib decode a header frame, on first access to its properties. */
type DecodeHeader = (frame: Buffer) => ConsumeMessage['properties'];

/** Exchange and routing key of a message; most messages share them with the one before. */
export interface Names {
  readonly exchange: string;
  readonly routingKey: string;
}

/** Do the properties that are read eagerly end before `end`? */
function beginsWithin(bytes: Buffer, headerAt: number, end: number): boolean {
  const flags = uint16At(bytes, headerAt + FLAGS_AT);
  let at = headerAt + PROPERTIES_AT;
  if (flags & FLAG.contentType) at += 1 + (bytes[at] ?? 0);
  if (flags & FLAG.contentEncoding) at += 1 + (bytes[at] ?? 0);
  return (flags & FLAG.headers ? at + 4 : at) <= end;
}

/** A message parsed in place, in the bytes that were read. Its header frame is decoded on first access. */
export class Arrival implements InboundMessage {
  readonly content: Buffer;
  readonly deliveryTag: number;
  readonly redelivered: boolean;
  readonly exchange: string;
  readonly routingKey: string;
  /** The first two properties; decoding a body needs them. */
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** An empty table counts as none. */
  readonly #hasHeaders: boolean;
  readonly #bytes: Buffer;
  readonly #headerAt: number;
  readonly #headerEnd: number;
  readonly #decode: DecodeHeader;
  #properties: MessageProperties | undefined;

  constructor(
    bytes: Buffer,
    { exchange, routingKey }: Names,
    deliveryTag: number,
    redelivered: boolean,
    headerAt: number,
    headerEnd: number,
    content: Buffer,
    decode: DecodeHeader,
  ) {
    this.content = content;
    this.deliveryTag = deliveryTag;
    this.redelivered = redelivered;
    this.exchange = exchange;
    this.routingKey = routingKey;
    this.#bytes = bytes;
    this.#headerAt = headerAt;
    this.#headerEnd = headerEnd;
    this.#decode = decode;
    const flags = uint16At(bytes, headerAt + FLAGS_AT);
    let at = headerAt + PROPERTIES_AT;
    let contentType: string | undefined;
    let contentEncoding: string | undefined;
    if (flags & FLAG.contentType) {
      contentType = contentTypes.read(bytes, at);
      at += 1 + (bytes[at] ?? 0);
    }
    if (flags & FLAG.contentEncoding) {
      contentEncoding = contentEncodings.read(bytes, at);
      at += 1 + (bytes[at] ?? 0);
    }
    this.contentType = contentType;
    this.contentEncoding = contentEncoding;
    this.#hasHeaders = (flags & FLAG.headers) !== 0 && uint32At(bytes, at) > 0;
  }

  get headers(): Arguments | undefined {
    return this.#hasHeaders ? this.properties.headers : undefined;
  }
  get properties(): MessageProperties {
    return (this.#properties ??= fromAmqp(this.#decode(this.#bytes.subarray(this.#headerAt, this.#headerEnd))));
  }
  /** amqplib and its guard handle headers that nest too deep. */
  get unreadable(): undefined {
    return undefined;
  }
}

/** A short string that is nearly always the same: an equal one is not created anew. */
class Repeated {
  #bytes: Buffer = Buffer.of(0);
  #text = '';

  read(from: Buffer, at: number): string {
    const end = at + 1 + (from[at] ?? 0);
    if (!liesAt(from, at, end, this.#bytes)) {
      this.#bytes = Buffer.from(from.subarray(at, end));
      this.#text = from.toString('utf8', at + 1, end);
    }
    return this.#text;
  }
}
const contentTypes = new Repeated();
const contentEncodings = new Repeated();

/**
 * Reads unsigned integers in network byte order. `Buffer`'s own methods are looked up at each call, even in optimised code, which
 * costs 5 % of the CPU of consuming. Bytes beyond the end count as zero.
 */
export const uint16At = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

export const uint32At = (bytes: Uint8Array, at: number): number =>
  uint16At(bytes, at) * 2 ** 16 + uint16At(bytes, at + 2);

/** Are these the bytes between `from` and `end`? A loop: for short names it is twice as fast as `Buffer.compare`. */
function liesAt(bytes: Buffer, from: number, end: number, these: Buffer): boolean {
  const { length } = these;
  if (end - from !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[from + i] !== these[i]) return false;
  return true;
}
