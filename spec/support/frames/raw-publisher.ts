import { connect, type Socket } from 'node:net';
import { FrameDecoder, type Frame } from './frames';
import { encodeMethod } from './methods';

const GREETING = Buffer.from('AMQP\0\0\x09\x01');
const CHANNEL = 1;

/** A frame with any payload. `size` is the size that its header claims. */
export function rawFrame(type: number, channel: number, payload: Buffer, size = payload.length): Buffer {
  const head = Buffer.alloc(7);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(size, 3);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}

/** The header frame of a message whose only property is `headers`, with the bytes of this field table. */
export function rawHeader(channel: number, bodySize: number, table: Buffer): Buffer {
  const head = Buffer.alloc(14);
  head.writeUInt16BE(60, 0);
  head.writeBigUInt64BE(BigInt(bodySize), 4);
  // The flag of `headers` alone.
  head.writeUInt16BE(0x2000, 12);
  return rawFrame(2, channel, Buffer.concat([head, table]));
}

/** A field table nested to this depth, each level under the empty name: six bytes a level. */
export function nestedTable(depth: number): Buffer {
  const table = Buffer.alloc(4 + depth * 6);
  table.writeUInt32BE(depth * 6, 0);
  for (let level = 0; level < depth; level += 1) {
    const at = 4 + level * 6;
    table.write('F', at + 1);
    table.writeUInt32BE((depth - level - 1) * 6, at + 2);
  }
  return table;
}

/** Publishes messages that no client library would write, over its own connection, with confirms. */
export class RawPublisher {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder('broker');
  readonly #frames: Frame[] = [];
  #look: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => this.#look());
    socket.on('data', (chunk: Buffer) => {
      this.#frames.push(...this.#decoder.push(chunk));
      this.#look();
    });
  }

  static async at(url: string): Promise<RawPublisher> {
    const { hostname, port, username, password, pathname } = new URL(url);
    const raw = new RawPublisher(connect(Number(port), hostname));
    const vhost = pathname.length > 1 ? decodeURIComponent(pathname.slice(1)) : '/';
    const response = `\0${decodeURIComponent(username)}\0${decodeURIComponent(password)}`;
    raw.#socket.write(GREETING);
    await raw.#answer('connection.start');
    const login = { clientProperties: {}, mechanism: 'PLAIN', response, locale: 'en_US' };
    raw.#socket.write(encodeMethod('connection.start-ok', 0, login));
    await raw.#answer('connection.tune');
    const tuned = encodeMethod('connection.tune-ok', 0, { channelMax: 10, frameMax: 131_072, heartbeat: 0 });
    raw.#socket.write(Buffer.concat([tuned, encodeMethod('connection.open', 0, { virtualHost: vhost })]));
    await raw.#answer('connection.open-ok');
    raw.#socket.write(encodeMethod('channel.open', CHANNEL, {}));
    await raw.#answer('channel.open-ok');
    raw.#socket.write(encodeMethod('confirm.select', CHANNEL, {}));
    await raw.#answer('confirm.select-ok');
    return raw;
  }

  /** Publishes to a queue with this field table as headers; resolves when the broker has confirmed the message. */
  async publish(queue: string, table: Buffer, body: Buffer): Promise<void> {
    const method = encodeMethod('basic.publish', CHANNEL, { exchange: '', routingKey: queue });
    this.#socket.write(Buffer.concat([method, rawHeader(CHANNEL, body.length, table), rawFrame(3, CHANNEL, body)]));
    await this.#answer('basic.ack');
  }

  async close(): Promise<void> {
    this.#socket.write(encodeMethod('connection.close', 0, { replyCode: 200, replyText: '', classId: 0, methodId: 0 }));
    await this.#answer('connection.close-ok').catch(() => undefined);
    this.#socket.destroy();
  }

  async #answer(name: string): Promise<void> {
    for (;;) {
      const next = this.#frames.shift();
      if (next?.name === name) return;
      if (next?.type === 'heartbeat') continue;
      if (next) throw new Error(`Expected ${name} from the broker, got ${next.name}`);
      if (this.#socket.destroyed) throw new Error(`Expected ${name} from the broker, but the connection ended`);
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
  }
}
