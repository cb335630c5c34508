/** A confirm channel of amqplib whose connection ends in memory. None of its documented surface: tests only. */
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

/** By its path: the package does not export it. */
const load = (name: string): Record<string, unknown> =>
  jest.requireActual(join(__dirname, '../../node_modules/amqplib/lib', name));

export class MemoryChannel {
  readonly channel: Allocating;
  readonly connection: AmqplibConnection;
  readonly #stream: Duplex;
  readonly #written: Buffer[] = [];
  readonly #memories = new Set<ArrayBufferLike>();
  #taken = Buffer.alloc(0);

  /**
   * `slow`: the socket takes a write per turn, and its buffer is full with one. `lazy`: it looks at what it was given no
   * sooner than it is told to take it.
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
    this.connection.frameMax = frameMax;
    this.connection.channelMax = 2047;
    // As behind the handshake.
    this.connection.accept = (frame) => this.connection.channels[frame.channel]?.channel.accept(frame);
    this.connection.acceptLoop();
    this.channel = this.open();
  }

  /** One more channel of the connection. */
  open(): Allocating {
    const Channel = load('channel_model.js')['ConfirmChannel'] as new (connection: object) => Allocating;
    const channel = new Channel(this.connection);
    channel.allocate();
    return channel;
  }

  /** Bytes that went to the socket so far. */
  get bytes(): number {
    return this.#written.reduce((sum, { length }) => sum + length, this.#taken.length);
  }

  /** It takes all up to this byte; what has not come yet it does not wait for. */
  take(upTo: number): void {
    const ahead: Buffer[] = [];
    for (let left = upTo - this.#taken.length; left > 0;) {
      const piece = this.#written.shift();
      if (!piece) break;
      ahead.push(piece.subarray(0, left));
      if (piece.length > left) this.#written.unshift(piece.subarray(left));
      left -= piece.length;
    }
    this.#taken = Buffer.concat([this.#taken, ...ahead]);
  }

  /** In how many pieces of memory it has been lying so far. */
  get memories(): number {
    return this.#memories.size;
  }

  /** In how many pieces. */
  get writes(): number {
    return this.#written.length;
  }

  /** All that went to the socket so far. */
  async written(): Promise<Buffer> {
    // The end of this turn, amqplib's own, and the one in which its stream tells that there is more; of a slow socket
    // as many as it takes.
    for (let idle = 0, seen = -1; idle < 4; idle++) {
      if (this.writes > seen) [idle, seen] = [0, this.writes];
      await nextTurn();
    }
    return Buffer.concat([this.#taken, ...this.#written]);
  }

  /** As much of a model as its connection. */
  get model(): ChannelModel {
    return Object.assign(new EventEmitter(), { connection: this.connection }) as unknown as ChannelModel;
  }

  /** Bytes come from the broker, a read for each piece. */
  async receive(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      this.#stream.push(piece);
      await nextTurn();
    }
    await nextTurn();
  }
}
