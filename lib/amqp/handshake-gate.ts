import type { OnReadOpts } from 'node:net';
import { Duplex } from 'node:stream';
import { OpenOk } from './open-ok';

/** Bytes of one read at most; Node reads as many. */
const READ = 65_536;

/**
 * Lets a socket read no further than open-ok until somebody listens to the connection. amqplib reads on before it hands
 * the connection out: of a close or of nonsense in the same read nobody would hear, and an 'error' that nobody hears ends
 * the process.
 */
export class HandshakeGate {
  /** For the socket: the documented way to look at what is read before anybody else does. */
  readonly onread: OnReadOpts;
  readonly #openOk = new OpenOk();
  #open = false;
  #held: Buffer | undefined;
  #socket: Duplex | undefined;

  /** `unfit` is called when there is no socket to be had for what was read. */
  constructor(unfit: () => void) {
    const take = (socket: unknown, bytes: Uint8Array): boolean => this.#take(socket, bytes, unfit);
    this.onread = {
      // Copied out of: reads are small as a rule, and what is kept of them should be, too.
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

  /** Somebody listens. Was there something held back? It is read by the next turn of the event loop. */
  open(): boolean {
    this.#open = true;
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return false;
    this.#socket?.push(held);
    return true;
  }

  /** What Node itself does with a read, but for the gate. `false`: enough for now. */
  #take(socket: unknown, bytes: Uint8Array, unfit: () => void): boolean {
    // Node calls it on the socket, and does not promise to.
    if (!(socket instanceof Duplex)) {
      unfit();
      return false;
    }
    this.#socket = socket;
    const read = Buffer.from(bytes);
    if (this.#open) return socket.push(read);
    const passing = this.#held === undefined ? this.#openOk.endsIn(read) : 0;
    if (passing < read.length) {
      this.#held = Buffer.concat([this.#held ?? Buffer.alloc(0), read.subarray(passing)]);
    }
    return passing > 0 ? socket.push(read.subarray(0, passing)) : true;
  }
}
