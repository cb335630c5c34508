import type { Duplex } from 'node:stream';

/** Bytes that fill the socket's buffer by themselves: amqplib waits behind each, and held back it would be one a turn. */
const LARGE = 16 * 1024;

/**
 * Lets what is written within one turn go to the socket at once. amqplib writes each message by itself, and without
 * Nagle's algorithm, which would make single messages wait, each would be a packet: that was a third of its cost.
 */
export class Gathering {
  readonly #socket: Duplex;
  #gathering = false;
  #small = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
    // Before amqplib hears that there is room, and writes what had to wait.
    socket.prependListener('drain', () => {
      if (this.#small) this.gather();
    });
  }

  /** A message with a body of so many bytes was written. */
  published(bytes: number): void {
    this.#small = bytes < LARGE;
    if (this.#small) this.gather();
  }

  /** Something was written: it goes with all that is written before amqplib passes it on. */
  gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    // Corks are counted: one may still hold from a turn whose immediate comes before that of this one.
    this.#socket.cork();
    // amqplib passes it on in an immediate, which it sets in a tick that was due before this one.
    process.nextTick(() => {
      this.#gathering = false;
      setImmediate(() => {
        this.#socket.uncork();
      });
    });
  }
}
