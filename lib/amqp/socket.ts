/**
 * What stands between the socket and amqplib: `HandshakeGate` looks at what is read, `Cork` gathers what is written.
 */
import type { OnReadOpts } from 'node:net';
import { Duplex } from 'node:stream';
import type { Refusal } from '../transport/link-errors';
import type { Receiver } from './wire/receiver';

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
  #receiver: Receiver | undefined;
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

  /**
   * The connection has its listeners; from now on a `receiver` gets what is read. `true`: something was held back; it is read by the
   * next turn of the event loop.
   */
  open(receiver: Receiver | undefined): boolean {
    this.#open = true;
    this.#receiver = receiver;
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
    if (this.#receiver && socket.readableLength === 0) {
      this.#receiver.read(bytes);
      return true;
    }
    const read = Buffer.from(bytes);
    if (this.#open) return socket.push(read);
    const passing = this.#held === undefined ? this.#reader.endsIn(read) : 0;
    if (passing < read.length) {
      this.#held = Buffer.concat([this.#held ?? Buffer.alloc(0), read.subarray(passing)]);
    }
    return passing > 0 ? socket.push(read.subarray(0, passing)) : true;
  }
}

/** AMQP 0-9-1, section 4.2.3: type, channel, size; then the payload, which in a method frame begins with class and method. */
const FRAME = { type: 0, size: 3, header: 7, method: 1, end: 1 };
const METHOD_ID = 4;
/** connection.open-ok: class 10, method 41. */
const OPEN_OK = 10 * 0x1_0000 + 41;
/** connection.close: class 10, method 50; a reply code (2) and a short string follow. */
const CLOSE = 10 * 0x1_0000 + 50;
const CLOSE_FIELDS = 2 + 1 + 255;
/** Octets kept of what a peer that does not speak AMQP 0-9-1 answers. */
const OPENING = 8;

/**
 * Reads along with the handshake: finds the end of connection.open-ok however the bytes are cut, and keeps what amqplib
 * drops: the reason of a refusal in answer to connection.open, and the first octets of a peer that speaks something else.
 */
export class HandshakeReader {
  readonly #head = Buffer.alloc(FRAME.header + METHOD_ID);
  /** Octets of the present frame that `#head` has. */
  #known = 0;
  /** Octets of it that are still to come, once its head is known. */
  #rest = 0;
  #found = false;
  #opening = Buffer.alloc(0);
  #close: Buffer | undefined;

  /** Why the broker closed the connection during the handshake. */
  get refusal(): Refusal | undefined {
    const fields = this.#close;
    if (fields === undefined || fields.length < 3) return undefined;
    return { replyCode: fields.readUInt16BE(0), text: fields.toString('utf8', 3, 3 + (fields[2] ?? 0)) };
  }

  /** What the peer speaks, if that is not AMQP 0-9-1: the first octet of every frame of a handshake is a 1. */
  get foreignProtocol(): string | undefined {
    const [first] = this.#opening;
    if (first === undefined || first === FRAME.method) return undefined;
    const text = this.#opening.toString('latin1');
    if (text.startsWith('HTTP/')) return 'HTTP';
    // The answer to a protocol header that the broker does not serve is the header that it does.
    if (text.startsWith('AMQP')) return `AMQP ${[...this.#opening.subarray(5, 8)].join('.')}`;
    // A TLS record: handshake (22) or alert (21), then the major version 3. https://www.rfc-editor.org/rfc/rfc8446#section-5.1
    if ((first === 21 || first === 22) && this.#opening[1] === 3) return 'TLS';
    return 'a protocol that is not AMQP';
  }

  /** How many octets of this piece belong to frames up to open-ok: all of them until it comes. */
  endsIn(piece: Uint8Array): number {
    if (this.#opening.length < OPENING) {
      this.#opening = Buffer.concat([this.#opening, piece]).subarray(0, OPENING);
    }
    let at = 0;
    while (at < piece.length && !(this.#found && this.#rest === 0)) {
      if (this.#rest > 0) {
        const taken = Math.min(this.#rest, piece.length - at);
        if (this.#close !== undefined && this.#close.length < CLOSE_FIELDS) {
          this.#close = Buffer.concat([this.#close, piece.subarray(at, at + taken)]).subarray(0, CLOSE_FIELDS);
        }
        this.#rest -= taken;
        at += taken;
      } else {
        this.#head[this.#known++] = piece[at++] ?? 0;
        this.#look();
      }
    }
    return at;
  }

  /** Reads the head as far as it is known. */
  #look(): void {
    if (this.#known < FRAME.header) return;
    const size = this.#head.readUInt32BE(FRAME.size);
    const isMethod = this.#head[FRAME.type] === FRAME.method && size >= METHOD_ID;
    if (isMethod && this.#known < this.#head.length) return;
    const method = isMethod ? this.#head.readUInt32BE(FRAME.header) : undefined;
    this.#found = method === OPEN_OK;
    if (method === CLOSE) this.#close = Buffer.alloc(0);
    this.#rest = size + FRAME.end - (this.#known - FRAME.header);
    this.#known = 0;
  }
}

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
