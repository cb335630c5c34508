import { Arrival, beginsWithin, type DecodeHeader, type Names } from './arrival';
import { BASIC, BODY, BODY_SIZE_AT, FRAME_END, FRAME_HEADER, FRAME_OVERHEAD, HEADER, METHOD, SIZE_AT } from './frames';
import { liesAt } from './lies-at';
import { uint16At, uint32At } from './octets';

/** Class 60, method 60. */
const BASIC_DELIVER = BASIC * 0x10000 + 60;
const TAG_AT = FRAME_HEADER + 4;
/** Class, weight, body size and flags. */
const LEAST_HEADER = 14;
/** Header frames from here on are amqplib's, and its guard's: what is smaller cannot nest deep. */
const LARGEST_HEADER = 500;

/** Parses the messages of one consumer on one channel, and remembers what the last one was named. */
export class DeliveryFrames {
  readonly #channel: number;
  readonly #tag: Buffer;
  readonly #decode: DecodeHeader;
  /** Exchange and routing key as they lay in the last frame. */
  #route: Buffer = Buffer.alloc(0);
  #names: Names;
  /** Where the message that was parsed last ended. */
  end = 0;

  constructor(channel: number, consumerTag: string, decode: DecodeHeader) {
    this.#channel = channel;
    this.#tag = Buffer.from(consumerTag);
    this.#decode = decode;
    this.#names = { exchange: '', routingKey: '' };
  }

  /**
   * The message at `start`: deliver, header and at most one body frame, all of them there and nothing odd about any;
   * `end` says where the next one begins. Undefined: it is amqplib's to judge.
   */
  parse(bytes: Buffer, start: number): Arrival | undefined {
    const headerAt = this.#frameEnd(bytes, start, METHOD);
    if (headerAt === 0 || uint32At(bytes, start + FRAME_HEADER) !== BASIC_DELIVER) return undefined;
    const tagAt = start + TAG_AT;
    const deliveryTagAt = tagAt + 1 + this.#tag.length;
    // Tag, number, redelivered, two names at least.
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
      // In several frames, or not all there yet.
      if (end === 0 || end - bodyAt - FRAME_OVERHEAD !== size) return undefined;
    }
    const content = size === 0 ? NOTHING : bytes.subarray(bodyAt + FRAME_HEADER, end - 1);
    this.end = end;
    const deliveryTag = uint32At(bytes, deliveryTagAt) * 2 ** 32 + uint32At(bytes, deliveryTagAt + 4);
    const redelivered = ((bytes[deliveryTagAt + 8] ?? 0) & 1) === 1;
    return new Arrival(bytes, this.#names, deliveryTag, redelivered, headerAt, bodyAt, content, this.#decode);
  }

  /** The end of the frame at `at`; 0: it is not of that type and this channel, not whole, or does not end as it should. */
  #frameEnd(bytes: Buffer, at: number, type: number): number {
    if (at + FRAME_HEADER > bytes.length || bytes[at] !== type) return 0;
    if (uint16At(bytes, at + 1) !== this.#channel) return 0;
    const end = at + FRAME_OVERHEAD + uint32At(bytes, at + SIZE_AT);
    return end <= bytes.length && bytes[end - 1] === FRAME_END ? end : 0;
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
