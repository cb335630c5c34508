import { nestsDeeper } from '../../../../lib/amqp/wire/field-table';
import { guardFrames, retriedReadably, readableHeader } from '../../../../lib/amqp/wire/frame-guard';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';
import { decodeProperties, encodeContent, encodeMethod } from '../../../support/frames/methods';
import { nestedTable, rawFrame, rawHeader } from '../../../support/frames/raw-publisher';

const size = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return length;
};
const long = (tag: string): Buffer => Buffer.concat([Buffer.from(tag), Buffer.alloc(7, 0xff), Buffer.of(0xfb)]);
const named = (name: string, value: Buffer): Buffer =>
  Buffer.concat([Buffer.of(name.length), Buffer.from(name), value]);
const table = (...members: Buffer[]): Buffer => Buffer.concat([size(Buffer.concat(members)), ...members]);
const nested = (tag: string): Buffer =>
  table(
    named('text', Buffer.concat([Buffer.from('S'), size(Buffer.from('L')), Buffer.from('L')])),
    named('L', long(tag)),
    named(
      'list',
      Buffer.concat([
        Buffer.from('A'),
        table(long(tag), Buffer.concat([Buffer.from('F'), table(named('n', long(tag)))])),
      ]),
    ),
  );

describe('64-bit integers of type `L`', () => {
  it('become those of type `l`, at every depth, and nothing else changes', () => {
    expect(readableHeader(rawHeader(1, 3, nested('L')))).toEqual(rawHeader(1, 3, nested('l')));
  });

  it('are looked for in the first frame alone', () => {
    const two = Buffer.concat([rawHeader(1, 3, nested('l')), rawHeader(1, 3, nested('L'))]);
    expect(readableHeader(two)).toBeUndefined();
    const both = Buffer.concat([rawHeader(1, 3, nested('L')), rawHeader(1, 3, nested('L'))]);
    expect(readableHeader(both)).toEqual(Buffer.concat([rawHeader(1, 3, nested('l')), rawHeader(1, 3, nested('L'))]));
  });

  it('are found behind the content type and the content encoding', () => {
    const plain = rawHeader(1, 3, nested('L'));
    const behind = Buffer.concat([plain.subarray(0, 21), Buffer.from('\x01t\x02gz'), plain.subarray(21)]);
    behind.writeUInt32BE(behind.length - 8, 3);
    behind.writeUInt16BE(0xe000, 19);
    expect(decodeProperties(readableHeader(behind)!.subarray(7, -1))).toMatchObject({
      contentType: 't',
      contentEncoding: 'gz',
      headers: { L: -5, list: [-5, { n: -5 }], text: 'L' },
    });
  });

  it('are replaced only in what could not be read', () => {
    const frame = rawHeader(1, 3, nested('L'));
    expect(retriedReadably(frame, (bytes) => bytes)).toBe(frame);
    const fails = (bytes: Buffer): string => {
      if (bytes === frame) throw new TypeError('Unexpected type tag "L"');
      return 'read';
    };
    expect(retriedReadably(frame, fails)).toBe('read');
    const other = rawHeader(1, 3, nested('l'));
    const error = new Error('another fault');
    expect(() =>
      retriedReadably(other, () => {
        throw error;
      }),
    ).toThrow(error);
  });

  it('do not end the search for tables that nest too deep', () => {
    const deep = table(named('a', long('L')), named('b', Buffer.concat([Buffer.from('F'), table()])));
    expect(nestsDeeper(0, deep, 0)).toBe(true);
  });
});

describe('what amqplib reads behind the guard', () => {
  const HEARTBEAT = Buffer.from('08000000000000ce', 'hex');
  const fields = { consumerTag: 'tag', deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
  const deliver = encodeMethod('basic.deliver', 1, fields);

  /** The messages that amqplib makes of these reads: their bodies and headers. */
  async function read(...pieces: readonly Buffer[]): Promise<readonly unknown[]> {
    const memory = new MemoryChannel();
    guardFrames(memory.model);
    const seen: unknown[] = [];
    memory.channel.registerConsumer('tag', ({ content, properties }) =>
      seen.push([content.toString(), properties.headers]),
    );
    await memory.receive(pieces);
    return seen;
  }

  it('is what came, wherever the reads are cut, with heartbeats between the frames', async () => {
    const header = rawHeader(1, 4, nested('l'));
    const frames = [deliver, header, rawFrame(3, 1, Buffer.from('body'))].flatMap((frame) => [HEARTBEAT, frame]);
    const bytes = Buffer.concat([...frames, HEARTBEAT]);
    const whole = await read(bytes);
    expect(whole).toMatchObject([['body', { L: -5 }]]);
    for (let cut = 1; cut < bytes.length; cut++)
      expect(await read(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(whole);
  });

  it('leaves out headers that nest deeper than any reader could follow, and keeps what is beside them', async () => {
    const content = (table: Buffer): Buffer =>
      Buffer.concat([deliver, rawHeader(1, 4, table), rawFrame(3, 1, Buffer.from('deep'))]);
    const deep = content(nestedTable(20_000));
    for (const cut of [0, 200, 5000])
      expect(await read(deep.subarray(0, cut), deep.subarray(cut))).toEqual([['deep', undefined]]);
    const wide = named('text', Buffer.concat([Buffer.from('S'), size(Buffer.alloc(5000)), Buffer.alloc(5000, 'x')]));
    expect(await read(content(table(wide)))).toEqual([['deep', { text: 'x'.repeat(5000) }]]);
    expect(await read(content(nested('L')))).toEqual(await read(content(nested('l'))));
    expect(await read(content(nestedTable(3)))).toEqual([['deep', { '': { '': { '': {} } } }]]);
    const long = encodeContent(
      1,
      { contentType: 't'.repeat(255), correlationId: 'c'.repeat(255), replyTo: 'r'.repeat(255) },
      Buffer.from('long'),
      4096,
    );
    expect(await read(Buffer.concat([deliver, long]))).toEqual([['long', undefined]]);
  });
});
