import { Ring } from '../../../lib/collections/ring';
import { heldBytes, heldMemory } from '../../support/memory';

describe('a ring', () => {
  it('releases an item that was shifted', () => {
    const ring = new Ring<Buffer>();
    const before = heldBytes();
    for (let i = 0; i < 100; i++) ring.push(Buffer.allocUnsafeSlow(100_000));
    for (let i = 0; i < 99; i++) ring.shift();
    expect(heldBytes() - before).toBeLessThan(1_000_000);
    expect(ring.length).toBe(1);
  });

  it('releases its slots once it is empty', () => {
    const ring = new Ring<number>();
    for (let i = 0; i < 1_000_000; i++) ring.push(i);
    for (let i = 0; i < 999_999; i++) ring.shift();
    const before = heldMemory();
    ring.shift();
    // Eight bytes per slot.
    expect(before - heldMemory()).toBeGreaterThan(7_000_000);
    ring.push(1);
    expect([...ring]).toEqual([1]);
  });
});
