import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import { isObject } from '../../options';
import type { InboundMessage } from '../../transport/transport';
import { DeliveryFrames, LargeBody } from './delivery-frames';
import { retriedReadably } from './frame-guard';
import { BASIC, FRAME_END, FRAME_HEADER, FRAME_OVERHEAD, METHOD, SIZE_AT } from './frames';
import { ReadBuffer, uint16At, uint32At } from './read-buffer';

/** A channel of a consumer. */
interface Consuming {
  readonly channel: Channel;
  readonly frames: DeliveryFrames;
  readonly onMessage: (message: InboundMessage) => void;
}
/** A channel of a producer. */
interface Confirming {
  readonly channel: ConfirmChannel;
  readonly frames: undefined;
}
type Registered = Consuming | Confirming;

/** A body in several frames that is on its way, and to whom. */
interface Coming {
  readonly body: LargeBody;
  readonly to: Consuming;
}

/** The internals of an amqplib connection that are used here, below its documented surface. */
interface ReadingConnection {
  /** Bytes that were read and not yet split into frames. */
  rest: Buffer;
  /** Handles each frame. amqplib replaces it while closing. */
  readonly accept: (frame: unknown) => void;
  /** The channels by number. */
  readonly channels: readonly ({ readonly channel: unknown } | null | undefined)[];
  /** The next frame, which it reads from its stream if necessary; `false`: there is none yet. */
  recvFrame: () => unknown;
  /** Was anything read since the last heartbeat was due? */
  recvSinceLastCheck: boolean;
  readonly emit: (event: 'frameError', error: unknown) => unknown;
}

/** Does the connection look like the known amqplib? */
const isReading = (connection: object): connection is ReadingConnection =>
  typeof Reflect.get(connection, 'recvFrame') === 'function' &&
  Buffer.isBuffer(Reflect.get(connection, 'rest')) &&
  Array.isArray(Reflect.get(connection, 'channels')) &&
  typeof Reflect.get(connection, 'accept') === 'function' &&
  typeof Reflect.get(connection, 'recvSinceLastCheck') === 'boolean' &&
  typeof Reflect.get(connection, 'emit') === 'function';

/**
 * Takes complete messages and confirms out of the bytes that were read, before amqplib splits them into frames: amqplib creates
 * half a dozen objects for each of the three frames of a message, and closures for the message. Everything else, including messages
 * of consumers that are not registered here, is left to amqplib. The order of arrival is kept.
 */
export class Receiver {
  readonly #connection: ReadingConnection;
  readonly #accept: unknown;
  readonly #byChannel = new Map<number, Registered>();
  /** The messages whose bodies are on their way, by channel. */
  readonly #bodies = new Map<number, Coming>();
  /** The one among them of whose frame a part is still to come. */
  #within: Coming | undefined;
  readonly #buffer = new ReadBuffer();
  #reading = false;
  readonly #decode: (frame: Buffer) => ConsumeMessage['properties'];

  private constructor(connection: ReadingConnection) {
    this.#connection = connection;
    this.#accept = connection.accept;
    this.#decode = headerDecoder(connection);
    const receive = connection.recvFrame;
    // amqplib calls it for each frame, and again after each read.
    connection.recvFrame = (): unknown => (this.#take() ? false : receive.call(connection));
  }

  /** Installs it on this connection only. Undefined if anything differs from the known amqplib. */
  static on({ connection }: ChannelModel): Receiver | undefined {
    return isReading(connection) && decodesAsKnown(connection) ? new Receiver(connection) : undefined;
  }

  /** From now on, delivers the messages of this consumer to `onMessage` instead of amqplib's callback. */
  register(channel: Channel, consumerTag: string, onMessage: (message: InboundMessage) => void): void {
    const number = this.#numberOf(channel);
    if (number === undefined) return;
    this.#register(number, { channel, frames: new DeliveryFrames(number, consumerTag, this.#decode), onMessage });
  }

  /** From now on, reads the confirms of this channel, which emits them as it does those that amqplib reads. */
  registerConfirms(channel: ConfirmChannel): void {
    const number = this.#numberOf(channel);
    if (number !== undefined) this.#register(number, { channel, frames: undefined });
  }

  #numberOf(channel: Channel): number | undefined {
    const number: unknown = Reflect.get(channel, 'ch');
    return typeof number === 'number' && this.#isOpen(channel, number) ? number : undefined;
  }

  #register(number: number, registered: Registered): void {
    const { channel } = registered;
    const known = this.#byChannel.get(number)?.channel === channel;
    this.#byChannel.set(number, registered);
    // A channel may have many consumers, one after the other.
    if (known) return;
    channel.once('close', () => {
      if (this.#byChannel.get(number)?.channel === channel) this.#byChannel.delete(number);
    });
  }

  /**
   * Takes what the socket has read, and what lies in front of it, past the socket's own buffer: there, each read would cost two
   * allocations and an event. Whatever was given to the socket itself must have been read before.
   */
  read(bytes: Uint8Array): void {
    const connection = this.#connection;
    connection.recvSinceLastCheck = true;
    // What amqplib does when its stream is readable.
    this.#reading = true;
    try {
      for (let from = 0; from < bytes.length;) {
        const { length } = connection.rest;
        const begun = from;
        if (length === 0) from = this.#takeBodies(bytes, from);
        if (from > begun) continue;
        connection.rest = this.#buffer.append(connection.rest, bytes, from);
        from += connection.rest.length - length;
        for (let frame = connection.recvFrame(); frame; frame = connection.recvFrame()) connection.accept(frame);
      }
    } catch (error) {
      connection.emit('frameError', error);
    } finally {
      this.#reading = false;
    }
  }

  /** `true`: what comes next is not complete, and will be taken when it is. Only where this class itself reads. */
  #take(): boolean {
    const { rest } = this.#connection;
    if (this.#byChannel.size === 0 && !this.#within) return false;
    let at = 0;
    let number = -1;
    let registered: Registered | undefined;
    try {
      for (at = this.#takeBodies(rest, at); rest.length - at >= LEAST; at = this.#takeBodies(rest, at)) {
        const next = uint16At(rest, at + 1);
        // Most messages of one read belong to the same channel.
        if (next !== number) registered = this.#byChannel.get((number = next));
        if (!registered || !this.#isOpen(registered.channel, number)) return false;
        if (registered.frames) {
          const message = registered.frames.parse(rest, at);
          if (!message) return registered.frames.incomplete && this.#reading;
          at = registered.frames.end;
          if (!registered.frames.partial) this.#hand(registered, message);
          else this.#bodies.set(number, { body: new LargeBody(number, message), to: registered });
        } else {
          const confirm = confirmAt(rest, at);
          if (confirm === undefined) return false;
          const tagAt = at + FRAME_HEADER + 4;
          const deliveryTag = uint32At(rest, tagAt) * 2 ** 32 + uint32At(rest, tagAt + 4);
          at += CONFIRM;
          registered.channel.emit(confirm, { deliveryTag, multiple: ((rest[tagAt + 8] ?? 0) & 1) === 1 });
        }
      }
      // No frame is shorter.
      return this.#reading && rest.length - at < FRAME_OVERHEAD;
    } finally {
      if (at > 0) this.#connection.rest = rest.subarray(at);
    }
  }

  /** Takes what belongs to bodies in several frames. Returns the end of that. */
  #takeBodies(bytes: Uint8Array, start: number): number {
    let at = start;
    for (let coming = this.#comingAt(bytes, at); coming; coming = this.#comingAt(bytes, at)) {
      const { body, to } = coming;
      if (!body.within && !body.expects(bytes, at)) {
        // amqplib refuses all other frames itself: it knows of no message that they could be a part of.
        if (bytes[at] === METHOD) this.#abandon(coming);
        break;
      }
      at = body.take(bytes, at);
      this.#within = body.within ? coming : undefined;
      if (this.#within) break;
      if (!body.complete) continue;
      this.#bodies.delete(body.channel);
      if (this.#isOpen(to.channel, body.channel)) this.#hand(to, body.message);
    }
    return at;
  }

  /** The method of another message, or any other, comes too early. While closing, amqplib drops frames without a look at their order. */
  #abandon({ body, to }: Coming): void {
    this.#bodies.delete(body.channel);
    if (this.#isOpen(to.channel, body.channel))
      closeWithError(to.channel, UNEXPECTED_FRAME, new Error('Expected the next frame of a body.'));
  }

  /** The body in several frames that goes on at `at`; undefined: what is there is no part of one, or not there yet. */
  #comingAt(bytes: Uint8Array, at: number): Coming | undefined {
    if (this.#within) return this.#within;
    if (this.#bodies.size === 0 || bytes.length - at < FRAME_HEADER) return undefined;
    return this.#bodies.get(uint16At(bytes, at + 1));
  }

  /** An exception closes its channel, as in amqplib, and no other channel of the connection. */
  #hand({ channel, onMessage }: Consuming, message: InboundMessage): void {
    try {
      onMessage(message);
    } catch (error) {
      closeWithError(channel, INTERNAL_ERROR, error);
    }
  }

  /** While closing, amqplib replaces `accept` with one that drops frames. */
  #isOpen(channel: Channel, number: number): boolean {
    if (Object.hasOwn(channel, 'accept') || this.#connection.accept !== this.#accept) return false;
    return this.#connection.channels[number]?.channel === channel;
  }
}

/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const INTERNAL_ERROR = 541;
const UNEXPECTED_FRAME = 505;

/** As amqplib does. @throws the error if this amqplib closes channels in another way */
function closeWithError(channel: Channel, code: number, error: unknown): void {
  const close: unknown = Reflect.get(channel, 'closeWithError');
  if (typeof close !== 'function') throw error;
  Reflect.apply(close, channel, [undefined, 'Error while processing message', code, error]);
}

/** The methods `basic.ack` and `basic.nack`. https://www.rabbitmq.com/amqp-0-9-1-reference#basic.ack */
const ACK = BASIC * 0x10000 + 80;
const NACK = BASIC * 0x10000 + 120;
/** Bytes of the payload: class, method, delivery tag and bits. */
const CONFIRM_PAYLOAD = 4 + 8 + 1;
const CONFIRM = CONFIRM_PAYLOAD + FRAME_OVERHEAD;
/** Bytes of the shortest that is taken. */
const LEAST = CONFIRM;

/** What the frame at `at` is, of which all is there: undefined, no confirm as expected. */
function confirmAt(bytes: Buffer, at: number): 'ack' | 'nack' | undefined {
  if (bytes[at] !== METHOD || uint32At(bytes, at + SIZE_AT) !== CONFIRM_PAYLOAD) return undefined;
  if (bytes[at + CONFIRM - 1] !== FRAME_END) return undefined;
  const method = uint32At(bytes, at + FRAME_HEADER);
  return method === ACK ? 'ack' : method === NACK ? 'nack' : undefined;
}

type Properties = ConsumeMessage['properties'];

/** Lets amqplib decode a single header frame, on a stubbed copy of the connection. */
function headerDecoder(connection: object): (frame: Buffer) => Properties {
  const prototype: unknown = Object.getPrototypeOf(connection);
  const receive: unknown = isObject(prototype) ? Reflect.get(prototype, 'recvFrame') : undefined;
  const nothing = { read: () => null };
  // amqplib's own method, not the one that the frame guard has installed on this connection.
  const shadow = Object.create(connection, { stream: { value: nothing }, recvFrame: { value: receive } }) as object;
  const decode = (frame: Buffer): unknown => {
    Reflect.set(shadow, 'rest', frame);
    return typeof receive === 'function' ? Reflect.apply(receive, shadow, []) : undefined;
  };
  return (frame) => {
    const decoded = retriedReadably(frame, decode);
    const fields = isObject(decoded) ? decoded['fields'] : undefined;
    if (typeof fields !== 'object' || fields === null)
      throw new Error('amqplib did not decode the properties of a message.');
    return fields as Properties;
  };
}

/** content-type `t`, headers `{ a: 1 }`, message-id `m`; an empty body. */
const SAMPLE = Buffer.from(
  '020001' + '0000001a' + '003c0000' + '0000000000000000' + 'a080' + '0174' + '00000004' + '01616201' + '016d' + 'ce',
  'hex',
);

/** Does the decoder work with this version of amqplib? */
function decodesAsKnown(connection: object): boolean {
  try {
    const properties = headerDecoder(connection)(SAMPLE);
    const headers: unknown = properties.headers;
    const header: unknown = isObject(headers) ? Reflect.get(headers, 'a') : undefined;
    return properties.contentType === 't' && properties.messageId === 'm' && header === 1;
  } catch {
    return false;
  }
}
