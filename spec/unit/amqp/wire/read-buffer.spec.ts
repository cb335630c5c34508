import { ReadBuffer } from '../../../../lib/amqp/wire/read-buffer';

describe('what was read', () => {
  const nothing = Buffer.alloc(0);
  const bytes = (from: number, count: number): Buffer => Buffer.from(Array.from({ length: count }, (_, i) => from + i));

  it('is put behind what is left of before, where that is', () => {
    const buffer = new ReadBuffer();
    const first = buffer.append(nothing, bytes(1, 10), 0);
    const rest = first.subarray(4);
    const both = buffer.append(rest, bytes(11, 5), 0);
    expect([...both]).toEqual([...bytes(5, 11)]);
    expect(both.buffer).toBe(first.buffer);
    expect(both.byteOffset).toBe(rest.byteOffset);
  });

  it('is put behind a copy of what lies elsewhere, even at a place that looks like the end of its own', () => {
    const buffer = new ReadBuffer();
    buffer.append(nothing, bytes(1, 10), 0);
    // Ends where the free space begins, in memory of its own.
    const rest = Buffer.from(new Uint8Array(bytes(101, 10)).buffer);
    expect([rest.byteOffset, rest.length]).toEqual([0, 10]);
    expect([...buffer.append(rest, bytes(111, 5), 0)]).toEqual([...bytes(101, 15)]);
  });

  it('begins where the caller says', () => {
    expect([...new ReadBuffer().append(nothing, bytes(1, 10), 6)]).toEqual([7, 8, 9, 10]);
  });
});
