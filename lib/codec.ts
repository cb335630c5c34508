import { isBuffer } from './options';
import type { MessageProperties } from './properties';

/**
 * Turns bodies into bytes and back. Both directions may throw: an `encode` that throws rejects that `send` alone,
 * a `decode` that throws makes that message undecodable and nothing else.
 */
export interface Codec<T> {
  /** Written into `contentType` of what is sent, unless the message names its own; '' writes none. */
  readonly contentType: string;
  /** What goes on the wire. Throws for what it cannot write. */
  encode(value: T): Buffer;
  /** What came off the wire. Throws for what it cannot read. */
  decode(content: Buffer, properties: MessageProperties): T;
}

// In text a byte order mark is a character like any other; in front of JSON, where some producers write it, it is none.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const markedUtf8 = new TextDecoder('utf-8', { fatal: true });

function toJson(value: unknown): Buffer {
  // JSON.stringify's type says string, but functions, symbols and undefined give undefined.
  const encoded = JSON.stringify(value) as string | undefined;
  if (encoded === undefined) throw new TypeError(`A ${typeof value} has no JSON form.`);
  return Buffer.from(encoded);
}

/**
 * Bodies as they are on the wire.
 * @example
 * queue.consume({ queue: 'images', codec: bytes });
 */
export const bytes: Codec<Buffer> = {
  contentType: 'application/octet-stream',
  encode(value) {
    if (!isBuffer(value)) throw new TypeError(`Expected a Buffer, got ${typeof value}.`);
    return value;
  },
  decode: (content) => content,
};

/** UTF-8 strings; bytes that are not UTF-8 are undecodable. */
export const text: Codec<string> = {
  contentType: 'text/plain; charset=utf-8',
  encode(value) {
    if (typeof value !== 'string') throw new TypeError(`Expected a string, got ${typeof value}.`);
    return Buffer.from(value);
  },
  decode: (content) => utf8.decode(content),
};

/**
 * JSON, whatever the content type says. `parse` sees what JSON.parse made of it and returns the body: the place to
 * check its shape; what it throws makes the message undecodable.
 * @example
 * const orders = json((value) => orderSchema.parse(value));
 */
export function json<T = unknown>(parse?: (value: unknown) => T): Codec<T> {
  const codec: Codec<T> = {
    contentType: 'application/json',
    encode: toJson,
    decode(content) {
      const value: unknown = JSON.parse(markedUtf8.decode(content));
      // Without a parse the caller's T is a claim about its own producers that nobody can check here.
      return parse ? parse(value) : (value as T);
    },
  };
  bodyOnly.add(codec);
  return codec;
}

/** Codecs of ours that read nothing but the body. */
const bodyOnly = new WeakSet().add(bytes).add(text);
export const readsBodyOnly = (codec: object): boolean => bodyOnly.has(codec);

const media = (contentType: string | undefined): string =>
  (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

/**
 * The default. Out: a Buffer as it is and without a content type, since nobody said what it holds; anything else as JSON.
 * In: `application/json` (and `…+json`) is parsed, `text/*` is a string, the rest stays a Buffer; a `contentEncoding` other
 * than identity or utf-8 stays a Buffer too.
 */
export const auto: Codec<unknown> = {
  contentType: 'application/json',
  encode: (value) => (isBuffer(value) ? value : toJson(value)),
  decode: (content, { contentType, contentEncoding }) => decodeByType(content, contentType, contentEncoding),
};

/** What `auto` makes of a body: it looks at these two properties alone. */
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
/** Most messages have the type of the one before: it is not taken to pieces again. */
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
 * The content type of what `codec` made of `value`. That of a Buffer is not known to `auto`: 'application/octet-stream'
 * would say no more than nothing does (RFC 9110, section 8.3), and a broker takes messages with few properties faster.
 */
export function contentTypeOf(codec: { readonly contentType: string }, value: unknown): string | undefined {
  if (codec.contentType === '' || (codec === auto && isBuffer(value))) return undefined;
  return codec.contentType;
}
