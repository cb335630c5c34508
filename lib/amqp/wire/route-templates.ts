import { BODY_SIZE_AT, FRAME_END, FRAME_OVERHEAD, SIZE_AT } from './frames';
import { putUint32 } from './octets';
import { publishFrame, writeHeaderFrame, type FramedMessage } from './publish-frames';

/** More routes than this are not remembered: routing keys may be as many as messages. */
const REMEMBERED = 256;

/**
 * All that messages of one route have in common, as bytes: the publish frame, and the header frame up to the message id,
 * which is the last property of a message that says nothing beside it. What differs is patched in.
 */
export class Template {
  readonly #of: FramedMessage;
  readonly #bytes: Buffer;
  readonly #headerAt: number;

  constructor(channel: number, of: FramedMessage) {
    this.#of = of;
    const method = publishFrame(channel, of);
    const header = Buffer.alloc(1024);
    const plain = { ...of, messageId: '', properties: undefined };
    const end = writeHeaderFrame(header, 0, channel, plain, undefined);
    // Without the empty id and the end of the frame.
    this.#bytes = Buffer.concat([method, header.subarray(0, end - 2)]);
    this.#headerAt = method.length;
  }

  fits({ exchange, routingKey, mandatory, persistent, contentType }: FramedMessage): boolean {
    const of = this.#of;
    return (
      of.routingKey === routingKey &&
      of.exchange === exchange &&
      of.mandatory === mandatory &&
      of.persistent === persistent &&
      of.contentType === contentType
    );
  }

  /** Writes both frames; returns where they end. */
  write(to: Buffer, start: number, messageId: string, bodySize: number): number {
    to.set(this.#bytes, start);
    const idAt = start + this.#bytes.length;
    const length = to.write(messageId, idAt + 1);
    to[idAt] = length;
    const end = idAt + 1 + length;
    const header = start + this.#headerAt;
    putUint32(to, header + SIZE_AT, end - header - FRAME_OVERHEAD + 1);
    // The upper half is zero: a body here is far below 4 GiB.
    putUint32(to, header + BODY_SIZE_AT + 4, bodySize);
    to[end] = FRAME_END;
    return end + 1;
  }
}

/** The templates of one channel. */
export class Templates {
  readonly #channel: number;
  readonly #byRoute = new Map<string, Template>();
  #last: Template | undefined;

  constructor(channel: number) {
    this.#channel = channel;
  }

  for(message: FramedMessage): Template {
    // Most messages take the route of the one before: no key is made for them.
    if (this.#last?.fits(message)) return this.#last;
    const { exchange, routingKey, mandatory, persistent, contentType } = message;
    const key = JSON.stringify([exchange, routingKey, mandatory, persistent, contentType]);
    let template = this.#byRoute.get(key);
    if (!template) {
      if (this.#byRoute.size >= REMEMBERED) this.#byRoute.clear();
      this.#byRoute.set(key, (template = new Template(this.#channel, message)));
    }
    return (this.#last = template);
  }
}
