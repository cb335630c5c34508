import { tableSize } from '../field-table';
import type { MessageProperties } from '../properties';

// Upper bounds of the properties frame of a message, which is never split.

/** The size of the buffer into which amqplib encodes headers. */
const HEADERS = 65_536;
/** Class, weight, body size, flags, and the frame around them. */
const PROPERTIES_FRAME = 22;
/** Bytes of a random UUID with its length. */
const UUID = 37;

/** The size of the headers, with `more` bytes that will be added to them. @throws RangeError if they do not fit */
export function headersSize(properties: MessageProperties | undefined, more: number): number {
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
export function restOfFrame(
  properties: MessageProperties | undefined,
  contentType: string | undefined,
  messageId: string | undefined,
): number {
  const strings = (properties ? stringsSize(properties) : 0) + sizeOf(contentType);
  return PROPERTIES_FRAME + strings + (messageId === undefined ? UUID : sizeOf(messageId)) + 10;
}
