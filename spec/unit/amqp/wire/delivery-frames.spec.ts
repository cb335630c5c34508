import { Receiver } from '../../../../lib/amqp/wire/receiver';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';
import { encodeMethod } from '../../../support/frames/methods';
import { rawFrame, rawHeader } from '../../../support/frames/raw-publisher';

const KIB = 1024;
const TAG = 'tag';
const fields = { consumerTag: TAG, deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
const deliver = encodeMethod('basic.deliver', 1, fields);

/** A field table of this many octets, with one long text. */
function table(size: number): Buffer {
  const bytes = Buffer.alloc(size, 'x');
  bytes.writeUInt32BE(size - 4, 0);
  bytes.write('\x01aS', 4);
  bytes.writeUInt32BE(size - 11, 7);
  return bytes;
}
const NO_HEADERS = Buffer.alloc(4);

/** Who hands the messages on that are in these reads, and how large they are. */
function handedOn(...reads: readonly Buffer[]): string[] {
  const memory = new MemoryChannel();
  const seen: string[] = [];
  const by =
    (whom: string) =>
    ({ content }: { readonly content: Buffer }): void => {
      seen.push(`${String(content.length)} ${whom}`);
    };
  memory.channel.registerConsumer(TAG, by('by amqplib'));
  const receiver = Receiver.on(memory.model);
  receiver?.register(memory.channel, TAG, by('past it'));
  memory.connection.on('frameError', (error) => seen.push(String(error)));
  for (const read of reads) receiver?.read(read);
  return seen;
}

describe('a message is taken past amqplib', () => {
  it.each([
    ['small', 485, '4 past it'],
    ['large: they might nest deep', 486, '4 by amqplib'],
  ])('according to the size of its header frame: %s', (_what, size, expected) => {
    const message = Buffer.concat([deliver, rawHeader(1, 4, table(size)), rawFrame(3, 1, Buffer.from('body'))]);
    expect(handedOn(message)).toEqual([expected]);
  });

  it.each([
    ['256 KiB at most', 256 * KIB, `${String(256 * KIB)} past it`],
    ['more', 256 * KIB + 1, `${String(256 * KIB + 1)} by amqplib`],
  ])('that is cut within its only body frame, according to the size of it: %s', (_what, size, expected) => {
    const body = rawFrame(3, 1, Buffer.alloc(size));
    const head = Buffer.concat([deliver, rawHeader(1, size, NO_HEADERS)]);
    for (const cut of [7, 8, 1000, size + 7])
      expect(handedOn(Buffer.concat([head, body.subarray(0, cut)]), body.subarray(cut))).toEqual([expected]);
  });

  it.each([1, 256 * KIB, 256 * KIB + 1])('that is cut in front of its body, whatever the size of that: %d', (size) => {
    const [head, body] = [Buffer.concat([deliver, rawHeader(1, size, NO_HEADERS)]), rawFrame(3, 1, Buffer.alloc(size))];
    expect(handedOn(head, body)).toEqual([`${String(size)} past it`]);
    // Nothing of the frame, or less than its head.
    expect(handedOn(Buffer.concat([head, body.subarray(0, 6)]), body.subarray(6))).toEqual([`${String(size)} past it`]);
  });

  it.each([
    ['in one frame', [4]],
    ['in several', [2, 2]],
  ])('or not at all if its body is longer than its header says: %s', (_what, sizes) => {
    const frames = sizes.map((size) => rawFrame(3, 1, Buffer.alloc(size)));
    const seen = handedOn(Buffer.concat([deliver, rawHeader(1, 3, NO_HEADERS), ...frames]));
    expect(seen).toEqual([]);
  });

  it.each([
    ['64 MiB at most', 64 * KIB * KIB, [64 * KIB * KIB]],
    ['not more', 64 * KIB * KIB + 1, []],
  ])('into memory that is there before all of its body is: %s', (_what, size, expected) => {
    const allocate = jest.spyOn(Buffer, 'allocUnsafeSlow');
    handedOn(Buffer.concat([deliver, rawHeader(1, size, NO_HEADERS), rawFrame(3, 1, Buffer.alloc(100))]));
    const sizes = allocate.mock.calls.map(([octets]) => octets).filter((octets) => octets > KIB * KIB);
    allocate.mockRestore();
    expect(sizes).toEqual(expected);
  });
});
