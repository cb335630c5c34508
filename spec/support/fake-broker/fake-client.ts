import type { Socket } from 'node:net';
import { abort } from '../../../lib/testing/faults/abort';
import { PublishAssembler, type PublishedMessage, type ReceivedMethod } from './fake-publish';
import { FrameDecoder, fieldsOf, type Frame } from './frames';
import { defaultReply } from './fake-replies';
import { encodeContent, encodeMethod, type Fields } from './methods';

/** Answers in place of the default; returning `'default'`, and nothing else, lets that one go out after all. */
export type Handler = (fields: Fields, channel: number) => unknown;

const PROTOCOL_HEADER = 8;
const HEARTBEAT = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]);

/** One connection to a {@link FakeBroker}, as the broker sees it. */
export class FakeClient {
  /** All that it sent, in order; `basic.publish` when its body is complete. */
  readonly received: ReceivedMethod[] = [];
  readonly published: PublishedMessage[] = [];
  /** Whether publishes on channels with confirms are acked at once, singly. */
  autoConfirm = true;
  /** Whether heartbeats are sent, at half of the interval that was agreed. */
  heartbeats = true;
  /** Settles when the connection is gone. */
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
   * Has a method answered by the script, e.g. `basic.consume`; `protocol-header` is the eight octets that open a connection.
   * `'ignore'` answers nothing, and no handler goes back to the default.
   */
  onMethod(name: string, handler?: Handler | 'ignore'): void {
    if (handler === undefined) this.#handlers.delete(name);
    else this.#handlers.set(name, handler === 'ignore' ? () => undefined : handler);
  }

  send(channel: number, name: string, fields: Fields = {}): void {
    this.write(encodeMethod(name, channel, fields));
  }

  /** Any octets, sense or none. */
  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Is its connection over? */
  get gone(): boolean {
    return this.#socket.destroyed;
  }

  /** Settles when the client has taken what was written so far, or is gone. */
  async drained(): Promise<void> {
    while (this.#socket.writableLength > 0 && !this.#socket.destroyed) {
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
    }
  }

  /** A method that carries content: `basic.deliver`, `basic.return`, `basic.get-ok`. */
  sendContent(channel: number, name: string, fields: Fields, body: Buffer | string, properties: Fields = {}): void {
    const content = encodeContent(channel, properties, Buffer.from(body), this.#frameMax);
    this.write(Buffer.concat([encodeMethod(name, channel, fields), content]));
  }

  deliver(channel: number, consumerTag: string, deliveryTag: number, body: Buffer | string, fields: Fields = {}): void {
    const method = { consumerTag, deliveryTag, redelivered: false, exchange: '', routingKey: '', ...fields };
    this.sendContent(channel, 'basic.deliver', method, body);
  }

  /** Sends a mandatory message back, as the broker does before it confirms it. */
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

  /** FIN. */
  end(): void {
    this.#socket.end();
  }

  /** RST. */
  reset(): void {
    abort(this.#socket);
  }

  /** The first method of this name, already received or to come, that passes the test. Rejects if the connection ends first. */
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
      // It counts as received once its body is here.
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

  /** Gives whether the default was to be done. */
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
