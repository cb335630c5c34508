import type { Refusal } from '../transport/link-errors';

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
