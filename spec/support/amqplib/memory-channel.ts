/** A real confirm channel of amqplib over a socket in memory. It relies on amqplib's internals, which only tests may do. */
import type { ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

interface Allocating extends ConfirmChannel {
  allocate(): void;
  accept(frame: object): void;
  registerConsumer(tag: string, callback: (message: ConsumeMessage) => void): void;
}
interface AmqplibConnection extends EventEmitter {
  frameMax: number;
  channelMax: number;
  readonly channels: ({ readonly channel: Allocating } | null | undefined)[];
  accept: (frame: { readonly channel: number }) => void;
  acceptLoop(): void;
}

/** By path, because the package does not export it. */
const load = (name: string): Record<string, unknown> =>
  jest.requireActual(join(__dirname, '../../../node_modules/amqplib/lib', name));

export class MemoryChannel {
  readonly channel: Allocating;
  readonly connection: AmqplibConnection;
  readonly #stream: Duplex;
  readonly #written: Buffer[] = [];
  readonly #memories = new Set<ArrayBufferLike>();
  readonly #taken: Buffer[] = [];
  #takenBytes = 0;

  /**
   * @param options.slow the socket takes one write per turn, and one write fills its buffer
   * @param options.lazy the socket keeps the Buffers it is given, and reads them only in `take` and `written`
   */
  constructor(frameMax = 131_072, { slow = false, lazy = false } = {}) {
    this.#stream = new Duplex({
      ...(slow && { writableHighWaterMark: 1 }),
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        this.#memories.add(chunk.buffer);
        this.#written.push(lazy ? chunk : Buffer.from(chunk));
        if (slow) setImmediate(done);
        else done();
      },
    });
    const Connection = load('connection.js')['Connection'] as new (stream: Duplex) => AmqplibConnection;
    this.connection = new Connection(this.#stream);
    Object.assign(this.connection, { serverProperties: {} });
    this.connection.frameMax = frameMax;
    this.connection.channelMax = 2047;
    // As after the handshake.
    this.connection.accept = (frame) => this.connection.channels[frame.channel]?.channel.accept(frame);
    this.connection.acceptLoop();
    this.channel = this.open();
  }

  /** Opens one more channel on the connection. */
  open(): Allocating {
    const Channel = load('channel_model.js')['ConfirmChannel'] as new (connection: object) => Allocating;
    const channel = new Channel(this.connection);
    channel.allocate();
    return channel;
  }

  /** How many bytes have gone to the socket so far. */
  get bytes(): number {
    return this.#written.reduce((sum, { length }) => sum + length, this.#takenBytes);
  }

  /** Takes what has been written up to this byte, without waiting for more. */
  take(upTo: number): void {
    for (let left = upTo - this.#takenBytes; left > 0;) {
      const piece = this.#written.shift();
      if (!piece) break;
      // A copy: the memory may be used again.
      const taken = Buffer.from(piece.subarray(0, left));
      this.#taken.push(taken);
      this.#takenBytes += taken.length;
      if (piece.length > left) this.#written.unshift(piece.subarray(left));
      left -= piece.length;
    }
  }

  /** How many distinct ArrayBuffers have been written so far. */
  get memories(): number {
    return this.#memories.size;
  }

  /** How many writes have not been taken. */
  get writes(): number {
    return this.#written.length;
  }

  /** Waits until nothing more goes to the socket. */
  async settled(): Promise<void> {
    // One turn for the cork of the caller, one for amqplib's own flush, one for the stream's next read; a slow socket
    // takes a turn for each write.
    for (let idle = 0, seen = -1; idle < 4; idle++) {
      if (this.writes > seen) [idle, seen] = [0, this.writes];
      await nextTurn();
    }
  }

  /** Everything that has gone to the socket, once no more comes. */
  async written(): Promise<Buffer> {
    await this.settled();
    return Buffer.concat([...this.#taken, ...this.#written]);
  }

  /** As much of a ChannelModel as a connection is. */
  get model(): ChannelModel {
    return Object.assign(new EventEmitter(), { connection: this.connection }) as unknown as ChannelModel;
  }

  /** Delivers bytes from the broker, one read per piece. */
  async receive(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      this.#stream.push(piece);
      await nextTurn();
    }
    await nextTurn();
  }
}
