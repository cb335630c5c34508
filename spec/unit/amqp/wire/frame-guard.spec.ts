import { AmqplibMessage } from '../../../../lib/amqp/amqplib-message';
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

const LARGEST = 512 * 1024 * 1024;
const TEXT = Buffer.from('x');

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
    for (let end = other.length; end >= 0; end--)
      expect(() =>
        retriedReadably(other.subarray(0, end), () => {
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

  it('says of such headers why they are not there, and of no others', async () => {
    const why = async (table: Buffer): Promise<unknown[]> => {
      const memory = new MemoryChannel();
      guardFrames(memory.model);
      const reasons: unknown[] = [];
      memory.channel.registerConsumer('tag', (message) => reasons.push(new AmqplibMessage(message).unreadable));
      await memory.receive([Buffer.concat([deliver, rawHeader(1, 0, table)])]);
      return reasons;
    };
    const reason = 'The headers of the message are nested more than 100 deep. They were not read.';
    expect(await why(nestedTable(101))).toEqual([new Error(reason)]);
    expect(await why(nestedTable(100))).toEqual([undefined]);
    expect(await why(nestedList(101))).toEqual([new Error(reason)]);
    // Whatever stands beside them.
    const beside = named('plain', Buffer.from('t\x01'));
    const members = nestedTable(101).subarray(4);
    expect(await why(table(beside, members, beside))).toEqual([new Error(reason)]);
    expect(await why(nestedList(100))).toEqual([undefined]);
  });

  it('is without such headers also where their frame comes in two reads', async () => {
    const bytes = Buffer.concat([deliver, rawHeader(1, 0, nestedTable(101)), HEARTBEAT]);
    const cuts = [...Array(40).keys(), 100, 300, 500].map((fromEnd) => bytes.length - 8 - fromEnd);
    for (const cut of cuts) {
      const memory = new MemoryChannel();
      guardFrames(memory.model);
      const seen: unknown[] = [];
      memory.channel.registerConsumer('tag', (message) => {
        const { headers, unreadable } = new AmqplibMessage(message);
        seen.push([headers, unreadable !== undefined]);
      });
      await memory.receive([bytes.subarray(0, cut), bytes.subarray(cut)]);
      expect([cut, seen]).toEqual([cut, [[undefined, true]]]);
    }
  });

  it('leaves out the headers alone: what stands in front of them and behind them is read', async () => {
    const memory = new MemoryChannel();
    guardFrames(memory.model);
    const seen: unknown[] = [];
    memory.channel.registerConsumer('tag', ({ properties }) => seen.push(new AmqplibMessage({ properties } as never)));
    const around = (table: Buffer): Buffer => {
      const bytes = Buffer.concat([Buffer.from('\x01t\x02gz'), table, Buffer.from('\x02\x02id')]);
      const frame = Buffer.concat([rawHeader(1, 0, bytes)]);
      // Content type, content encoding, headers, delivery mode and correlation id.
      frame.writeUInt16BE(0xf400, 19);
      return frame;
    };
    await memory.receive([Buffer.concat([deliver, around(nestedTable(200)), deliver, around(nestedTable(2))])]);
    const read = { contentType: 't', contentEncoding: 'gz', correlationId: 'id' };
    expect(seen).toMatchObject([
      { properties: read, headers: undefined, unreadable: expect.any(Error) as Error },
      { properties: read, headers: { '': { '': {} } }, unreadable: undefined },
    ]);
  });

  it.each<[string, Buffer, boolean]>([
    ['a body of 512 MiB', rawHeader(1, LARGEST, table()), true],
    ['a larger body', rawHeader(1, LARGEST + 1, table()), false],
    ['a body far larger', rawHeader(1, 2 ** 50, table()), false],
    ['a frame of a body that holds something', Buffer.concat([rawHeader(1, 2, table()), rawFrame(3, 1, TEXT)]), true],
    ['one that holds nothing', Buffer.concat([rawHeader(1, 2, table()), rawFrame(3, 1, Buffer.alloc(0))]), false],
  ])('is waited for as long as a broker could mean it: %s', async (_what, bytes, isFine) => {
    const memory = new MemoryChannel();
    const errors: unknown[] = [];
    memory.connection.on('frameError', (error) => errors.push(error));
    memory.channel.registerConsumer('tag', () => undefined);
    guardFrames(memory.model);
    await memory.receive([Buffer.concat([deliver, bytes])]);
    expect(errors).toHaveLength(isFine ? 0 : 1);
  });

  it('is what it would be without, when deep headers end nowhere', async () => {
    const cut = nestedTable(200);
    cut.writeUInt32BE(cut.length, 0);
    const outcomes = [true, false].map(async (guarded) => {
      const memory = new MemoryChannel();
      const seen: unknown[] = [];
      memory.connection.on('frameError', (error) => seen.push(error));
      memory.channel.registerConsumer('tag', ({ properties }) => seen.push(properties));
      if (guarded) guardFrames(memory.model);
      await memory.receive([Buffer.concat([deliver, rawHeader(1, 0, cut), HEARTBEAT])]);
      return seen;
    });
    const [guarded, bare] = await Promise.all(outcomes);
    expect(guarded).toEqual(bare);
  });

  it.each<[string, object]>([
    ['reads in another way', { recvFrame: undefined }],
    ['keeps what it read elsewhere', { rest: [] }],
  ])('is its own, where it %s', (_what, change) => {
    const { connection, model } = new MemoryChannel();
    Object.assign(connection, change);
    const before: unknown = Reflect.get(connection, 'recvFrame');
    guardFrames(model);
    expect(Reflect.get(connection, 'recvFrame')).toBe(before);
  });
});

/** A field table with one list, nested to this depth. */
function nestedList(depth: number): Buffer {
  let list: Buffer = Buffer.alloc(4);
  for (let level = 1; level < depth; level++) list = table(Buffer.concat([Buffer.from('A'), list]));
  return table(named('a', Buffer.concat([Buffer.from('A'), list])));
}
