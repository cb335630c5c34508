import { BODY, BODY_SIZE_AT, FRAME_HEADER, FRAME_OVERHEAD, HEADER, SIZE_AT } from './frames';

/**
 * Bytes of a slab. Small reads share one: an allocation for each read is a fifth of what it costs to consume. A message that is
 * kept keeps its slab, which is why slabs are not larger.
 */
const SLAB = 16 * 1024;
/** The largest slab: up to the end of a frame that began in a small one. RabbitMQ's frames are 128 KiB at most by default. */
const LARGEST = 256 * 1024;

/** What a socket has read. Bytes are written once: messages that were taken out of it may be kept. */
export class ReadBuffer {
  #slab = Buffer.allocUnsafeSlow(SLAB);
  /** Where free space begins. */
  #end = 0;

  /**
   * What was read before and is not yet taken, `rest`, and behind it as much of `read` from `from` on as one slab has room for: at
   * least one byte.
   */
  append(rest: Buffer, read: Uint8Array, from: number): Buffer {
    const { length } = rest;
    const continues = rest.buffer === this.#slab.buffer && rest.byteOffset + length === this.#end;
    let start = continues ? this.#end - length : this.#end;
    if (start + length >= this.#slab.length) {
      const ahead = length > 0 ? endOfLarge(rest, 0) : endOfLarge(read, from);
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB, ahead, 2 * length));
      this.#slab.set(rest);
      start = 0;
    } else if (!continues) this.#slab.set(rest, start);
    const size = Math.min(read.length - from, this.#slab.length - start - length);
    this.#slab.set(size === read.length ? read : read.subarray(from, from + size), start + length);
    this.#end = start + length + size;
    return this.#slab.subarray(start, this.#end);
  }
}

/** Where the first frame ends that begins in a slab and does not fit into it: with its own slab it is not copied again. 0: nowhere. */
function endOfLarge(bytes: Uint8Array, from: number): number {
  const until = Math.min(bytes.length, from + SLAB);
  let body = 0;
  for (let at = from; at + FRAME_HEADER <= until;) {
    const size = uint32At(bytes, at + SIZE_AT);
    // The body of a message in several frames is copied out of here.
    if (bytes[at] === BODY && size < body) return 0;
    if (bytes[at] === HEADER) body = uint32At(bytes, at + BODY_SIZE_AT + 4);
    at += size + FRAME_OVERHEAD;
    if (at - from > SLAB) return at - from > LARGEST ? 0 : at - from;
  }
  return 0;
}

/**
 * Reads unsigned integers in network byte order. `Buffer`'s own methods are looked up at each call, even in optimised code, which
 * costs 5 % of the CPU of consuming. Bytes beyond the end count as zero.
 */
export const uint16At = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

export const uint32At = (bytes: Uint8Array, at: number): number =>
  uint16At(bytes, at) * 2 ** 16 + uint16At(bytes, at + 2);
