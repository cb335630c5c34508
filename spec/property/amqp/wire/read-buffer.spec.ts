import fc from 'fast-check';
import { ReadBuffer } from '../../../../lib/amqp/wire/read-buffer';

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
});
