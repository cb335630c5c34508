/** The layout of frames: AMQP 0-9-1, section 4.2.3. https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf */

/** Bytes before the payload: type (1), channel (2) and size (4). */
export const FRAME_HEADER = 7;
/** The offset of the size. */
export const SIZE_AT = 3;
export const FRAME_END = 0xce;
/** Bytes of a frame around its payload. */
export const FRAME_OVERHEAD = FRAME_HEADER + 1;

/** Frame types. */
export const METHOD = 1;
export const HEADER = 2;
export const BODY = 3;

/** The class `basic`. */
export const BASIC = 60;

/** Offsets in a header frame: class (2), weight (2), body size (8), flags (2), then the flagged properties. Section 4.2.6.1. */
export const BODY_SIZE_AT = FRAME_HEADER + 4;
export const FLAGS_AT = FRAME_HEADER + 12;
export const PROPERTIES_AT = FRAME_HEADER + 14;

/** The bits of the property flags, in the order of the properties. */
export const FLAG = {
  contentType: 0x8000,
  contentEncoding: 0x4000,
  headers: 0x2000,
  deliveryMode: 0x1000,
  priority: 0x0800,
  correlationId: 0x0400,
  replyTo: 0x0200,
  expiration: 0x0100,
  messageId: 0x0080,
  timestamp: 0x0040,
  type: 0x0020,
  userId: 0x0010,
  appId: 0x0008,
} as const;
