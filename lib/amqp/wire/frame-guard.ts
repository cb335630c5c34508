import type { ChannelModel } from 'amqplib';
import { isObject } from '../../options';
import { nestsDeeper, walkFieldTable } from './field-table';
import {
  BODY,
  BODY_SIZE_AT,
  FLAG,
  FLAGS_AT,
  FRAME_HEADER,
  FRAME_OVERHEAD,
  HEADER,
  PROPERTIES_AT,
  SIZE_AT,
} from './frames';
import { uint16At, uint32At } from './read-buffer';

/** The limit for our own headers too, so that received headers can be sent again. RabbitMQ itself nests two levels. */
const DEEPEST = 100;
/** The largest `max_message_size` that RabbitMQ allows, bytes. https://www.rabbitmq.com/docs/configure#config-items */
const LARGEST = 512 * 1024 * 1024;
/** Headers that nest this deep take at least so many bytes: each level has the tag and the length of an array. */
const LEAST_DEEP = DEEPEST * 5;
/** The types `L` and `l` of a 64-bit integer. */
const LONG = 0x4c;
const SIGNED_LONG = 0x6c;

const unread = new WeakSet();

/** Were the headers of this message too deep to read? Then the `properties` from amqplib have none. */
export const unreadHeaders = (properties: object): boolean => unread.has(properties);
/** The reason why such a message is undecodable. */
export const headersTooDeep = (): Error =>
  new Error(`The headers of the message are nested more than ${String(DEEPEST)} deep. They were not read.`);

/**
 * Checks each frame before amqplib decodes it. RabbitMQ forwards headers of any depth. amqplib decodes them recursively,
 * overflows the stack and drops the connection, again at each redelivery. So the headers of such a message are removed, and the
 * message is marked. A body that no real broker sends (endless, or in empty frames) would exhaust memory, so it ends the
 * connection. Headers with a type that amqplib does not know are rewritten, see {@link readableHeader}.
 *
 * Installed on this connection only, and only if amqplib looks as expected.
 */
export function guardFrames({ connection }: ChannelModel): void {
  if (!isReading(connection)) return;
  const receive = connection.recvFrame.bind(connection);
  const receiveHeader = (bytes: Buffer): unknown => {
    connection.rest = bytes;
    return receive();
  };
  // amqplib calls it again after each read: a complete frame is checked here before it is decoded.
  connection.recvFrame = () => {
    const { rest } = connection;
    if (rest.length < FRAME_OVERHEAD) return receive();
    if (rest[0] === BODY && rest.readUInt32BE(SIZE_AT) === 0) throw new Error('A frame of a body that holds nothing.');
    if (rest[0] !== HEADER) return receive();
    const harmless = withoutDeepHeaders(rest);
    if (!harmless) return retriedReadably(rest, receiveHeader);
    const frame = retriedReadably(harmless, receiveHeader);
    const properties: unknown = isObject(frame) ? Reflect.get(frame, 'fields') : undefined;
    if (isObject(properties)) unread.add(properties);
    return frame;
  };
}

/** What is used here of an amqplib connection, below its documented surface. */
interface ReadingConnection {
  rest: Buffer;
  recvFrame: () => unknown;
}
const isReading = (connection: object): connection is ReadingConnection =>
  typeof Reflect.get(connection, 'recvFrame') === 'function' && Buffer.isBuffer(Reflect.get(connection, 'rest'));

/** The bytes without the headers of the first frame; undefined if the headers can stay, or the frame is incomplete. */
function withoutDeepHeaders(rest: Buffer): Buffer | undefined {
  const size = rest.readUInt32BE(SIZE_AT);
  const end = FRAME_HEADER + size;
  if (rest.length <= end) return undefined;
  const bodySize = uint32At(rest, BODY_SIZE_AT) * 2 ** 32 + uint32At(rest, BODY_SIZE_AT + 4);
  if (bodySize > LARGEST) throw new Error(`A message of ${String(bodySize)} bytes was announced; RabbitMQ has none.`);
  const at = headersIn(rest);
  if (size < LEAST_DEEP || at === undefined || !nestsDeeper(DEEPEST, rest.subarray(0, end), at)) return undefined;
  const cut = rest.readUInt32BE(at) + 4;
  if (at + cut > end) return undefined;
  const before = Buffer.from(rest.subarray(0, at));
  before.writeUInt32BE(size - cut, SIZE_AT);
  before.writeUInt16BE(rest.readUInt16BE(FLAGS_AT) & ~FLAG.headers, FLAGS_AT);
  return Buffer.concat([before, rest.subarray(at + cut)]);
}

/** Where the headers of a header frame begin; undefined: it has none. */
function headersIn(frame: Buffer): number | undefined {
  const flags = uint16At(frame, FLAGS_AT);
  if ((flags & FLAG.headers) === 0) return undefined;
  let at = PROPERTIES_AT;
  for (const flag of [FLAG.contentType, FLAG.contentEncoding]) if (flags & flag) at += 1 + (frame[at] ?? 0);
  return at;
}

/**
 * Decodes a header frame. If that fails over a type that RabbitMQ knows and amqplib does not, decodes a readable copy.
 * @throws what `decode` throws
 */
export function retriedReadably<T>(bytes: Buffer, decode: (bytes: Buffer) => T): T {
  try {
    return decode(bytes);
  } catch (error) {
    const readable = readableHeader(bytes);
    if (!readable) throw error;
    return decode(readable);
  }
}

/**
 * The same bytes with each 64-bit integer of type `L` in the headers of the first frame as one of type `l`; undefined if there is none.
 * AMQP 0-9-1 names that type `L`, and so do clients that follow it to the letter. RabbitMQ takes either for the same and passes both
 * on; amqplib knows `l` alone, and would drop the connection at each delivery.
 * https://www.rabbitmq.com/amqp-0-9-1-errata#section_3
 */
export function readableHeader(bytes: Buffer): Buffer | undefined {
  const start = headersIn(bytes);
  if (start === undefined) return undefined;
  let copy: Buffer | undefined;
  walkFieldTable(bytes.subarray(0, FRAME_HEADER + uint32At(bytes, SIZE_AT)), start, (tag, at) => {
    if (tag === LONG) (copy ??= Buffer.from(bytes))[at] = SIGNED_LONG;
    return true;
  });
  return copy;
}
