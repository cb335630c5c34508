import fc from 'fast-check';
import { partitionOf } from '../../../lib';

/** Bit by bit, without a table. */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

describe('partitionOf', () => {
  it.each([
    ['', 0],
    ['a', 344_195],
    ['customer-4711', 669_830],
    ['grüße 🐇', 674_953],
  ])('is the same in every version: %j', (key, partition) => {
    expect(partitionOf(key, 1_000_003)).toBe(partition);
  });

  it('is the CRC-32 of the UTF-8 of the key', () => {
    const keys = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme-ascii' }));
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 1000 }), (key, partitions) => {
        expect(partitionOf(key, partitions)).toBe(crc32(Buffer.from(key)) % partitions);
      }),
    );
  });

  it.each([8, 32, 33])('spreads numbered keys evenly over %d partitions', (partitions) => {
    const sizes = Array<number>(partitions).fill(0);
    for (let i = 0; i < 1000 * partitions; i++) {
      const partition = partitionOf(`customer-${i}`, partitions);
      sizes[partition] = (sizes[partition] ?? 0) + 1;
    }
    expect(Math.max(...sizes)).toBeLessThan(1300);
    expect(Math.min(...sizes)).toBeGreaterThan(700);
  });
});
