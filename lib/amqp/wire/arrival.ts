import type { ConsumeMessage } from 'amqplib';
import type { Arguments, MessageProperties } from '../../properties';
import type { InboundMessage } from '../../transport/transport';
import { fromAmqp } from '../amqp-properties';
import { FLAG, FLAGS_AT, PROPERTIES_AT } from './frames';
import { liesAt } from './lies-at';
import { uint16At, uint32At } from './octets';

/** Makes amqplib decode a header frame, when somebody asks for what is in it. */
export type DecodeHeader = (frame: Buffer) => ConsumeMessage['properties'];

/** The names of a message, which most messages share with the one before. */
export interface Names {
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

/** A message parsed where it lies in what was read; its header frame is decoded when something in it is asked for. */
export class Arrival implements InboundMessage {
  readonly content: Buffer;
  readonly deliveryTag: number;
  readonly redelivered: boolean;
  readonly exchange: string;
  readonly routingKey: string;
  /** The first two properties: a body cannot be read without them. */
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** An empty table counts as none. */
  readonly #hasHeaders: boolean;
  readonly #bytes: Buffer;
  readonly #headerAt: number;
  readonly #headerEnd: number;
  readonly #decode: DecodeHeader;
  #properties: MessageProperties | undefined;

  constructor(
    bytes: Buffer,
    { exchange, routingKey }: Names,
    deliveryTag: number,
    redelivered: boolean,
    headerAt: number,
    headerEnd: number,
    content: Buffer,
    decode: DecodeHeader,
  ) {
    this.content = content;
    this.deliveryTag = deliveryTag;
    this.redelivered = redelivered;
    this.exchange = exchange;
    this.routingKey = routingKey;
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
    this.#hasHeaders = (flags & FLAG.headers) !== 0 && uint32At(bytes, at) > 0;
  }

  get headers(): Arguments | undefined {
    return this.#hasHeaders ? this.properties.headers : undefined;
  }
  get properties(): MessageProperties {
    return (this.#properties ??= fromAmqp(this.#decode(this.#bytes.subarray(this.#headerAt, this.#headerEnd))));
  }
  /** Headers that nest too deep are left to amqplib and its guard. */
  get unreadable(): undefined {
    return undefined;
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
