import fc from 'fast-check';
import { ReadBuffer, uint16At, uint32At } from '../../../../lib/amqp/wire/read-buffer';

/** A frame with a payload of this size. */
function frame(size: number, fill: number): Buffer {
  const bytes = Buffer.alloc(size + 8, fill);
  bytes.writeUInt32BE(size, 3);
  return bytes;
}

/** Frames far smaller than a slab, about as large, and larger. */
const size = fc.oneof({ weight: 4, arbitrary: fc.nat(500) }, fc.nat(20_000), fc.nat(200_000));

describe('what a socket has read', () => {
  it('is there in order, however it was cut, and what was taken out of it never changes', () => {
    fc.assert(
      fc.property(
        fc.array(size, { minLength: 1, maxLength: 60 }),
        fc.array(fc.integer({ min: 1, max: 65_536 }), { minLength: 1, maxLength: 20 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
        (sizes, reads, takes) => {
          const all = Buffer.concat(sizes.map((each, i) => frame(each, i)));
          const socket = Buffer.alloc(65_536);
          const buffer = new ReadBuffer();
          const taken: Buffer[] = [];
          let rest: Buffer = Buffer.alloc(0);
          for (let at = 0, i = 0; at < all.length; i++) {
            const length = all.copy(socket, 0, at, at + (reads[i % reads.length] ?? 1));
            at += length;
            for (let from = 0; from < length;) {
              const before = rest.length;
              rest = buffer.append(rest, socket.subarray(0, length), from);
              expect(rest.length).toBeGreaterThan(before);
              from += rest.length - before;
              // Sometimes nothing is taken, as when the messages of a channel are left to amqplib.
              if (takes[i % takes.length] !== true) continue;
              while (rest.length >= 7 && rest.length >= rest.readUInt32BE(3) + 8) {
                const end = rest.readUInt32BE(3) + 8;
                taken.push(rest.subarray(0, end));
                rest = rest.subarray(end);
              }
            }
          }
          expect(Buffer.concat([...taken, rest]).equals(all)).toBe(true);
        },
      ),
    );
  });

  it('goes on behind what somebody else has read', () => {
    const buffer = new ReadBuffer();
    const first = buffer.append(Buffer.from('read by amqplib, '), Buffer.from('then by us, '), 0);
    const second = buffer.append(Buffer.from(first), Buffer.from('and again'), 0);
    expect(second.toString()).toBe('read by amqplib, then by us, and again');
    expect(first.toString()).toBe('read by amqplib, then by us, ');
  });

  it('stays as it is where something older is continued once more', () => {
    const buffer = new ReadBuffer();
    const first = buffer.append(Buffer.alloc(0), Buffer.from('one, '), 0);
    const second = buffer.append(first, Buffer.from('two'), 0);
    const third = buffer.append(first, Buffer.from('three'), 0);
    expect([first, second, third].map(String)).toEqual(['one, ', 'one, two', 'one, three']);
  });

  it('copies no more than a small part of a large frame twice', () => {
    const all = frame(100_000, 7);
    const buffer = new ReadBuffer();
    let rest: Buffer = Buffer.alloc(0);
    const slabs = new Set<unknown>();
    for (let at = 0; at < all.length; at += 50_000) {
      const read = all.subarray(at, at + 50_000);
      for (let from = 0; from < read.length;) {
        const { length } = rest;
        rest = buffer.append(rest, read, from);
        from += rest.length - length;
        slabs.add(rest.buffer);
      }
    }
    expect(rest.equals(all)).toBe(true);
    expect(slabs.size).toBe(2);
    expect(rest.buffer.byteLength).toBe(all.length);
  });

  it('takes no memory for a frame whose size cannot be right', () => {
    const buffer = new ReadBuffer();
    const head = Buffer.concat([Buffer.from('010001fffffff0', 'hex'), Buffer.alloc(20_000)]);
    let rest: Buffer = Buffer.alloc(0);
    for (let from = 0; from < head.length; from = rest.length) rest = buffer.append(rest, head, from);
    expect(rest.equals(head)).toBe(true);
    expect(rest.buffer.byteLength).toBeLessThan(1024 * 1024);
  });

  /** The size of the memory in which the rest of these bytes lies, once all is read, and only whole frames in front of it taken. */
  function slabOf(bytes: Buffer): number {
    const buffer = new ReadBuffer();
    let rest: Buffer = Buffer.alloc(0);
    for (let from = 0; from < bytes.length;) {
      const { length } = rest;
      rest = buffer.append(rest, bytes, from);
      from += rest.length - length;
      while (rest.length >= 7 && rest.length >= rest.readUInt32BE(3) + 8)
        rest = rest.subarray(rest.readUInt32BE(3) + 8);
    }
    return rest.buffer.byteLength;
  }
  const typed = (type: number, size: number): Buffer => {
    const bytes = frame(size, 0);
    bytes[0] = type;
    return bytes;
  };
  /** The header frame of a message with a body of this size. */
  const announcing = (size: number): Buffer => {
    const bytes = typed(2, 14);
    bytes.writeUInt32BE(size, 15);
    return bytes;
  };
  const SLAB = 16 * 1024;

  /** Fills a slab to its last octet. */
  const FULL = frame(SLAB - 8, 0);

  it.each([
    ['no more than it needs for small frames', Buffer.concat([frame(100, 0), frame(100, 0).subarray(0, 50)]), SLAB],
    ['as much as a frame has that does not fit', frame(100_000, 0).subarray(0, 30_000), 100_008],
    [
      'as much for one behind smaller ones',
      Buffer.concat([frame(9000, 0), frame(40_000, 0)]).subarray(0, 20_000),
      40_008,
    ],
    ['as much for one in which it begins', Buffer.concat([FULL, frame(40_000, 0)]).subarray(0, 30_000), 40_008],
    [
      'as much for one that begins at its end',
      Buffer.concat([FULL, frame(SLAB - 15, 0), frame(40_000, 0)]).subarray(0, 2 * SLAB),
      SLAB - 7 + 40_008,
    ],
    ['256 KiB for one frame at most', frame(256 * 1024 - 8, 0).subarray(0, 20_000), 256 * 1024],
    [
      'as much as a header has with a body in a single frame',
      Buffer.concat([FULL, announcing(50_000), typed(3, 50_000)]).subarray(0, 30_000),
      22 + 50_008,
    ],
    [
      'as much with something else in between',
      Buffer.concat([FULL, announcing(50_000), typed(8, 0), typed(3, 50_000)]).subarray(0, 30_000),
      22 + 8 + 50_008,
    ],
    [
      'no more for a body in several frames, which is copied out of it',
      Buffer.concat([FULL, announcing(300_000), typed(3, 100_000)]).subarray(0, 30_000),
      SLAB,
    ],
  ])('takes %s', (_what, bytes, size) => {
    expect(slabOf(bytes)).toBe(size);
  });

  it('takes no more than twice what is there for a frame that is too large', () => {
    expect(slabOf(frame(256 * 1024 - 7, 0).subarray(0, 20_000))).toBeLessThanOrEqual(40_000);
  });

  it('reads numbers as they are on the wire; octets that are missing count as zero', () => {
    const bytes = Buffer.from('80ff7f01fefdfc', 'hex');
    for (let at = 0; at < 10; at++) {
      const whole = Buffer.concat([bytes, Buffer.alloc(8)]);
      expect(uint16At(bytes, at)).toBe(whole.readUInt16BE(at));
      expect(uint32At(bytes, at)).toBe(whole.readUInt32BE(at));
    }
  });
});
