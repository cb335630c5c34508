import type { Socket } from 'node:net';
import { abort } from '../../../lib/testing/faults/fault-link';
import { PublishAssembler, type PublishedMessage, type ReceivedMethod } from './publish-assembler';
import { FrameDecoder, fieldsOf, type Frame } from '../frames/frames';
import { defaultReply } from './default-reply';
import { encodeContent, encodeMethod, type Fields } from '../frames/methods';

/** Replaces the default answer. If it returns `'default'`, the default answer is sent as well. */
export type Handler = (fields: Fields, channel: number) => unknown;

const PROTOCOL_HEADER = 8;
const HEARTBEAT = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]);

/** One connection to a {@link FakeBroker}, as the broker sees it. */
export class FakeClient {
  /** All methods it has sent, in order; a `basic.publish` once its body is complete. */
  readonly received: ReceivedMethod[] = [];
  readonly published: PublishedMessage[] = [];
  /** Whether each publish on a channel with confirms is acked at once. */
  autoConfirm = true;
  /** Whether heartbeats are sent, at half the negotiated interval. */
  heartbeats = true;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder('client');
  readonly #handlers = new Map<string, Handler>();
  readonly #waiting = new Set<() => void>();
  readonly #confirming = new Set<number>();
  readonly #assembler = new PublishAssembler();
  #greeting = 0;
  #frameMax = 131_072;
  #heart: NodeJS.Timeout | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => void socket.once('close', () => resolve()));
    void this.closed.then(() => {
      clearInterval(this.#heart);
      this.#wake();
    });
  }

  /**
   * Lets the script answer a method, e.g. `basic.consume`; `protocol-header` stands for the eight bytes that open a connection.
   * `'ignore'` answers nothing; without a handler the default applies again.
   */
  onMethod(name: string, handler?: Handler | 'ignore'): void {
    if (handler === undefined) this.#handlers.delete(name);
    else this.#handlers.set(name, handler === 'ignore' ? () => undefined : handler);
  }

  send(channel: number, name: string, fields: Fields = {}): void {
    this.write(encodeMethod(name, channel, fields));
  }

  /** Sends any bytes, valid or not. */
  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Whether the connection is closed. */
  get gone(): boolean {
    return this.#socket.destroyed;
  }

  /** Resolves when everything written so far has left this process, or the connection is closed. */
  async drained(): Promise<void> {
    while (this.#socket.writableLength > 0 && !this.#socket.destroyed) {
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Sends a method that carries content: `basic.deliver`, `basic.return`, `basic.get-ok`. */
  sendContent(channel: number, name: string, fields: Fields, body: Buffer | string, properties: Fields = {}): void {
    const content = encodeContent(channel, properties, Buffer.from(body), this.#frameMax);
    this.write(Buffer.concat([encodeMethod(name, channel, fields), content]));
  }

  deliver(channel: number, consumerTag: string, deliveryTag: number, body: Buffer | string, fields: Fields = {}): void {
    const method = { consumerTag, deliveryTag, redelivered: false, exchange: '', routingKey: '', ...fields };
    this.sendContent(channel, 'basic.deliver', method, body);
  }

  /** Returns a mandatory message, as a broker does before it confirms it. */
  sendReturn(message: PublishedMessage, replyCode = 312, replyText = 'NO_ROUTE'): void {
    const { channel, exchange, routingKey, body, properties } = message;
    this.sendContent(channel, 'basic.return', { replyCode, replyText, exchange, routingKey }, body, properties);
  }

  closeChannel(channel: number, replyCode: number, replyText: string, classId = 0, methodId = 0): void {
    this.send(channel, 'channel.close', { replyCode, replyText, classId, methodId });
    this.#forget(channel);
  }

  closeConnection(replyCode: number, replyText: string, classId = 0, methodId = 0): void {
    this.send(0, 'connection.close', { replyCode, replyText, classId, methodId });
  }

  /** Sends FIN. */
  end(): void {
    this.#socket.end();
  }

  /** Sends RST. */
  reset(): void {
    abort(this.#socket);
  }

  /** The first method of this name that passes the test, received already or later. Rejects if the connection ends first. */
  async until(name: string, test: (method: ReceivedMethod) => boolean = () => true): Promise<ReceivedMethod> {
    for (;;) {
      const found = this.received.find((method) => method.name === name && test(method));
      if (found !== undefined) return found;
      if (this.#socket.destroyed) throw new Error(`Expected ${name} from the client, but its connection ended first`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #read(chunk: Buffer): void {
    const before = this.#greeting;
    this.#greeting += chunk.length;
    if (before < PROTOCOL_HEADER && this.#greeting >= PROTOCOL_HEADER) {
      this.#take({ channel: 0, name: 'protocol-header', fields: {} });
    }
    for (const frame of this.#decoder.push(chunk)) this.#frame(frame);
  }

  #frame(frame: Frame): void {
    if (frame.type === 'method') {
      const method = { channel: frame.channel, name: frame.name, fields: fieldsOf(frame) };
      // Received only once its body is complete.
      if (method.name === 'basic.publish') this.#assembler.begin(method);
      else this.#take(method);
    }
    const complete = this.#assembler.add(frame);
    if (complete === undefined) return;
    const { method, message } = complete;
    this.published.push(message);
    if (this.#take(method) && this.autoConfirm && this.#confirming.has(message.channel)) {
      this.send(message.channel, 'basic.ack', { deliveryTag: message.tag, multiple: false });
    }
  }

  /** Whether the default answer applied. */
  #take(method: ReceivedMethod): boolean {
    const { name, fields, channel } = method;
    this.received.push(method);
    this.#wake();
    if (name === 'confirm.select') this.#confirming.add(channel);
    if (name === 'channel.close' || name === 'channel.open') this.#forget(channel);
    if (name === 'connection.tune-ok') this.#tuned(fields);
    const handler = this.#handlers.get(name);
    if (handler !== undefined && handler(fields, channel) !== 'default') return false;
    const reply = defaultReply(name, fields);
    if (reply !== undefined) this.send(channel, reply.name, reply.fields);
    if (name === 'connection.close' || name === 'connection.close-ok') this.end();
    return true;
  }

  #tuned(fields: Fields): void {
    const { heartbeat, frameMax } = fields as { heartbeat: number; frameMax: number };
    if (frameMax > 0) this.#frameMax = frameMax;
    if (heartbeat > 0) this.#heart = setInterval(() => this.heartbeats && this.write(HEARTBEAT), heartbeat * 500);
  }

  #forget(channel: number): void {
    this.#confirming.delete(channel);
    this.#assembler.forget(channel);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
