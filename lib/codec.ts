// For questions asked of every message: the global Buffer is a getter, which costs more.
import { Buffer as NodeBuffer } from 'node:buffer';
import { types } from 'node:util';
import { NotDecodable, NotEncodable } from './not-encodable';
import { expected } from './options';
import type { MessageProperties } from './properties';
import { isSchema, parserOf, type SchemaInput, type SchemaOutput, type StandardSchemaV1 } from './schema';
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
  /**
   * Called instead of `encode` where it exists: for codecs that set the content encoding of the message, as `compressed` does.
   * `properties` are those that the message names itself.
   */
  pack?(value: In, properties: Pick<MessageProperties, 'contentType' | 'contentEncoding'>): Packed;
}

/** A body on its way out, with the properties that say how to read it. */
export interface Packed {
  readonly content: Buffer;
  readonly contentType: string | undefined;
  readonly contentEncoding?: string | undefined;
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
 * JSON, whatever the content type says. Values that JSON cannot hold (a Map, a function, NaN, …) are refused.
 *
 * A schema checks bodies in both directions: any [Standard Schema](https://standardschema.dev) (zod, valibot, arktype, …), or a
 * function that returns the body or throws. It is given what `JSON.parse` returns. When a message arrives, its result is the body.
 * When one is sent, it is given the JSON form of the body, so that nothing is sent that the same schema could not read; what is sent
 * is the body as it was given, without the schema's defaults and transformations.
 *
 * A message that the schema refuses is undecodable when it arrives, and PUBLISH_INVALID when it is sent. The error names the
 * paths at fault, never the values. A schema must be synchronous.
 *
 * @throws OptionsError if the schema validates asynchronously
 * @example
 * const orders = json(z.object({ id: z.number(), at: z.coerce.date() }));
 * queue.consume({ queue: 'orders', codec: orders });
 */
export function json<S extends StandardSchemaV1>(schema: S): Codec<SchemaOutput<S>, SchemaInput<S>>;
/**
 * The same with a function in the place of a schema, or without any check.
 * @example
 * const orders = json((value) => parseOrder(value));
 */
export function json<T = unknown>(parse?: (value: unknown) => T): Codec<T>;
export function json(check?: StandardSchemaV1 | ((value: unknown) => unknown)): Codec<unknown> {
  if (check !== undefined && typeof check !== 'function' && !isSchema(check))
    throw expected('schema', 'a Standard Schema or a function', check);
  const read = isSchema(check) ? parserOf(check, NotDecodable) : check;
  const accept = isSchema(check) ? parserOf(check, NotEncodable) : check;
  const codec: Codec<unknown> = {
    contentType: 'application/json',
    encode(value) {
      const form = toJson(value);
      accept?.(JSON.parse(form));
      return Buffer.from(form);
    },
    decode(content) {
      const value: unknown = JSON.parse(markedUtf8.decode(content));
      return read ? read(value) : value;
    },
  };
  bodyOnly.add(codec);
  return codec;
}

/** The codecs of this file that read nothing but the body. */
const bodyOnly = new WeakSet().add(bytes).add(text);
export const readsBodyOnly = (codec: object): boolean => bodyOnly.has(codec);

/**
 * The default. It writes and reads by the content type of the message, so that what was received goes out again as it came
 * (`send({ queue, ...properties, body })`):
 * - bytes (a Buffer, a typed array, an ArrayBuffer) are written as they are, whatever the type; without one, none is named.
 * - `application/json`, `…+json`: JSON; also what is sent without a type, which then is `application/json`.
 * - `text/*`: a string, in UTF-8 or in the `charset` of the type if that is ISO-8859-1; in any other charset a Buffer.
 * - any other type, or none, is read as a Buffer; a string is written as text.
 * - with a `contentEncoding` other than identity or utf-8: a Buffer.
 *
 * What the type does not allow is refused: an object that is to go out as `text/plain`, a string as `gzip`.
 */
export const auto: Codec<unknown> = {
  contentType: 'application/json',
  encode: (value) => bytesOf(value) ?? Buffer.from(toJson(value)),
  decode: (content, { contentType, contentEncoding }) => decodeByType(content, contentType, contentEncoding),
};

/** How `auto` reads a body: these two properties decide. */
export function decodeByType(
  content: Buffer,
  contentType: string | undefined,
  contentEncoding: string | undefined,
): unknown {
  if (isPacked(contentEncoding)) return content;
  const { kind, charset } = formatOf(contentType);
  if (kind === 'json') return JSON.parse(markedUtf8.decode(content)) as unknown;
  if (kind === 'bytes' || charset === undefined) return content;
  return charset === 'latin1' ? content.toString('latin1') : utf8.decode(content);
}

/** How `auto` writes a body whose message names its content type: so that `decodeByType` reads the same. */
function encodeByType(value: unknown, contentType: string, contentEncoding: string | undefined): Buffer {
  const given = typeof value === 'object' ? 'an object' : `a ${typeof value}`;
  if (isPacked(contentEncoding))
    throw new NotEncodable(
      `\`contentEncoding\` is \`${contentEncoding}\`, so the body has to be bytes in that encoding, got ${given}.`,
    );
  const { kind, charset } = formatOf(contentType);
  if (kind === 'json') return Buffer.from(toJson(value));
  if (typeof value !== 'string')
    throw new NotEncodable(
      `The default codec writes \`${contentType}\` from a string or bytes, got ${given}: use a JSON type, or a codec.`,
    );
  // ISO-8859-1 has the first 256 characters of Unicode.
  if (charset === undefined || (charset === 'latin1' && /[\u0100-\uffff]/.test(value)))
    throw new NotEncodable(
      `The default codec cannot write this string in the charset of \`${contentType}\`: give its bytes.`,
    );
  return Buffer.from(value, charset);
}

/** Compressed, encrypted, or in another encoding that `auto` does not know. Spring writes the charset into `contentEncoding`. */
export const isPacked = (contentEncoding: string | undefined): contentEncoding is string =>
  contentEncoding !== undefined && !/^(|identity|utf-?8)$/i.test(contentEncoding);

interface Format {
  readonly kind: 'json' | 'text' | 'bytes';
  /** Undefined: one that is not known here. JSON has none: it is UTF-8 (RFC 8259, section 8.1). */
  readonly charset: 'utf8' | 'latin1' | undefined;
}

/** Most messages have the content type of the one before, which need not be parsed again. */
const last: { type: string | undefined; format: Format } = {
  type: undefined,
  format: { kind: 'bytes', charset: 'utf8' },
};

function formatOf(contentType: string | undefined): Format {
  if (contentType !== last.type) {
    last.format = parsed(contentType ?? '');
    last.type = contentType;
  }
  return last.format;
}

function parsed(contentType: string): Format {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const json = type === 'application/json' || type.endsWith('+json');
  const charset = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(contentType)?.[1] ?? 'utf-8';
  return {
    kind: json ? 'json' : type.startsWith('text/') ? 'text' : 'bytes',
    charset: CHARSETS.get(charset.toLowerCase()),
  };
}

/** By the names of https://www.iana.org/assignments/character-sets; US-ASCII is a part of UTF-8. */
const CHARSETS: ReadonlyMap<string, Format['charset']> = new Map([
  ...['utf-8', 'utf8', 'us-ascii', 'ascii', ''].map((name) => [name, 'utf8'] as const),
  ...['iso-8859-1', 'iso_8859-1', 'latin1'].map((name) => [name, 'latin1'] as const),
]);

/**
 * The content type of a value that `codec` wrote. `auto` names none for bytes: 'application/octet-stream' would say no more
 * than its absence (RFC 9110, section 8.3), and RabbitMQ handles messages with few properties faster.
 */
export function contentTypeOf(codec: { readonly contentType: string }, value: unknown): string | undefined {
  if (codec.contentType === '' || (codec === auto && isBinary(value))) return undefined;
  return codec.contentType;
}

/** Leaves bytes that were written before as they are, under the content type of their message. */
export const written: Codec<Buffer> = { contentType: '', encode: (content) => content, decode: (content) => content };

const asTheyAre = new WeakSet<Buffer>();
/** Marks bytes that were encoded in a format of the library's own: no codec of the caller's encodes them again. */
export function asItIs(content: Buffer): Buffer {
  asTheyAre.add(content);
  return content;
}

/** The bytes of a body, and how to read them; `properties` are those of its message. Throws what the codec throws. */
export function packBody<In>(
  codec: Codec<unknown, In>,
  value: In,
  properties: Pick<MessageProperties, 'contentType' | 'contentEncoding'> = {},
): Packed {
  if (codec === auto) return packByType(value, properties);
  const { contentType, contentEncoding } = properties;
  const given: unknown = value;
  if (NodeBuffer.isBuffer(given) && asTheyAre.has(given)) return { content: given, contentType, contentEncoding };
  if (codec.pack) {
    const packed = codec.pack(value, properties);
    return { ...packed, content: bytesIn(packed.content, 'pack') };
  }
  const content = bytesIn(codec.encode(value), 'encode');
  return { content, contentType: contentType ?? contentTypeOf(codec, value), contentEncoding };
}

/** Looks at each body once: `auto` packs most messages. */
function packByType(
  value: unknown,
  { contentType, contentEncoding }: Pick<MessageProperties, 'contentType' | 'contentEncoding'>,
): Packed {
  const content = bytesOf(value);
  if (content) return { content, contentType, contentEncoding };
  const type = contentType ?? auto.contentType;
  const named = contentType !== undefined || contentEncoding !== undefined;
  const written = named ? encodeByType(value, type, contentEncoding) : Buffer.from(toJson(value));
  return { content: written, contentType: type, contentEncoding };
}

/** Codecs written in JavaScript, and many serializers, return a Uint8Array. */
function bytesIn(value: unknown, method: string): Buffer {
  const content = bytesOf(value);
  if (!content) throw new NotEncodable(`\`${method}\` returned no Buffer.`);
  return content;
}

/** Bytes in any of the forms in which JavaScript holds them. */
export type Binary = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

export const isBinary = (value: unknown): value is Binary => ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value);

/**
 * The bytes of a Buffer, a typed array, a DataView or an ArrayBuffer; undefined for anything else. Shares their memory where
 * it can. The checks hold for objects of another realm, too: a `vm` context, the sandbox of a test runner.
 * @throws TypeError if the memory was transferred to another thread
 */
export function bytesOf(value: unknown): Buffer | undefined {
  // A detached Buffer has no length left; only making a new one of its memory fails.
  if (NodeBuffer.isBuffer(value) && value.length > 0) return value;
  if (ArrayBuffer.isView(value)) return over(value.buffer, value.byteOffset, value.byteLength);
  return types.isAnyArrayBuffer(value) ? over(value) : undefined;
}

function over(memory: ArrayBufferLike, from = 0, length = memory.byteLength): Buffer {
  const bytes = Buffer.from(memory, from, length);
  // Another thread may write there until the message is sent.
  return types.isSharedArrayBuffer(memory) ? Buffer.from(bytes) : bytes;
}
