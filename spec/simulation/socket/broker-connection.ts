import type { Random } from '../../../lib/testing/simulation/random';
import type { TransportHost } from '../../../lib/testing/memory/memory-transport';
import { Refusal } from '../../../lib/testing/memory/refusal';
import { fieldsOf, FrameDecoder, type Frame } from '../../support/frames/frames';
import { encodeContent, encodeMethod, type Fields } from '../../support/frames/methods';
import type { Clock, Waiting } from './byte-line';
import { ServerChannel, type ServerConnection } from './server-channel';
import type { SocketPlan } from './socket-plan';
import type { BrokerEnd } from './tcp-connection';

/** The broker's side of the socket. */
export interface ServerSocket {
  write(bytes: Buffer): void;
  /** Closes the connection. */
  end(): void;
  /** Does the broker close the connection as soon as it is open? */
  closesAtOpen(): boolean;
  /** The client sent what AMQP does not allow. */
  nonsense(what: string): void;
}

const GREETING = Buffer.from('AMQP\0\0\x09\x01');
const HEARTBEAT = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]);
/** A frame of a type that there is not. */
const NONSENSE = Buffer.from([42, 0, 0, 0, 0, 0, 1, 0, 0]);
const CHANNEL_MAX = 2047;
/** ms to wait for close-ok. */
const CLOSE_WITHIN = 30_000;

const CAPABILITIES = {
  publisher_confirms: true,
  exchange_exchange_bindings: true,
  'basic.nack': true,
  consumer_cancel_notify: true,
  'connection.blocked': true,
  consumer_priorities: true,
  authentication_failure_close: true,
  per_consumer_qos: true,
  direct_reply_to: true,
};

/** Bytes of a frame, with what surrounds its payload. */
const sizeOf = ({ type, payload }: Frame): number => payload.length + (type === 'method' ? 12 : 8);

type State = 'greeting' | 'starting' | 'tuning' | 'opening' | 'open' | 'closing' | 'closed';

/**
 * One connection as a server of AMQP 0-9-1 serves it, for the broker in memory: handshake, heartbeats, channels, blocking, closing.
 * https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf
 */
export class BrokerConnection implements BrokerEnd, ServerConnection {
  readonly #host: TransportHost;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #plan: SocketPlan;
  readonly #socket: ServerSocket;
  readonly #decoder = new FrameDecoder('broker');
  readonly #channels = new Map<number, ServerChannel>();
  /** What is not read while the connection is blocked. */
  readonly #unread: Frame[] = [];
  #state: State = 'greeting';
  #greeting = Buffer.alloc(0);
  #blocked = false;
  #stopped = false;
  #left = false;
  #wrote = false;
  #heard = true;
  #missed = 0;
  readonly #timers = new Set<Waiting>();

  constructor(host: TransportHost, clock: Clock, random: Random, plan: SocketPlan, socket: ServerSocket) {
    this.#host = host;
    this.#clock = clock;
    this.#random = random;
    this.#plan = plan;
    this.#socket = socket;
  }

  /** Has the broker forgotten it? */
  get gone(): boolean {
    return this.#left;
  }
  get busy(): boolean {
    return [...this.#channels.values()].some(({ busy }) => busy);
  }

  // ── what arrives ──

  read(bytes: Buffer): void {
    this.#heard = true;
    let rest = bytes;
    if (this.#greeting.length < GREETING.length) {
      const taken = GREETING.length - this.#greeting.length;
      this.#greeting = Buffer.concat([this.#greeting, bytes.subarray(0, taken)]);
      rest = bytes.subarray(taken);
      if (this.#greeting.length === GREETING.length) this.#greet();
    }
    let frames: readonly Frame[];
    try {
      frames = this.#decoder.push(rest);
    } catch (error) {
      this.#fail(501, String(error));
      return;
    }
    for (const frame of frames) {
      if (sizeOf(frame) > this.#plan.frameMax) this.#fail(501, `a frame of ${String(sizeOf(frame))} bytes`);
      else this.#take(frame);
    }
    for (const channel of this.#channels.values()) channel.flushConfirms();
  }

  /** The socket is closed. */
  left(): void {
    this.#leave();
    this.#state = 'closed';
    for (const timer of this.#timers) timer.waiting = false;
  }

  #greet(): void {
    if (!this.#greeting.equals(GREETING)) {
      this.#fail(501, `a greeting of ${this.#greeting.toString('hex')}`);
      return;
    }
    this.#state = 'starting';
    const serverProperties = { product: 'RabbitMQ', version: this.#host.vhost.version, capabilities: CAPABILITIES };
    const start = { versionMajor: 0, versionMinor: 9, mechanisms: 'PLAIN AMQPLAIN', locales: 'en_US' };
    this.send(0, 'connection.start', { ...start, serverProperties });
  }

  #take(frame: Frame): void {
    if (this.#stopped && this.#state !== 'closing') return;
    if (frame.type === 'heartbeat') return;
    const { alarm } = this.#host;
    if (frame.name === 'basic.publish' && alarm !== undefined && !this.#blocked) {
      this.#blocked = true;
      this.send(0, 'connection.blocked', { reason: alarm });
    }
    if (this.#blocked && this.#state === 'open') this.#unread.push(frame);
    else if (frame.channel === 0) this.#connectionMethod(frame);
    else if (this.#state === 'open') this.#channelFrame(frame);
    // RabbitMQ ignores what comes while it closes the connection.
    else if (this.#state !== 'closing') this.#fail(504, `${frame.name} on channel ${String(frame.channel)}`);
  }

  #connectionMethod(frame: Frame): void {
    const fields = fieldsOf(frame);
    switch (`${this.#state} ${frame.name}`) {
      case 'starting connection.start-ok':
        this.#state = 'tuning';
        this.send(0, 'connection.tune', { channelMax: CHANNEL_MAX, frameMax: this.#plan.frameMax, heartbeat: 60 });
        break;
      case 'tuning connection.tune-ok':
        this.#state = 'opening';
        this.#beat(Number(fields['heartbeat']));
        break;
      case 'opening connection.open':
        this.#state = 'open';
        this.send(0, 'connection.open-ok', { knownHosts: '' });
        if (this.#socket.closesAtOpen()) this.refuse(new Refusal(320, 'simulated'));
        // What follows may be read together with it.
        else if (this.#random.chance(0.3)) this.#socket.write(HEARTBEAT);
        break;
      case 'open connection.update-secret':
        this.send(0, 'connection.update-secret-ok');
        break;
      case 'closing connection.close-ok':
        this.#socket.end();
        break;
      default:
        if (frame.name !== 'connection.close') this.#fail(503, `${frame.name} while ${this.#state}`);
        else {
          this.#leave();
          this.send(0, 'connection.close-ok');
          this.#socket.end();
        }
    }
  }

  #channelFrame(frame: Frame): void {
    const { channel: number, name } = frame;
    const channel = this.#channels.get(number);
    if (name === 'channel.open' && !channel) {
      this.#channels.set(number, new ServerChannel(this, number, this.#random, this.#plan.late));
      this.send(number, 'channel.open-ok', { channelId: '' });
    } else if (channel) channel.take(frame);
    else this.#fail(504, `${name} on channel ${String(number)}, which is not open`);
  }

  #beat(seconds: number): void {
    if (seconds === 0) return;
    this.#every(seconds * 500, () => {
      if (!this.#wrote) this.#socket.write(HEARTBEAT);
      this.#wrote = false;
    });
    this.#every(seconds * 1000, () => {
      this.#missed = this.#heard ? 0 : this.#missed + 1;
      this.#heard = false;
      if (this.#missed >= 2) this.#socket.end();
    });
  }

  #every(ms: number, task: () => void): void {
    this.#in(ms, () => {
      task();
      if (this.#state !== 'closed') this.#every(ms, task);
    });
  }

  #in(ms: number, task: () => void): void {
    const timer = this.#clock.after(ms, () => {
      this.#timers.delete(timer);
      task();
    });
    this.#timers.add(timer);
  }

  // ── for its channels ──

  get host(): TransportHost {
    return this.#host;
  }
  after(ms: number, task: () => void): void {
    this.#clock.after(ms, task);
  }
  send(channel: number, name: string, fields: Fields = {}): void {
    this.#wrote = true;
    this.#socket.write(encodeMethod(name, channel, fields));
  }
  sendContent(channel: number, name: string, fields: Fields, properties: Fields, body: Buffer): void {
    this.#wrote = true;
    const content = encodeContent(channel, properties, body, this.#plan.frameMax);
    this.#socket.write(Buffer.concat([encodeMethod(name, channel, fields), content]));
  }
  forget(channel: number): void {
    this.#channels.delete(channel);
  }

  // ── what the broker does ──

  /** It delivers nothing more, and reads nothing more. */
  stop(): void {
    this.#stopped = true;
    for (const channel of this.#channels.values()) channel.stop();
  }

  /** It closes the connection. */
  refuse(refusal: Refusal): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#leave();
    this.#state = 'closing';
    this.send(0, 'connection.close', {
      replyCode: refusal.replyCode,
      replyText: refusal.text,
      classId: 0,
      methodId: 0,
    });
    this.#in(CLOSE_WITHIN, () => {
      this.#socket.end();
    });
  }

  closeChannel(refusal: Refusal): void {
    const open = [...this.#channels.values()].filter(({ open }) => open);
    const one = open[this.#random.integer(0, open.length - 1)];
    if (!one) return;
    // No message is to blame: what the broker took is confirmed.
    one.sendConfirms();
    if (refusal.closesConnection) this.refuse(refusal);
    else one.refuse(refusal);
  }

  unblock(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    if (this.#state === 'open') this.send(0, 'connection.unblocked');
    for (const frame of this.#unread.splice(0)) this.#take(frame);
    for (const channel of this.#channels.values()) channel.flushConfirms();
  }

  writeNonsense(): void {
    if (this.#state === 'open') this.#socket.write(NONSENSE);
  }

  #leave(): void {
    this.stop();
    if (this.#left) return;
    this.#left = true;
    for (const channel of this.#channels.values()) channel.end();
    this.#channels.clear();
    this.#host.vhost.left(this);
  }

  #fail(replyCode: 501 | 503 | 504, what: string): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#socket.nonsense(what);
    this.refuse(new Refusal(replyCode, what));
  }
}
