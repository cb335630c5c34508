// Chunks are compared by `===`: jest would print the half megabyte in which two differ.
import { Chunks } from '../../../lib/wire/chunks';

const KIB = 1024;

describe('chunks', () => {
  it('have room for what was asked for, small ones for small frames and large ones for large', () => {
    const chunks = new Chunks();
    expect(chunks.take(100).length).toBe(32 * KIB);
    expect(chunks.take(16 * KIB).length).toBeGreaterThan(4 * 128 * KIB);
    expect(chunks.take(900 * KIB).length).toBeGreaterThanOrEqual(900 * KIB);
  });

  it('are used again as soon as the broker has the last message in them, and no sooner', () => {
    const chunks = new Chunks();
    const chunk = chunks.take(100);
    chunks.give(chunk, 7);
    chunks.confirmed(6, 9);
    expect(chunks.take(100) === chunk).toBe(false);
    chunks.confirmed(7, 9);
    expect(chunks.take(100) === chunk).toBe(true);
    expect(chunks.take(100) === chunk).toBe(false);
  });

  it('are free also when an older message is told of behind a newer one', () => {
    const chunks = new Chunks();
    const chunk = chunks.take(100);
    chunks.give(chunk, 9);
    chunks.confirmed(9, 20);
    chunks.confirmed(3, 20);
    expect(chunks.take(100) === chunk).toBe(true);
  });

  it('too small for what comes make room for one that is large enough', () => {
    const chunks = new Chunks();
    const [small, large] = [chunks.take(100), chunks.take(100 * KIB)];
    chunks.give(small, 1);
    chunks.give(large, 2);
    chunks.confirmed(2, 3);
    expect(chunks.take(100 * KIB) === large).toBe(true);
  });

  it('are kept in no greater number than 32 while messages are under way, and 2 when none is', () => {
    const given = (count: number, confirmed: number): number => {
      const chunks = new Chunks();
      const all = Array.from({ length: count }, () => chunks.take(100));
      for (const [i, chunk] of all.entries()) chunks.give(chunk, i + 1);
      chunks.confirmed(confirmed, count);
      return all.filter(() => all.includes(chunks.take(100))).length;
    };
    expect(given(40, 39)).toBe(32);
    expect(given(40, 40)).toBe(2);
  });
});
