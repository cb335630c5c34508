import type { WireMessage } from '../../transport/transport';
import { writeFieldTable } from './field-table';
import { BASIC, BODY, FLAG, FRAME_END, FRAME_HEADER, FRAME_OVERHEAD, HEADER, METHOD, SIZE_AT } from './frames';
import { putUint32 } from './octets';

/** What the frames of a message are made of. */
export type FramedMessage = Omit<WireMessage, 'propertiesFrame'>;

/** A method of that class. */
const PUBLISH = 40;
const NO_HEADERS = Object.freeze({});

/** The `basic.publish` frame of a route: the same for every message that takes it. */
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

/** Writes the header frame of a message; returns where it ends. `expiration`: ms, as the broker is to read it. */
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
  // Without headers an empty table, as amqplib has it: consumers can tell the difference.
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

/** The header of a body frame; returns where the body goes. */
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

/** Eight octets; no body of ours takes the upper four beyond what a double holds. */
function bodySize(to: Buffer, at: number, size: number): number {
  return to.writeUInt32BE(size % 2 ** 32, to.writeUInt32BE(Math.floor(size / 2 ** 32), at));
}

function shortString(to: Buffer, at: number, value: string): number {
  const length = to.write(value, at + 1);
  to[at] = length;
  return at + 1 + length;
}
