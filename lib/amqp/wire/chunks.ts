/** Bytes of a chunk, in which many small messages go to the socket at once. */
const SMALL = 32 * 1024;
/** Of frames as large, little would fit into one. */
const LARGE_FRAME = 16 * 1024;
/** The broker may take frames of any size: ours are no larger than its default, lest a body is copied as a whole. */
export const LARGEST_FRAME = 128 * 1024;
/** So large ones have larger chunks: with a chunk and a write for each, bodies of 16 KiB took a third more CPU. */
const LARGE = 4 * LARGEST_FRAME + 4096;
/** Kept while messages are under way, 17 MiB: more than fifty bodies of 256 KiB lie in. */
const MOST = 32;
/** Kept while none is, 2 MiB: what the next burst of bodies of 16 KiB takes. */
const FEW = 4;

interface Resting {
  readonly chunk: Buffer;
  /** The number of the last message that lies in it, or in part. */
  readonly upTo: number;
}

/**
 * What frames are written into, used again: new chunks for large bodies made the collector of garbage run, with which they
 * took up to twice the CPU. When is one free? The socket does not tell us, the broker does: bytes come in order, so what lay
 * in front of a message that it confirms has left this process. (The end of that message itself only with RabbitMQ:
 * LavinMQ confirms in front of the last octet.)
 */
export class Chunks {
  /** In the order of their messages. */
  readonly #resting: Resting[] = [];
  #confirmed = 0;

  /** One with room for so many bytes. */
  take(bytes: number): Buffer {
    // More than half of them wait to be used: less is under way than was.
    if (this.#resting.length > FEW && this.#isFree(this.#resting[this.#resting.length >> 1])) this.#resting.shift();
    for (let [first] = this.#resting; first && this.#isFree(first); [first] = this.#resting) {
      this.#resting.shift();
      if (first.chunk.length >= bytes) return first.chunk;
    }
    return Buffer.allocUnsafeSlow(bytes < LARGE_FRAME ? SMALL : Math.max(LARGE, bytes));
  }

  /** It is full. `upTo`: the number of the last message that lies in it, or in part. */
  give(chunk: Buffer, upTo: number): void {
    if (this.#resting.length < MOST) this.#resting.push({ chunk, upTo });
  }

  /** The broker has told of this number. `written`: the last one that was written. */
  confirmed(number: number, written: number): void {
    this.#confirmed = Math.max(number, this.#confirmed);
    if (this.#confirmed >= written && this.#resting.length > FEW) this.#resting.splice(0, this.#resting.length - FEW);
  }

  #isFree(resting: Resting | undefined): boolean {
    return resting !== undefined && resting.upTo < this.#confirmed;
  }
}
