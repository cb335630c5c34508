import type { Duplex } from 'node:stream';

/** Bytes of a body that fill the socket's buffer alone. amqplib waits for 'drain' after each; corked, one would go per turn. */
const LARGE = 16 * 1024;

/**
 * Corks the socket for the rest of a turn, so that what is written within it goes out at once. amqplib writes each message
 * by itself, and without Nagle's algorithm (which delays single messages) each would be a packet: a third of the cost.
 */
export class Cork {
  readonly #socket: Duplex;
  #gathering = false;
  #small = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
    // Before amqplib learns that there is room, and writes what had to wait.
    socket.prependListener('drain', () => {
      if (this.#small) this.gather();
    });
  }

  /** amqplib was given a message with a body of `bytes`. */
  published(bytes: number): void {
    this.#small = bytes < LARGE;
    if (this.#small) this.gather();
  }

  /** amqplib was given something: it leaves together with everything written before amqplib passes it on. */
  gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    // Corks are counted: one from an earlier turn may still hold, whose immediate comes before this turn's.
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
