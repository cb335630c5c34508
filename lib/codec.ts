import { bytesOf, isBinary, type Binary } from './bytes-of';
import { NotEncodable } from './not-encodable';
import type { MessageProperties } from './properties';
import { toJson } from './to-json';

/**
 * Turns bodies into bytes and back. Both directions may throw: an `encode` that throws rejects that `send` alone, a `decode`
 * that throws makes that message undecodable and nothing else.
 * @typeParam Out - what is read
 * @typeParam In - what is written, where that may be more
 */
export interface Codec<Out, In = Out> {
  /** The `contentType` of what is sent, unless the message names its own; '' writes none. */
  readonly contentType: string;
  /** The bytes that go on the wire. Throws for what it cannot write. */
  encode(value: In): Buffer;
  /** The body of the bytes that came. Throws for what it cannot read. */
  decode(content: Buffer, properties: MessageProperties): Out;
}

// In text a byte order mark is a character like any other. JSON has none, but some producers write one in front of it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const markedUtf8 = new TextDecoder('utf-8', { fatal: true });

const kindOfValue = (value: unknown): string => (value === null ? 'null' : typeof value);

/**
 * Bodies as they are on the wire: reads a Buffer, writes the bytes of a Buffer, typed array, DataView or ArrayBuffer.
 * @example
 * queue.consume({ queue: 'images', codec: bytes });
 */
export const bytes: Codec<Buffer, Binary> = {
  contentType: 'application/octet-stream',
  encode(value) {
    const content = bytesOf(value);
    if (!content)
      throw new NotEncodable(`Expected bytes (a Buffer, a typed array, an ArrayBuffer), got ${kindOfValue(value)}.`);
    return content;
  },
  decode: (content) => content,
};

/** UTF-8 strings; bytes that are not UTF-8 are undecodable. */
export const text: Codec<string> = {
  contentType: 'text/plain; charset=utf-8',
  encode(value) {
    if (typeof value !== 'string') throw new NotEncodable(`Expected a string, got ${kindOfValue(value)}.`);
    return Buffer.from(value);
  },
  decode: (content) => utf8.decode(content),
};

/**
 * JSON, whatever the content type says. `parse` gets the result of JSON.parse and returns the body: the place to check its
 * shape. If it throws, the message is undecodable. Values that JSON cannot hold (a Map, a function, NaN, …) are refused.
 * @example
 * const orders = json((value) => orderSchema.parse(value));
 */
export function json<T = unknown>(parse?: (value: unknown) => T): Codec<T> {
  const codec: Codec<T> = {
    contentType: 'application/json',
    encode: (value) => Buffer.from(toJson(value)),
    decode(content) {
      const value: unknown = JSON.parse(markedUtf8.decode(content));
      // Without `parse` the caller vouches for T: nothing here can check it.
      return parse ? parse(value) : (value as T);
    },
  };
  bodyOnly.add(codec);
  return codec;
}

/** The codecs of this file that read nothing but the body. */
const bodyOnly = new WeakSet().add(bytes).add(text);
export const readsBodyOnly = (codec: object): boolean => bodyOnly.has(codec);

const media = (contentType: string | undefined): string =>
  (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

/**
 * The default. Writes the bytes of a Buffer, typed array or ArrayBuffer as they are and without a content type, since only
 * the caller knows what they hold; anything else as JSON, as `json` does. Reads `application/json` (and `…+json`) as JSON,
 * `text/*` as a string, anything else as a Buffer; with a `contentEncoding` other than identity or utf-8 always a Buffer.
 */
export const auto: Codec<unknown> = {
  contentType: 'application/json',
  encode: (value) => bytesOf(value) ?? Buffer.from(toJson(value)),
  decode: (content, { contentType, contentEncoding }) => decodeByType(content, contentType, contentEncoding),
};

/** `auto` reads a body by these two properties alone. */
export function decodeByType(
  content: Buffer,
  contentType: string | undefined,
  contentEncoding: string | undefined,
): unknown {
  if (contentEncoding !== undefined && contentEncoding !== '') {
    const encoding = contentEncoding.toLowerCase();
    if (encoding !== 'identity' && encoding !== 'utf-8' && encoding !== 'utf8') return content;
  }
  switch (kindOf(contentType)) {
    case 'json':
      return JSON.parse(markedUtf8.decode(content)) as unknown;
    case 'text':
      return utf8.decode(content);
    case 'bytes':
      return content;
  }
}

type Kind = 'json' | 'text' | 'bytes';
/** Most messages have the content type of the one before, which need not be parsed again. */
const last: { type: string | undefined; kind: Kind } = { type: undefined, kind: 'bytes' };

function kindOf(contentType: string | undefined): Kind {
  if (contentType === last.type) return last.kind;
  const type = media(contentType);
  const json = type === 'application/json' || type.endsWith('+json');
  last.kind = json ? 'json' : type.startsWith('text/') ? 'text' : 'bytes';
  last.type = contentType;
  return last.kind;
}

/**
 * The content type of a value that `codec` wrote. `auto` names none for bytes: 'application/octet-stream' would say no more
 * than its absence (RFC 9110, section 8.3), and RabbitMQ handles messages with few properties faster.
 */
export function contentTypeOf(codec: { readonly contentType: string }, value: unknown): string | undefined {
  if (codec.contentType === '' || (codec === auto && isBinary(value))) return undefined;
  return codec.contentType;
}

/** The bytes of a body. Throws what the codec throws. */
export function encodeBody<In>(codec: Codec<unknown, In>, value: In): Buffer {
  // Codecs written in JavaScript, and many serializers, return a Uint8Array.
  const content = bytesOf(codec.encode(value));
  if (!content) throw new NotEncodable('`encode` returned no Buffer.');
  return content;
}
