/** AMQP 0-9-1, section 4.2.3: type, channel, size; then the payload, which in a method frame begins with class and method. */
const FRAME = { type: 0, size: 3, header: 7, method: 1, end: 1 };
const METHOD_ID = 4;
/** connection.open-ok: class 10, method 41. */
const OPEN_OK = 10 * 0x1_0000 + 41;

/** Finds the end of connection.open-ok in what a broker sends, however it is cut, without keeping any of it. */
export class OpenOk {
  readonly #head = Buffer.alloc(FRAME.header + METHOD_ID);
  /** Octets of the present frame that `#head` has. */
  #known = 0;
  /** Octets of it that are still to come, once its head is known. */
  #rest = 0;
  #found = false;

  /** How many octets of this piece belong to frames up to open-ok: all of them until it comes. */
  endsIn(piece: Uint8Array): number {
    let at = 0;
    while (at < piece.length && !(this.#found && this.#rest === 0)) {
      if (this.#rest > 0) {
        const skipped = Math.min(this.#rest, piece.length - at);
        this.#rest -= skipped;
        at += skipped;
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
    const method = this.#head[FRAME.type] === FRAME.method && size >= METHOD_ID;
    if (method && this.#known < this.#head.length) return;
    this.#found = method && this.#head.readUInt32BE(FRAME.header) === OPEN_OK;
    this.#rest = size + FRAME.end - (this.#known - FRAME.header);
    this.#known = 0;
  }
}
