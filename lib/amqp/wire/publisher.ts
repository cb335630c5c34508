import type { ConfirmChannel } from 'amqplib';
import type { WireMessage } from '../../transport/transport';
import { Chunks, LARGEST_FRAME } from './chunks';
import { FRAME_OVERHEAD } from './frames';
import { publishFrame, writeBodyHeader, writeFrameEnd, writeHeaderFrame } from './publish-frames';
import { encodesAsKnown } from './self-test';
import { Templates } from './route-templates';
import { writableChannel, type WritableChannel } from './channel-internals';

/**
 * Publishes on one confirm channel in frames of its own making. amqplib makes three buffers of each message, copies them
 * into a fourth and writes that to the socket by itself; here many messages share a chunk, which is written into the
 * channel's own buffer at the end of the turn, behind whatever amqplib has written there.
 */
export class Publisher {
  readonly #channel: WritableChannel;
  readonly #templates: Templates;
  readonly #full: () => void;
  /** Bytes of a body that fit into one frame. */
  readonly #most: number;
  readonly #chunks = new Chunks();
  #chunk = this.#chunks.take(0);
  #start = 0;
  #end = 0;
  /** Of the message that was written last, as the broker counts. */
  #number = 0;
  #scheduled = false;

  private constructor(channel: WritableChannel, full: () => void) {
    this.#channel = channel;
    this.#templates = new Templates(channel.number);
    this.#full = full;
    this.#most = Math.min(channel.frameMax, LARGEST_FRAME) - FRAME_OVERHEAD;
  }

  /** `full` is told when nothing more should be published until 'drain'. Undefined: this amqplib is not as we know it. */
  static on(channel: ConfirmChannel, full: () => void): Publisher | undefined {
    const known = writableChannel(channel);
    return known && encodesAsKnown(channel) ? new Publisher(known, full) : undefined;
  }

  /**
   * `number`: of this message, as the broker counts those of the channel; `expiration`: ms, as the broker is to read it. Returns `false` if the channel is closing, or is not as it was;
   * throws over what only amqplib can write. In both cases nothing was written.
   */
  publish(message: WireMessage, number: number, expiration: string | undefined): boolean {
    const { content, propertiesFrame } = message;
    if (!this.#scheduled && !this.#channel.buffer) return false;
    this.#reserve(propertiesFrame + ROUTE_FRAME + Math.min(content.length, this.#most) + FRAME_OVERHEAD);
    const chunk = this.#chunk;
    this.#end = this.#writeHead(message, expiration);
    this.#number = number;
    this.#writeBody(content);
    // What has begun has to end: nobody may close the channel in the middle of it, which costs the whole connection.
    if (this.#chunk !== chunk) this.flush();
    else this.#flushSoon();
    this.#channel.count();
    return true;
  }

  /** The broker has told of the message of this number: it and all before it have arrived there. */
  confirmed(number: number): void {
    this.#chunks.confirmed(number, this.#number);
  }

  /** Writes what has gathered. What comes behind from amqplib stays behind. */
  flush(): void {
    this.#scheduled = false;
    if (this.#end === this.#start) return;
    const bytes = this.#chunk.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#write(bytes);
  }

  #writeHead(message: WireMessage, expiration: string | undefined): number {
    const { number } = this.#channel;
    const { content, properties, messageId } = message;
    if (properties === undefined && expiration === undefined) {
      return this.#templates.for(message).write(this.#chunk, this.#end, messageId, content.length);
    }
    const method = publishFrame(number, message);
    this.#chunk.set(method, this.#end);
    return writeHeaderFrame(this.#chunk, this.#end + method.length, number, message, expiration);
  }

  /** Each frame in one piece: amqplib lets channels take turns between writes, and a frame must not be torn. */
  #writeBody(content: Buffer): void {
    const { number } = this.#channel;
    const most = this.#most;
    for (let from = 0; from < content.length; from += most) {
      const size = Math.min(most, content.length - from);
      this.#reserve(size + FRAME_OVERHEAD);
      const bodyAt = writeBodyHeader(this.#chunk, this.#end, number, size);
      if (size === content.length) this.#chunk.set(content, bodyAt);
      else content.copy(this.#chunk, bodyAt, from, from + size);
      this.#end = writeFrameEnd(this.#chunk, bodyAt + size);
    }
  }

  /** Room for so many bytes in one piece. */
  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#chunk.length) return;
    this.flush();
    // First of all: there may be no memory left, and then this one stays.
    const next = this.#chunks.take(bytes);
    // It may still be on its way to the socket.
    this.#chunks.give(this.#chunk, this.#number);
    this.#chunk = next;
    this.#start = this.#end = 0;
  }

  #flushSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.flush();
    });
  }

  #write(bytes: Buffer): void {
    const { buffer, wrote } = this.#channel;
    // Closing: what was not written is told lost with all that was.
    if (!buffer) return;
    wrote();
    if (!buffer.write(bytes)) this.#full();
  }
}

/** Both names of a route at their longest, and what is around them. */
const ROUTE_FRAME = FRAME_OVERHEAD + 4 + 2 + 2 * 256 + 1;
