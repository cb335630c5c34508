import type { Frame } from '../frames/frames';
import { decodeProperties, type Fields } from '../frames/methods';

export interface ReceivedMethod {
  readonly channel: number;
  readonly name: string;
  readonly fields: Fields;
}

export interface PublishedMessage {
  readonly channel: number;
  /** Its delivery tag for confirms; counted on channels without confirms, too. */
  readonly tag: number;
  readonly exchange: string;
  readonly routingKey: string;
  readonly mandatory: boolean;
  readonly properties: Fields;
  readonly body: Buffer;
}

interface Part {
  readonly method: ReceivedMethod;
  size: number;
  properties: Fields;
  readonly pieces: Buffer[];
}

/** Assembles published messages from the method, the header and the body frames of each channel. */
export class PublishAssembler {
  readonly #parts = new Map<number, Part>();
  readonly #tags = new Map<number, number>();

  begin(method: ReceivedMethod): void {
    this.#parts.set(method.channel, { method, size: 0, properties: {}, pieces: [] });
  }

  /** The message that this frame completes, if it completes one. */
  add({
    channel,
    type,
    payload,
  }: Frame): { readonly method: ReceivedMethod; readonly message: PublishedMessage } | undefined {
    const part = this.#parts.get(channel);
    if (part === undefined || (type !== 'header' && type !== 'body')) return undefined;
    if (type === 'header') {
      part.size = Number(payload.readBigUInt64BE(4));
      part.properties = decodeProperties(payload);
    } else {
      part.pieces.push(payload);
    }
    const body = Buffer.concat(part.pieces);
    if (body.length < part.size) return undefined;
    this.#parts.delete(channel);
    const tag = (this.#tags.get(channel) ?? 0) + 1;
    this.#tags.set(channel, tag);
    const { exchange, routingKey, mandatory } = part.method.fields as Pick<
      PublishedMessage,
      'exchange' | 'routingKey' | 'mandatory'
    >;
    return {
      method: part.method,
      message: { channel, tag, exchange, routingKey, mandatory, properties: part.properties, body },
    };
  }

  /** Drops what is incomplete on a closed channel, and counts its tags from 1 again. */
  forget(channel: number): void {
    this.#parts.delete(channel);
    this.#tags.delete(channel);
  }
}
