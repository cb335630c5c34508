/** The table of CRC-32 as zlib, PNG and Ethernet use it: the reflected polynomial 0xEDB88320. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/**
 * The partition of a key, from 0: the CRC-32 of its UTF-8, modulo the number of partitions. Every producer has to agree on it, for
 * as long as the queue lives. It is in the standard library of most languages, so that other clients can compute it, too.
 *
 * @example
 * partitionOf('customer-4711', 32); // in Python: zlib.crc32(b'customer-4711') % 32
 */
export function partitionOf(key: string, partitions: number): number {
  let crc = START;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    // Keys are ASCII as a rule, where a character is its own UTF-8.
    if (code > 0x7f) return finish(Buffer.from(key).reduce(next, START), partitions);
    crc = next(crc, code);
  }
  return finish(crc, partitions);
}

const START = 0xffffffff;
const next = (crc: number, byte: number): number => (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] ?? 0);

const finish = (crc: number, partitions: number): number => ((crc ^ 0xffffffff) >>> 0) % partitions;
