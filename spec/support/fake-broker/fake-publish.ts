import type { Frame } from './frames';
import { decodeProperties, type Fields } from './methods';

export interface ReceivedMethod {
  readonly channel: number;
  readonly name: string;
  readonly fields: Fields;
}

export interface PublishedMessage {
  readonly channel: number;
  /** Its delivery tag if the channel has confirms; counted on any channel. */
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

/** Puts messages together of the method, the header and the bodies that a channel brings one after the other. */
export class PublishAssembler {
  readonly #parts = new Map<number, Part>();
  readonly #tags = new Map<number, number>();

  begin(method: ReceivedMethod): void {
    this.#parts.set(method.channel, { method, size: 0, properties: {}, pieces: [] });
  }

  /** The message that is complete with this frame, if any. */
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

  /** The channel is closed: what it had begun is gone, and tags begin at 1 again. */
  forget(channel: number): void {
    this.#parts.delete(channel);
    this.#tags.delete(channel);
  }
}
