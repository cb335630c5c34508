import type { ConfirmChannel } from 'amqplib';
import type { Writable } from 'node:stream';
import type { WireMessage } from '../../transport/transport';
import { FRAME_OVERHEAD } from './frames';
import { isObject } from '../../options';
import {
  Templates,
  encodesAsKnown,
  publishFrame,
  writeBodyHeader,
  writeFrameEnd,
  writeHeaderFrame,
} from './publish-frames';

/**
 * Publishes on one confirm channel, and encodes the frames itself. amqplib creates three buffers for each message, copies them
 * into a fourth and writes that to the socket. Here many messages share a chunk, which is written to the buffer of the channel at
 * the end of the turn, after everything that amqplib has written there.
 */
export class Publisher {
  readonly #channel: WritableChannel;
  readonly #templates: Templates;
  readonly #full: () => void;
  /** The largest part of a body that fits into one frame, bytes. */
  readonly #most: number;
  readonly #chunks = new Chunks();
  #chunk = this.#chunks.take(0);
  #start = 0;
  #end = 0;
  /** The number of the last message, as the broker counts. */
  #number = 0;
  #scheduled = false;

  private constructor(channel: WritableChannel, full: () => void) {
    this.#channel = channel;
    this.#templates = new Templates(channel.number);
    this.#full = full;
    this.#most = Math.min(channel.frameMax, LARGEST_FRAME) - FRAME_OVERHEAD;
  }

  /** `full` is called when the socket buffer is full, until 'drain'. Undefined: amqplib does not look as expected. */
  static on(channel: ConfirmChannel, full: () => void): Publisher | undefined {
    const known = writableChannel(channel);
    return known && encodesAsKnown(channel) ? new Publisher(known, full) : undefined;
  }

  /**
   * Writes one message. `number`: its number on the channel, as the broker counts; `expiration`: ms, as text. Returns `false` if
   * the channel is closing or has changed. Throws if only amqplib can write the message. In both cases nothing was written.
   */
  publish(message: WireMessage, number: number, expiration: string | undefined): boolean {
    const { content, propertiesFrame } = message;
    if (!this.#scheduled && !this.#channel.buffer) return false;
    this.#reserve(propertiesFrame + ROUTE_FRAME + Math.min(content.length, this.#most) + FRAME_OVERHEAD);
    const chunk = this.#chunk;
    this.#end = this.#writeHead(message, expiration);
    this.#number = number;
    this.#writeBody(content);
    // A message has to be written to its end: closing the channel in the middle would cost the whole connection.
    if (this.#chunk !== chunk) this.flush();
    else this.#flushSoon();
    this.#channel.count();
    return true;
  }

  /** The broker has confirmed or rejected this number: the message and all before it have arrived there. */
  confirmed(number: number): void {
    this.#chunks.confirmed(number, this.#number);
  }

  /** Writes the collected frames, before anything that amqplib writes later. */
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

  /** Writes each frame as one piece: amqplib interleaves the writes of channels, and a frame must not be split. */
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

  /** Reserves this many contiguous bytes. */
  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#chunk.length) return;
    this.flush();
    // Allocates first: if memory is exhausted, the present chunk stays.
    const next = this.#chunks.take(bytes);
    // The old one may still be queued for the socket.
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
    // Closing: unwritten messages are reported lost with the written ones.
    if (!buffer) return;
    wrote();
    if (!buffer.write(bytes)) this.#full();
  }
}

/** The longest publish frame: both names at their maximum, and the bytes around them. */
const ROUTE_FRAME = FRAME_OVERHEAD + 4 + 2 + 2 * 256 + 1;

/** Bytes of a chunk, which takes many small messages to the socket in one write. */
const SMALL = 32 * 1024;
/** From this frame size on, few frames would fit into a small chunk. */
const LARGE_FRAME = 16 * 1024;
/** The largest frame that is written, the broker's default: a broker without a limit would make us copy whole bodies. */
const LARGEST_FRAME = 128 * 1024;
/** Bytes of a chunk for large bodies: with one chunk and one write for each, bodies of 16 KiB took a third more CPU. */
const LARGE = 4 * LARGEST_FRAME + 4096;
/** Chunks kept while messages are in flight, 17 MiB: room for more than fifty bodies of 256 KiB. */
const MOST = 32;
/** Chunks kept while no message is in flight, 2 MiB: room for the next burst of bodies of 16 KiB. */
const FEW = 4;

interface Resting {
  readonly chunk: Buffer;
  /** The number of the last message of which it holds a part. */
  readonly upTo: number;
}

/**
 * A pool of the buffers that frames are written into. Allocating new ones for large bodies took up to twice the CPU, because of
 * garbage collection. The socket does not report when a buffer is free, but the broker does: bytes arrive in order, so everything
 * before a confirmed message has left this process. (For the end of that message itself this holds only with RabbitMQ: LavinMQ
 * confirms before it has read the last octet.)
 */
export class Chunks {
  /** Chunks in flight, in the order of their messages. */
  readonly #resting: Resting[] = [];
  #confirmed = 0;

  /** A chunk with room for this many bytes. */
  take(bytes: number): Buffer {
    // More than half of the chunks are unused: the traffic has decreased.
    if (this.#resting.length > FEW && this.#isFree(this.#resting[this.#resting.length >> 1])) this.#resting.shift();
    for (let [first] = this.#resting; first && this.#isFree(first); [first] = this.#resting) {
      this.#resting.shift();
      if (first.chunk.length >= bytes) return first.chunk;
    }
    return Buffer.allocUnsafeSlow(bytes < LARGE_FRAME ? SMALL : Math.max(LARGE, bytes));
  }

  /** Marks a chunk as full. `upTo`: the number of the last message of which it holds a part. */
  give(chunk: Buffer, upTo: number): void {
    if (this.#resting.length < MOST) this.#resting.push({ chunk, upTo });
  }

  /** Frees chunks up to a message that the broker has confirmed or rejected. `written`: the last message that was written. */
  confirmed(number: number, written: number): void {
    this.#confirmed = Math.max(number, this.#confirmed);
    while (this.#confirmed >= written && this.#resting.length > FEW) this.#resting.shift();
  }

  #isFree(resting: Resting | undefined): boolean {
    return resting !== undefined && resting.upTo < this.#confirmed;
  }
}

/** The internals of an amqplib confirm channel that are used here, below its documented surface. */
interface WritableChannel {
  readonly number: number;
  /** The largest frame, bytes. */
  readonly frameMax: number;
  /** Writes to the socket after everything that amqplib has written; undefined when the channel is closing or closed. */
  readonly buffer: Writable | undefined;
  /** Counts a published message in amqplib too, so that its own publishes get the right numbers. */
  readonly count: () => void;
  /** Marks bytes as sent, so that amqplib skips a heartbeat. */
  readonly wrote: () => void;
}

const isFunction = (value: unknown): value is (...args: unknown[]) => unknown => typeof value === 'function';
const isWritable = (value: unknown): value is Writable =>
  isObject(value) && isFunction(Reflect.get(value, 'write')) && Reflect.get(value, 'writableObjectMode') === true;

/** The internals of this channel; undefined if anything differs from the known amqplib. */
function writableChannel(channel: ConfirmChannel): WritableChannel | undefined {
  const number: unknown = Reflect.get(channel, 'ch');
  const connection: unknown = Reflect.get(channel, 'connection');
  if (typeof number !== 'number' || !isObject(connection)) return undefined;
  const frameMax: unknown = Reflect.get(connection, 'frameMax');
  const push: unknown = Reflect.get(channel, 'pushConfirmCallback');
  const known =
    typeof frameMax === 'number' &&
    frameMax >= 4096 &&
    isFunction(push) &&
    Array.isArray(Reflect.get(channel, 'unconfirmed')) &&
    typeof Reflect.get(connection, 'sentSinceLastCheck') === 'boolean' &&
    isFunction(Reflect.get(channel, 'sendMessage')) &&
    isFunction(Reflect.get(connection, 'sendMessage'));
  // Instrumentation that wraps amqplib's publish (marked by shimmer) must see each message.
  const watched = [
    Reflect.get(channel, 'publish'),
    Reflect.get(channel, 'sendMessage'),
    Reflect.get(connection, 'sendMessage'),
  ].some((method) => isFunction(method) && Reflect.get(method, '__wrapped') === true);
  if (!known || watched) return undefined;

  const bufferOf = (): Writable | undefined => {
    // While closing, amqplib replaces its methods with ones that throw.
    if (Object.hasOwn(channel, 'sendMessage') || Object.hasOwn(connection, 'sendMessage')) return undefined;
    const channels: unknown = Reflect.get(connection, 'channels');
    const record: unknown = Array.isArray(channels) ? channels[number] : undefined;
    if (!isObject(record) || Reflect.get(record, 'channel') !== channel) return undefined;
    const buffer: unknown = Reflect.get(record, 'buffer');
    return isWritable(buffer) ? buffer : undefined;
  };
  if (!bufferOf()) return undefined;
  return {
    number,
    frameMax,
    get buffer() {
      return bufferOf();
    },
    count: () => {
      Reflect.apply(push, channel, []);
    },
    wrote: () => {
      Reflect.set(connection, 'sentSinceLastCheck', true);
    },
  };
}
