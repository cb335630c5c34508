import type { OnReadOpts } from 'node:net';
import { Duplex } from 'node:stream';
import type { Refusal } from '../transport/link-errors';
import { HandshakeReader } from './handshake-reader';

/** Bytes of one read at most; Node reads as many. */
const READ = 65_536;

/**
 * Lets a socket read no further than open-ok until the connection has its listeners. amqplib reads on before it hands the
 * connection out: a close or nonsense in the same read would be an 'error' without a listener, which ends the process.
 */
export class HandshakeGate {
  /** For the socket: Node's documented way to look at what is read first. */
  readonly onread: OnReadOpts;
  readonly #reader = new HandshakeReader();
  #open = false;
  #held: Buffer | undefined;
  #socket: Duplex | undefined;

  /** Calls `unfit` when the runtime does not say which socket was read. */
  constructor(unfit: () => void) {
    const take = (socket: unknown, bytes: Uint8Array): boolean => this.#take(socket, bytes, unfit);
    this.onread = {
      // Reads are copied out of it: they are small as a rule, and so is what is kept of them.
      buffer: Buffer.allocUnsafeSlow(READ),
      callback(this: unknown, length, buffer) {
        return take(this, buffer.subarray(0, length));
      },
    };
  }

  /** Known as soon as anything was read. */
  get socket(): Duplex | undefined {
    return this.#socket;
  }

  /** What the broker said when it closed the connection during the handshake. */
  get refusal(): Refusal | undefined {
    return this.#reader.refusal;
  }

  /** What the peer speaks, if that is not AMQP 0-9-1. */
  get foreignProtocol(): string | undefined {
    return this.#reader.foreignProtocol;
  }

  /** The connection has its listeners. `true`: something was held back; it is read by the next turn of the event loop. */
  open(): boolean {
    this.#open = true;
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return false;
    this.#socket?.push(held);
    return true;
  }

  /** What Node itself does with a read, apart from the gate. `false`: enough for now. */
  #take(socket: unknown, bytes: Uint8Array, unfit: () => void): boolean {
    // Node calls it on the socket, which is not documented.
    if (!(socket instanceof Duplex)) {
      unfit();
      return false;
    }
    this.#socket = socket;
    const read = Buffer.from(bytes);
    if (this.#open) return socket.push(read);
    const passing = this.#held === undefined ? this.#reader.endsIn(read) : 0;
    if (passing < read.length) {
      this.#held = Buffer.concat([this.#held ?? Buffer.alloc(0), read.subarray(passing)]);
    }
    return passing > 0 ? socket.push(read.subarray(0, passing)) : true;
  }
}
