import type { ConfirmChannel } from 'amqplib';
import type { WireMessage } from '../../transport/transport';
import { writableChannel, type WritableChannel } from './channel-internals';
import { FRAME_OVERHEAD } from './frames';
import { isObject } from './is-object';
import { type FramedMessage, publishFrame, writeBodyHeader, writeFrameEnd, writeHeaderFrame } from './publish-frames';
import { Templates } from './publish-frames';

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

/** Bytes of a chunk, in which many small messages go to the socket at once. */
const SMALL = 32 * 1024;
/** Of frames as large, little would fit into one. */
const LARGE_FRAME = 16 * 1024;
/** The broker may take frames of any size: ours are no larger than its default, lest a body is copied as a whole. */
const LARGEST_FRAME = 128 * 1024;
/** So large ones have larger chunks: with a chunk and a write for each, bodies of 16 KiB took a third more CPU. */
const LARGE = 4 * LARGEST_FRAME + 4096;
/** Kept while messages are under way, 17 MiB: more than fifty bodies of 256 KiB lie in. */
const MOST = 32;
/** Kept while none is, 2 MiB: what the next burst of bodies of 16 KiB takes. */
const FEW = 4;

interface Resting {
  readonly chunk: Buffer;
  /** The number of the last message that lies in it, or in part. */
  readonly upTo: number;
}

/**
 * What frames are written into, used again: new chunks for large bodies made the collector of garbage run, with which they
 * took up to twice the CPU. When is one free? The socket does not tell us, the broker does: bytes come in order, so what lay
 * in front of a message that it confirms has left this process. (The end of that message itself only with RabbitMQ:
 * LavinMQ confirms in front of the last octet.)
 */
export class Chunks {
  /** In the order of their messages. */
  readonly #resting: Resting[] = [];
  #confirmed = 0;

  /** One with room for so many bytes. */
  take(bytes: number): Buffer {
    // More than half of them wait to be used: less is under way than was.
    if (this.#resting.length > FEW && this.#isFree(this.#resting[this.#resting.length >> 1])) this.#resting.shift();
    for (let [first] = this.#resting; first && this.#isFree(first); [first] = this.#resting) {
      this.#resting.shift();
      if (first.chunk.length >= bytes) return first.chunk;
    }
    return Buffer.allocUnsafeSlow(bytes < LARGE_FRAME ? SMALL : Math.max(LARGE, bytes));
  }

  /** It is full. `upTo`: the number of the last message that lies in it, or in part. */
  give(chunk: Buffer, upTo: number): void {
    if (this.#resting.length < MOST) this.#resting.push({ chunk, upTo });
  }

  /** The broker has told of this number. `written`: the last one that was written. */
  confirmed(number: number, written: number): void {
    this.#confirmed = Math.max(number, this.#confirmed);
    if (this.#confirmed >= written && this.#resting.length > FEW) this.#resting.splice(0, this.#resting.length - FEW);
  }

  #isFree(resting: Resting | undefined): boolean {
    return resting !== undefined && resting.upTo < this.#confirmed;
  }
}

const SAMPLE: FramedMessage = {
  exchange: 'an exchange',
  routingKey: 'clé',
  mandatory: true,
  persistent: true,
  messageId: '0b5bd2ff-0d2f-4f0b-9c43-0e8c1b6a7d11',
  contentType: 'application/json',
  properties: { headers: { count: 1, text: 'tëxt', none: null }, priority: 3, appId: 'self-test' },
  content: Buffer.from('{"a":1}'),
};
const EXPIRATION = '1000';
const CHANNEL = 513;

const verdicts = new WeakMap<object, boolean>();

/**
 * Does this amqplib write a message as we do, byte by byte? It is let do so on shadows of the channel and its connection,
 * once per version of it in this process: nothing is sent, nothing of it is changed.
 */
function encodesAsKnown(channel: ConfirmChannel): boolean {
  const publish: unknown = Reflect.get(channel, 'publish');
  if (typeof publish !== 'function') return false;
  let verdict = verdicts.get(publish);
  if (verdict === undefined) verdicts.set(publish, (verdict = writesTheSame(channel, publish)));
  return verdict;
}

function writesTheSame(channel: ConfirmChannel, publish: CallableFunction): boolean {
  const written: unknown[] = [];
  const buffer = { write: (bytes: unknown) => written.push(bytes) > 0 };
  const connection: unknown = Reflect.get(channel, 'connection');
  if (!isObject(connection)) return false;
  const shadow = (of: object, members: Record<string, unknown>): object =>
    Object.create(
      of,
      Object.fromEntries(Object.entries(members).map(([name, value]) => [name, { value, writable: true }])),
    ) as object;
  const channels: unknown[] = [];
  channels[CHANNEL] = { buffer };
  const sink = shadow(connection, { channels, sentSinceLastCheck: false });
  const probe = shadow(channel, { connection: sink, ch: CHANNEL, pushConfirmCallback: () => undefined });
  const { exchange, routingKey, content, properties, ...rest } = SAMPLE;
  const options = { ...rest, ...properties, expiration: EXPIRATION };
  try {
    Reflect.apply(publish, probe, [exchange, routingKey, content, options]);
  } catch {
    return false;
  }
  const theirs = written.every((bytes) => Buffer.isBuffer(bytes)) ? Buffer.concat(written) : undefined;
  return theirs?.equals(encoded(SAMPLE)) === true;
}

/** One message as a whole. */
function encoded(message: FramedMessage): Buffer {
  const bytes = Buffer.alloc(1024);
  const method = publishFrame(CHANNEL, message);
  method.copy(bytes);
  const headed = writeHeaderFrame(bytes, method.length, CHANNEL, message, EXPIRATION);
  const bodyAt = writeBodyHeader(bytes, headed, CHANNEL, message.content.length);
  const end = writeFrameEnd(bytes, bodyAt + message.content.copy(bytes, bodyAt));
  return bytes.subarray(0, end);
}
