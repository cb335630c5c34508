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
            rest = buffer.append(rest, socket.subarray(0, length));
            at += length;
            // Sometimes nothing is taken, as when the messages of a channel are left to amqplib.
            if (takes[i % takes.length] !== true) continue;
            while (rest.length >= 7 && rest.length >= rest.readUInt32BE(3) + 8) {
              const end = rest.readUInt32BE(3) + 8;
              taken.push(rest.subarray(0, end));
              rest = rest.subarray(end);
            }
          }
          expect(Buffer.concat([...taken, rest]).equals(all)).toBe(true);
        },
      ),
    );
  });

  it('goes on behind what somebody else has read', () => {
    const buffer = new ReadBuffer();
    const first = buffer.append(Buffer.from('read by amqplib, '), Buffer.from('then by us, '));
    const second = buffer.append(Buffer.from(first), Buffer.from('and again'));
    expect(second.toString()).toBe('read by amqplib, then by us, and again');
    expect(first.toString()).toBe('read by amqplib, then by us, ');
  });

  it('takes no memory for a frame whose size cannot be right', () => {
    const head = Buffer.from('010001fffffff0', 'hex');
    const { byteLength } = new ReadBuffer().append(head, Buffer.from('x')).buffer;
    expect(byteLength).toBeLessThan(1024 * 1024);
  });
});
