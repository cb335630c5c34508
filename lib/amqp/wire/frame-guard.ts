import type { ChannelModel } from 'amqplib';
import { isObject } from '../../options';
import { nestsDeeper, walkFieldTable } from './field-table';
import { BODY, BODY_SIZE_AT, FLAG, FLAGS_AT, FRAME_HEADER, HEADER, PROPERTIES_AT, SIZE_AT } from './frames';

/** The limit for our own headers too, so that received headers can be sent again. RabbitMQ itself nests two levels. */
const DEEPEST = 100;
/** The largest `max_message_size` that RabbitMQ allows, bytes. https://www.rabbitmq.com/docs/configure#config-items */
const LARGEST = 512 * 1024 * 1024;
/** The least that a level takes, bytes: the tag and the length of an array. */
const LEAST_PER_LEVEL = 5;
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
  const recvFrame: unknown = Reflect.get(connection, 'recvFrame');
  if (typeof recvFrame !== 'function' || !Buffer.isBuffer(Reflect.get(connection, 'rest'))) return;
  const receive = (): unknown => Reflect.apply(recvFrame, connection, []);
  const receiveHeader = (bytes: Buffer): unknown => {
    Reflect.set(connection, 'rest', bytes);
    return receive();
  };
  // amqplib calls it again after each read: a complete frame is checked here before it is decoded.
  Reflect.set(connection, 'recvFrame', () => {
    const rest: unknown = Reflect.get(connection, 'rest');
    if (!Buffer.isBuffer(rest) || rest.length <= FRAME_HEADER) return receive();
    if (rest[0] === BODY && rest.readUInt32BE(SIZE_AT) === 0) throw new Error('A frame of a body that holds nothing.');
    if (rest[0] !== HEADER) return receive();
    const harmless = withoutDeepHeaders(rest);
    if (!harmless) return retriedReadably(rest, receiveHeader);
    const frame = retriedReadably(harmless, receiveHeader);
    const properties: unknown = isObject(frame) ? Reflect.get(frame, 'fields') : undefined;
    if (isObject(properties)) unread.add(properties);
    return frame;
  });
}

/** The bytes without the headers of the first frame; undefined if the headers can stay, or the frame is incomplete. */
function withoutDeepHeaders(rest: Buffer): Buffer | undefined {
  if (rest.length < PROPERTIES_AT) return undefined;
  const bodySize = rest.readBigUInt64BE(BODY_SIZE_AT);
  if (bodySize > LARGEST) throw new Error(`A message of ${String(bodySize)} bytes was announced; RabbitMQ has none.`);
  const size = rest.readUInt32BE(SIZE_AT);
  const end = FRAME_HEADER + size;
  if (size < DEEPEST * LEAST_PER_LEVEL || rest.length <= end) return undefined;
  const at = headersIn(rest, end);
  if (at === undefined || !nestsDeeper(DEEPEST, rest.subarray(0, end), at)) return undefined;
  const cut = rest.readUInt32BE(at) + 4;
  if (at + cut > end) return undefined;
  const before = Buffer.from(rest.subarray(0, at));
  before.writeUInt32BE(size - cut, SIZE_AT);
  before.writeUInt16BE(rest.readUInt16BE(FLAGS_AT) & ~FLAG.headers, FLAGS_AT);
  return Buffer.concat([before, rest.subarray(at + cut)]);
}

/** The offset of the headers of a header frame that ends at `end`; undefined: it has none. */
function headersIn(frame: Buffer, end: number): number | undefined {
  const flags = frame.readUInt16BE(FLAGS_AT);
  if ((flags & FLAG.headers) === 0) return undefined;
  let at = PROPERTIES_AT;
  for (const flag of [FLAG.contentType, FLAG.contentEncoding]) if (flags & flag) at += 1 + (frame[at] ?? 0);
  return at + 4 > end ? undefined : at;
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
  if (bytes.length < PROPERTIES_AT) return undefined;
  const end = Math.min(bytes.length, FRAME_HEADER + bytes.readUInt32BE(SIZE_AT));
  const start = headersIn(bytes, end);
  if (start === undefined) return undefined;
  let copy: Buffer | undefined;
  walkFieldTable(bytes.subarray(0, end), start, (tag, at) => {
    if (tag === LONG) (copy ??= Buffer.from(bytes))[at] = SIGNED_LONG;
    return true;
  });
  return copy;
}
