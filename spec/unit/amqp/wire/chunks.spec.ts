// Chunks are compared by `===`: jest would print the half megabyte in which two differ.
import { Chunks } from '../../../../lib/amqp/wire/publisher';

const KIB = 1024;

describe('chunks', () => {
  it('have room for what was asked for, small ones for small frames and large ones for large', () => {
    const chunks = new Chunks();
    expect(chunks.take(100).length).toBe(32 * KIB);
    expect(chunks.take(16 * KIB).length).toBeGreaterThan(4 * 128 * KIB);
    expect(chunks.take(900 * KIB).length).toBeGreaterThanOrEqual(900 * KIB);
  });

  it('are used again as soon as the broker has told of a message behind them, and no sooner', () => {
    const chunks = new Chunks();
    const chunk = chunks.take(100);
    chunks.give(chunk, 7);
    chunks.confirmed(7, 9);
    expect(chunks.take(100) === chunk).toBe(false);
    chunks.confirmed(8, 9);
    expect(chunks.take(100) === chunk).toBe(true);
    expect(chunks.take(100) === chunk).toBe(false);
  });

  it('are free also when an older message is told of behind a newer one', () => {
    const chunks = new Chunks();
    const chunk = chunks.take(100);
    chunks.give(chunk, 8);
    chunks.confirmed(9, 20);
    chunks.confirmed(3, 20);
    expect(chunks.take(100) === chunk).toBe(true);
  });

  it('too small for what comes make room for one that is large enough', () => {
    const chunks = new Chunks();
    const [small, large] = [chunks.take(100), chunks.take(100 * KIB)];
    chunks.give(small, 1);
    chunks.give(large, 2);
    chunks.confirmed(3, 4);
    expect(chunks.take(100 * KIB) === large).toBe(true);
  });

  it('of just the size that is asked for are large enough', () => {
    const chunks = new Chunks();
    const chunk = chunks.take(900 * KIB);
    chunks.give(chunk, 1);
    chunks.confirmed(2, 3);
    expect(chunks.take(900 * KIB + 1) === chunk).toBe(false);
    const next = chunks.take(900 * KIB);
    chunks.give(next, 1);
    expect(chunks.take(900 * KIB) === next).toBe(true);
  });

  /** So many given, the last of message `count`; the places of those that come back. */
  const back = (count: number, confirmed: number, written: number): number[] => {
    const chunks = new Chunks();
    const all = Array.from({ length: count }, () => chunks.take(100));
    for (const [i, chunk] of all.entries()) chunks.give(chunk, i + 1);
    chunks.confirmed(confirmed, written);
    return all.map(() => all.indexOf(chunks.take(100))).filter((place) => place >= 0);
  };

  it('are kept in no greater number than 32 while messages are under way, and 4 when none is', () => {
    // Of the oldest sixteen, while less than half of them are free.
    expect(back(40, 17, 41)).toEqual([...Array(16).keys()]);
    expect(back(40, 40, 41).at(-1)).toBe(31);
    expect(back(40, 41, 41)).toEqual([28, 29, 30, 31]);
    expect(back(3, 41, 41)).toEqual([0, 1, 2]);
  });

  it('of which more than half wait to be used become fewer', () => {
    expect(back(40, 40, 41)).toHaveLength(18);
  });
});
