import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from 'node:zlib';
import { isPacked, packBody, type Codec, type Packed } from './codec';
import { isError } from './errors';
import { NotDecodable, NotEncodable } from './not-encodable';
import {
  DEFAULTS,
  checkOptions,
  codec as isCodec,
  expected,
  integer,
  oneOf,
  withDefaults,
  type Shape,
} from './options';
import type { MessageProperties } from './properties';

/** When and how `compressed` compresses. */
export interface CompressedOptions {
  /** Bodies of more bytes are compressed, if that makes them smaller. @default 1024 */
  readonly above?: number;
  /** How they are written. Both are read. @default 'gzip' */
  readonly encoding?: 'gzip' | 'br';
  /**
   * Bytes that a body may have uncompressed, against small messages that unpack to gigabytes: one that has more is undecodable, and
   * is not sent. @default 64 MiB
   */
  readonly maxBytes?: number;
}

const OPTIONS: Shape<CompressedOptions> = {
  above: integer(0, Number.MAX_SAFE_INTEGER),
  encoding: oneOf('gzip', 'br'),
  maxBytes: integer(1, 2 ** 31 - 1),
};

/** https://www.iana.org/assignments/http-parameters/#content-coding */
const CODINGS: Readonly<
  Record<string, { pack(content: Buffer): Buffer; unpack(content: Buffer, most: number): Buffer }>
> = {
  gzip: {
    pack: (content) => gzipSync(content),
    unpack: (content, most) => gunzipSync(content, { maxOutputLength: most }),
  },
  br: {
    // The default, 11, takes a hundred times as long as gzip. 5 takes as long, and still makes smaller bodies.
    pack: (content) => brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
    unpack: (content, most) => brotliDecompressSync(content, { maxOutputLength: most }),
  },
};

/**
 * A codec whose larger bodies travel compressed, as their `contentEncoding` says. It reads bodies in gzip and Brotli, and those that
 * are not compressed, so that either side can begin. A message that names a `contentEncoding` itself is written in that; a body to
 * which the codec inside gives one travels as that codec packs it.
 *
 * It compresses synchronously, on the thread of the event loop: a megabyte of JSON takes about 10 ms. For larger bodies give the
 * codec `bytes` what was compressed elsewhere, with `contentEncoding`.
 *
 * @throws OptionsError if an option cannot be right
 * @example
 * const reports = compressed(json(reportSchema), { above: 10_000, encoding: 'br' });
 */
export function compressed<Out, In = Out>(codec: Codec<Out, In>, options: CompressedOptions = {}): Codec<Out, In> {
  const wrong = isCodec(codec);
  if (wrong !== undefined) throw expected('codec', wrong, codec);
  checkOptions(options, OPTIONS, { of: 'compressed()' });
  const { above, encoding, maxBytes } = withDefaults(DEFAULTS.compressed, options);

  const pack = (value: In, named: Pick<MessageProperties, 'contentType' | 'contentEncoding'>): Packed => {
    const { contentEncoding } = named;
    if (isPacked(contentEncoding) && !coding(contentEncoding))
      throw new NotEncodable(`Expected \`contentEncoding\` to be gzip, br or identity, got \`${contentEncoding}\`.`);
    const inner = packBody(codec, value, 'contentType' in named ? { contentType: named.contentType } : {});
    // A message can name one content encoding only. If we compressed this body again, a reader would not know of the codec's encoding.
    if (isPacked(inner.contentEncoding)) return inner;
    const { content, contentType } = inner;
    if (content.length > maxBytes)
      throw new NotEncodable(`It has ${String(content.length)} bytes, and \`maxBytes\` is ${String(maxBytes)}.`);
    if (contentEncoding === undefined && content.length <= above) return { content, contentType };
    const packed = coding(contentEncoding ?? encoding)?.pack(content);
    const smaller = packed !== undefined && (contentEncoding !== undefined || packed.length < content.length);
    return smaller
      ? { content: packed, contentType, contentEncoding: contentEncoding ?? encoding }
      : { content, contentType, contentEncoding };
  };

  return {
    contentType: codec.contentType,
    pack,
    encode: (value) => pack(value, {}).content,
    decode(content, { contentEncoding, ...properties }) {
      if (!isPacked(contentEncoding)) return codec.decode(content, properties);
      const known = coding(contentEncoding);
      if (!known && codec.pack) return codec.decode(content, { contentEncoding, ...properties });
      if (!known) throw new NotDecodable('Its `contentEncoding` is neither gzip nor br.');
      return codec.decode(unpacked(known, content, maxBytes), properties);
    },
  };
}

/** `x-gzip` is the same as `gzip` (RFC 9110, section 8.4.1.3). */
function coding(contentEncoding: string): (typeof CODINGS)[string] | undefined {
  const name = contentEncoding.toLowerCase().replace(/^x-gzip$/, 'gzip');
  return Object.hasOwn(CODINGS, name) ? CODINGS[name] : undefined;
}

function unpacked(known: NonNullable<ReturnType<typeof coding>>, content: Buffer, most: number): Buffer {
  try {
    return known.unpack(content, most);
  } catch (error) {
    if (isError(error) && Reflect.get(error, 'code') === 'ERR_BUFFER_TOO_LARGE')
      throw new NotDecodable(`It unpacks to more than ${String(most)} bytes (\`maxBytes\`).`);
    throw error;
  }
}
