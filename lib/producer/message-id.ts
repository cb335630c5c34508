import { randomFillSync } from 'node:crypto';

const BYTES = 16;
/** For each byte, the character code of its first or second hexadecimal digit. */
const digits = (which: 0 | 1): readonly number[] =>
  Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0').charCodeAt(which));
const HIGH = digits(0);
const LOW = digits(1);
const DASH = 45;

const random = Buffer.allocUnsafeSlow(1024 * BYTES);
let at = random.length;

/**
 * A random UUID (RFC 9562, section 5.4: version 4). As random as `crypto.randomUUID`, which concatenates twenty strings: an id
 * made from all its character codes at once takes half the time to create and to write.
 */
export function newMessageId(): string {
  if (at === random.length) {
    randomFillSync(random);
    at = 0;
  }
  random[at + 6] = (byteAt(6) & 0x0f) | 0x40;
  random[at + 8] = (byteAt(8) & 0x3f) | 0x80;
  // prettier-ignore
  const id = String.fromCharCode(
    high(0), low(0), high(1), low(1), high(2), low(2), high(3), low(3), DASH,
    high(4), low(4), high(5), low(5), DASH,
    high(6), low(6), high(7), low(7), DASH,
    high(8), low(8), high(9), low(9), DASH,
    high(10), low(10), high(11), low(11), high(12), low(12), high(13), low(13), high(14), low(14), high(15), low(15),
  );
  at += BYTES;
  return id;
}

const byteAt = (i: number): number => random[at + i] ?? 0;
const high = (i: number): number => HIGH[byteAt(i)] ?? 0;
const low = (i: number): number => LOW[byteAt(i)] ?? 0;
