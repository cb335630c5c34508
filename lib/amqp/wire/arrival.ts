import type { ConsumeMessage } from 'amqplib';
import { FLAG, FLAGS_AT, PROPERTIES_AT } from './frames';
import { liesAt } from './lies-at';
import { uint16At, uint32At } from './octets';

/** Makes amqplib decode a header frame, when somebody asks for what is in it. */
export type DecodeHeader = (frame: Buffer) => ConsumeMessage['properties'];

/** The names of a message, which most messages share with the one before. */
export interface Names {
  readonly consumerTag: string;
  readonly exchange: string;
  readonly routingKey: string;
}

/** Do the properties that are read at once end before `end`? */
export function beginsWithin(bytes: Buffer, headerAt: number, end: number): boolean {
  const flags = uint16At(bytes, headerAt + FLAGS_AT);
  let at = headerAt + PROPERTIES_AT;
  if (flags & FLAG.contentType) at += 1 + (bytes[at] ?? 0);
  if (flags & FLAG.contentEncoding) at += 1 + (bytes[at] ?? 0);
  return (flags & FLAG.headers ? at + 4 : at) <= end;
}

/** A message as amqplib hands it out, parsed where it lies; what is in its header frame only when it is asked for. */
export class Arrival implements ConsumeMessage {
  readonly content: Buffer;
  readonly fields: ConsumeMessage['fields'];
  /** The first two properties: a body cannot be read without them. */
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** An empty table counts as none. */
  readonly hasHeaders: boolean;
  readonly #bytes: Buffer;
  readonly #headerAt: number;
  readonly #headerEnd: number;
  readonly #decode: DecodeHeader;
  #properties: ConsumeMessage['properties'] | undefined;

  constructor(
    bytes: Buffer,
    { consumerTag, exchange, routingKey }: Names,
    deliveryTag: number,
    redelivered: boolean,
    headerAt: number,
    headerEnd: number,
    content: Buffer,
    decode: DecodeHeader,
  ) {
    this.content = content;
    this.fields = { consumerTag, deliveryTag, redelivered, exchange, routingKey };
    this.#bytes = bytes;
    this.#headerAt = headerAt;
    this.#headerEnd = headerEnd;
    this.#decode = decode;
    const flags = uint16At(bytes, headerAt + FLAGS_AT);
    let at = headerAt + PROPERTIES_AT;
    let contentType: string | undefined;
    let contentEncoding: string | undefined;
    if (flags & FLAG.contentType) {
      contentType = contentTypes.read(bytes, at);
      at += 1 + (bytes[at] ?? 0);
    }
    if (flags & FLAG.contentEncoding) {
      contentEncoding = contentEncodings.read(bytes, at);
      at += 1 + (bytes[at] ?? 0);
    }
    this.contentType = contentType;
    this.contentEncoding = contentEncoding;
    this.hasHeaders = (flags & FLAG.headers) !== 0 && uint32At(bytes, at) > 0;
  }

  get properties(): ConsumeMessage['properties'] {
    return (this.#properties ??= this.#decode(this.#bytes.subarray(this.#headerAt, this.#headerEnd)));
  }
}

/** A short string that is nearly always the same: then no other string is made of it. */
class Repeated {
  #bytes: Buffer = Buffer.of(0);
  #text = '';

  read(from: Buffer, at: number): string {
    const end = at + 1 + (from[at] ?? 0);
    if (!liesAt(from, at, end, this.#bytes)) {
      this.#bytes = Buffer.from(from.subarray(at, end));
      this.#text = from.toString('utf8', at + 1, end);
    }
    return this.#text;
  }
}
const contentTypes = new Repeated();
const contentEncodings = new Repeated();
