import { randomFillSync } from 'node:crypto';

/** A few share one string: whoever keeps one of them keeps no more than these. */
const TOGETHER = 16;
const BYTES = 16;
const LENGTH = 36;
/** Of each byte, its two digits. */
const DIGITS = Array.from({ length: 256 }, (_, byte) => Buffer.from(byte.toString(16).padStart(2, '0')).readUInt16BE());
/** Where the digits of each byte stand: RFC 9562, section 4. */
const PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

const random = Buffer.allocUnsafeSlow(64 * TOGETHER * BYTES);
const text = Buffer.alloc(TOGETHER * LENGTH, '-');
let randomAt = random.length;
let ids = '';
let idAt = 0;

/**
 * A random UUID (RFC 9562, version 4). As random as `crypto.randomUUID`, which joins twenty strings to make one: an id is
 * made and written in less than half the time.
 */
export function newMessageId(): string {
  if (idAt === ids.length) refill();
  return ids.slice(idAt, (idAt += LENGTH));
}

function refill(): void {
  if (randomAt === random.length) {
    randomFillSync(random);
    randomAt = 0;
  }
  for (let to = 0; to < text.length; to += LENGTH) {
    random[randomAt + 6] = (byteAt(6) & 0x0f) | 0x40;
    random[randomAt + 8] = (byteAt(8) & 0x3f) | 0x80;
    for (let i = 0; i < BYTES; i++) {
      const digits = DIGITS[byteAt(i)] ?? 0;
      const place = to + (PLACES[i] ?? 0);
      text[place] = digits >>> 8;
      text[place + 1] = digits;
    }
    randomAt += BYTES;
  }
  ids = text.toString('latin1');
  idAt = 0;
}

const byteAt = (i: number): number => random[randomAt + i] ?? 0;
