import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { DeliveryFrames } from './delivery-frames';
import { decodesAsKnown, headerDecoder } from './header-decoder';

interface Registered {
  readonly channel: Channel;
  readonly frames: DeliveryFrames;
  readonly onMessage: (message: ConsumeMessage) => void;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/**
 * Takes whole messages out of what was read before amqplib cuts it into frames: for each of the three frames of a message
 * it makes half a dozen objects, and some closures for the message. What is not a whole message of a consumer that was
 * named here is amqplib's, as ever: everything goes on in the order in which it came.
 */
export class Receiver {
  readonly #connection: object;
  readonly #accept: unknown;
  readonly #byChannel = new Map<number, Registered>();
  readonly #decode: (frame: Buffer) => ConsumeMessage['properties'];

  private constructor(connection: object, receive: CallableFunction) {
    this.#connection = connection;
    this.#accept = Reflect.get(connection, 'accept');
    this.#decode = headerDecoder(connection);
    // amqplib calls it for each frame, and again whenever it has read more.
    Reflect.set(connection, 'recvFrame', (): unknown => {
      this.#take();
      const frame: unknown = Reflect.apply(receive, connection, []);
      return frame;
    });
  }

  /** On this connection alone; undefined if anything is not as it was in the amqplib we know. */
  static on({ connection }: ChannelModel): Receiver | undefined {
    const receive: unknown = Reflect.get(connection, 'recvFrame');
    const known =
      typeof receive === 'function' &&
      Buffer.isBuffer(Reflect.get(connection, 'rest')) &&
      Array.isArray(Reflect.get(connection, 'channels')) &&
      typeof Reflect.get(connection, 'accept') === 'function' &&
      decodesAsKnown(connection);
    return known ? new Receiver(connection, receive) : undefined;
  }

  /** The messages of this consumer come here from now on, and not to amqplib's callback. */
  register(channel: Channel, consumerTag: string, onMessage: (message: ConsumeMessage) => void): void {
    const number: unknown = Reflect.get(channel, 'ch');
    if (typeof number !== 'number' || !this.#isOpen(channel, number)) return;
    const frames = new DeliveryFrames(number, consumerTag, this.#decode);
    this.#byChannel.set(number, { channel, frames, onMessage });
    channel.once('close', () => {
      if (this.#byChannel.get(number)?.channel === channel) this.#byChannel.delete(number);
    });
  }

  #take(): void {
    const rest: unknown = Reflect.get(this.#connection, 'rest');
    if (!Buffer.isBuffer(rest) || this.#byChannel.size === 0) return;
    let at = 0;
    try {
      while (rest.length - at > LEAST) {
        const number = rest.readUInt16BE(at + 1);
        const registered = this.#byChannel.get(number);
        if (!registered || !this.#isOpen(registered.channel, number)) break;
        const message = registered.frames.parse(rest, at);
        if (!message) break;
        at = registered.frames.end;
        this.#hand(registered, message);
      }
    } finally {
      if (at > 0) Reflect.set(this.#connection, 'rest', rest.subarray(at));
    }
  }

  /** What throws costs its channel, as with amqplib, and not the neighbours on this connection. */
  #hand({ channel, onMessage }: Registered, message: ConsumeMessage): void {
    try {
      onMessage(message);
    } catch (error) {
      const close: unknown = Reflect.get(channel, 'closeWithError');
      if (typeof close !== 'function') throw error;
      Reflect.apply(close, channel, [undefined, 'Error while processing message', INTERNAL_ERROR, error]);
    }
  }

  /** While closing, amqplib puts another `accept` in the way, which drops what comes. */
  #isOpen(channel: Channel, number: number): boolean {
    if (Object.hasOwn(channel, 'accept') || Reflect.get(this.#connection, 'accept') !== this.#accept) return false;
    const channels: unknown = Reflect.get(this.#connection, 'channels');
    const record: unknown = Array.isArray(channels) ? channels[number] : undefined;
    return isObject(record) && Reflect.get(record, 'channel') === channel;
  }
}

/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const INTERNAL_ERROR = 541;
/** Bytes of the three frames of a message that says nothing. */
const LEAST = 40;
