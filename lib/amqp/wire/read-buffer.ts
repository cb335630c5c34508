import { uint32At } from './bytes';
import { FRAME_HEADER, FRAME_OVERHEAD, SIZE_AT } from './frames';

/**
 * Bytes of a slab. Small reads share one: an allocation for each read is a fifth of what it costs to consume. A message that is
 * kept keeps its slab, which is why slabs are not larger.
 */
const SLAB = 16 * 1024;
/** The largest frame for which room is made before it is there. RabbitMQ's default is 128 KiB. */
const LARGEST_FRAME = 1024 * 1024;

/** What a socket has read. Bytes are written once: messages that were taken out of it may be kept. */
export class ReadBuffer {
  #slab = Buffer.allocUnsafeSlow(SLAB);
  /** Where free space begins. */
  #end = 0;

  /** The bytes of `rest`, which were read before and are not yet taken, and those of `read` behind them. */
  append(rest: Buffer, read: Uint8Array): Buffer {
    const { length } = rest;
    const continues = length > 0 && rest.buffer === this.#slab.buffer && rest.byteOffset + length === this.#end;
    let start = this.#end - (continues ? length : 0);
    const missing = read.length + (continues ? 0 : length);
    if (this.#end + missing > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB, length + read.length, frameAt(rest)));
      start = 0;
      this.#slab.set(rest);
    } else if (!continues) this.#slab.set(rest, start);
    const end = start + length + read.length;
    this.#slab.set(read, start + length);
    this.#end = end;
    return this.#slab.subarray(start, end);
  }
}

/** Bytes of the frame that begins here, if they are known and not too many. */
function frameAt(rest: Buffer): number {
  const size = rest.length < FRAME_HEADER ? 0 : uint32At(rest, SIZE_AT) + FRAME_OVERHEAD;
  return size > LARGEST_FRAME ? 0 : size;
}
