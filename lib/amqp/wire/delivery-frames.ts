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
import { uint16At, uint32At } from './read-buffer';

/** Class 60, method 60. */
const BASIC_DELIVER = BASIC * 0x10000 + 60;
const TAG_AT = FRAME_HEADER + 4;
/** Class, weight, body size and flags. */
const LEAST_HEADER = 14;
/** amqplib and its guard handle header frames from this size on. Smaller ones cannot nest deep. */
const LARGEST_HEADER = 500;
/** The largest body for which the rest of its frame is waited for. RabbitMQ's frames hold less by default. */
const LARGEST_FRAME = 256 * 1024;
/** The largest body whose memory is allocated before it has come. */
const LARGEST_BODY = 64 * 1024 * 1024;

/** Parses the messages of one consumer on one channel, and caches the names of the last one. */
export class DeliveryFrames {
  readonly #channel: number;
  readonly #tag: Buffer;
  readonly #decode: DecodeHeader;
  /** The bytes of exchange and routing key in the last frame; at first, those of two empty names. */
  #route: Buffer = Buffer.alloc(2);
  #names: Names;
  /** The end of the last message that was parsed. */
  end = 0;
  /** Is the message that was last to be parsed as expected so far, and a part of its only body frame still to come? */
  incomplete = false;
  /** Did the last message end with its header, and is its body, perhaps in several frames, still to come? */
  partial = false;

  constructor(channel: number, consumerTag: string, decode: DecodeHeader) {
    this.#channel = channel;
    this.#tag = Buffer.from(consumerTag);
    this.#decode = decode;
    this.#names = { exchange: '', routingKey: '' };
  }

  /**
   * The message at `start`: deliver, header and at most one body frame, all complete and as expected; or deliver and header alone,
   * if it is `partial`. `end` is then where the next frame begins. Undefined: amqplib has to handle it, or it is `incomplete`.
   */
  parse(bytes: Buffer, start: number): Arrival | undefined {
    this.incomplete = this.partial = false;
    const headerAt = this.#frameEnd(bytes, start, METHOD);
    if (uint32At(bytes, start + FRAME_HEADER) !== BASIC_DELIVER) return undefined;
    const tagAt = start + TAG_AT;
    const deliveryTagAt = tagAt + 1 + this.#tag.length;
    if (bytes[tagAt] !== this.#tag.length || !liesAt(bytes, tagAt + 1, deliveryTagAt, this.#tag)) return undefined;
    // Behind the consumer tag come the delivery tag, `redelivered` and the names. They end where the frame ends, so never at 0.
    if (!this.#readRoute(bytes, deliveryTagAt + 9, headerAt - 1)) return undefined;

    const bodyAt = this.#frameEnd(bytes, headerAt, HEADER);
    // Negative if the frame is not a header frame, or not complete.
    const headerSize = bodyAt - headerAt - FRAME_OVERHEAD;
    if (headerSize < LEAST_HEADER || headerSize >= LARGEST_HEADER) return undefined;
    if (uint16At(bytes, headerAt + FRAME_HEADER) !== BASIC || uint32At(bytes, headerAt + BODY_SIZE_AT) !== 0)
      return undefined;
    if (!beginsWithin(bytes, headerAt, bodyAt - 1)) return undefined;
    const size = uint32At(bytes, headerAt + BODY_SIZE_AT + 4);
    let end = bodyAt;
    if (size > 0) {
      this.incomplete = this.#isCut(bytes, bodyAt, size);
      this.partial = this.#isToBePutTogether(bytes, bodyAt, size);
      if (!this.partial) {
        end = this.#frameEnd(bytes, bodyAt, BODY);
        if (end - bodyAt - FRAME_OVERHEAD !== size) return undefined;
      }
    }
    const content = this.partial ? Buffer.allocUnsafeSlow(size) : bytes.subarray(bodyAt + FRAME_HEADER, end - 1);
    this.end = end;
    const deliveryTag = uint32At(bytes, deliveryTagAt) * 2 ** 32 + uint32At(bytes, deliveryTagAt + 4);
    const redelivered = ((bytes[deliveryTagAt + 8] ?? 0) & 1) === 1;
    return new Arrival(bytes, this.#names, deliveryTag, redelivered, headerAt, bodyAt, content, this.#decode);
  }

  /** The end of the frame at `at`; 0 if its type or channel differs, it is incomplete, or its end octet is wrong. */
  #frameEnd(bytes: Buffer, at: number, type: number): number {
    if (bytes[at] !== type || uint16At(bytes, at + 1) !== this.#channel) return 0;
    const end = at + FRAME_OVERHEAD + uint32At(bytes, at + SIZE_AT);
    return bytes[end - 1] === FRAME_END ? end : 0;
  }

  /** Is a part of the body frame at `at`, with all of the body, still to come? */
  #isCut(bytes: Buffer, at: number, size: number): boolean {
    if (size > LARGEST_FRAME || at + FRAME_OVERHEAD + size <= bytes.length) return false;
    return this.#bodyFrameAt(bytes, at) === size;
  }

  /** Does the frame at `at` begin a body of several, or is it still to come? */
  #isToBePutTogether(bytes: Buffer, at: number, size: number): boolean {
    return size <= LARGEST_BODY && this.#bodyFrameAt(bytes, at) < size;
  }

  /** What the body frame at `at` holds; 0: its header is still to come; Infinity: it is none of this channel. */
  #bodyFrameAt(bytes: Buffer, at: number): number {
    if (at + FRAME_HEADER > bytes.length) return 0;
    const isBody = bytes[at] === BODY && uint16At(bytes, at + 1) === this.#channel;
    return isBody ? uint32At(bytes, at + SIZE_AT) : Infinity;
  }

  #readRoute(bytes: Buffer, from: number, end: number): boolean {
    if (liesAt(bytes, from, end, this.#route)) return true;
    const keyAt = from + 1 + (bytes[from] ?? 0);
    if (keyAt + 1 + (bytes[keyAt] ?? 0) !== end) return false;
    this.#route = Buffer.from(bytes.subarray(from, end));
    this.#names = {
      exchange: bytes.toString('utf8', from + 1, keyAt),
      routingKey: bytes.toString('utf8', keyAt + 1, end),
    };
    return true;
  }
}

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

/** The body of a message in several frames, or in one that comes later. It is copied from where it was read to where it stays, whatever comes in between. */
export class LargeBody {
  readonly channel: number;
  readonly message: Arrival;
  #filled = 0;
  /** Octets of the present frame that are still to come, with the one at its end. */
  #left = 0;

  constructor(channel: number, message: Arrival) {
    this.channel = channel;
    this.message = message;
  }

  /** Is a part of a frame still to come? */
  get within(): boolean {
    return this.#left > 0;
  }
  /** Is all of it there, once no part of a frame is still to come? */
  get complete(): boolean {
    return this.#filled === this.message.content.length;
  }

  /** May the frame at `at`, whose header is there, be the next one? */
  expects(bytes: Uint8Array, at: number): boolean {
    const size = uint32At(bytes, at + SIZE_AT);
    return bytes[at] === BODY && size > 0 && this.#filled + size <= this.message.content.length;
  }

  /** Takes what there is of the present frame, or of the one at `at`. Returns its end. @throws Error if it does not end as it has to */
  take(bytes: Uint8Array, at: number): number {
    let from = at;
    if (this.#left === 0) {
      this.#left = uint32At(bytes, at + SIZE_AT) + 1;
      from += FRAME_HEADER;
    }
    const end = Math.min(from + this.#left - 1, bytes.length);
    this.message.content.set(bytes.subarray(from, end), this.#filled);
    this.#filled += end - from;
    this.#left -= end - from;
    if (end === bytes.length) return end;
    if (bytes[end] !== FRAME_END) throw new Error('A frame of a body does not end with the octet that ends frames.');
    this.#left = 0;
    return end + 1;
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

/** Are these the bytes between `from` and `end`? A loop: for short names it is twice as fast as `Buffer.compare`. */
function liesAt(bytes: Buffer, from: number, end: number, these: Buffer): boolean {
  const { length } = these;
  if (end - from !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[from + i] !== these[i]) return false;
  return true;
}
