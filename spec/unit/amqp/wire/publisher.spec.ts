import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { auto } from '../../../../lib/codec';
import { encode } from '../../../../lib/producer/encoded-message';
import { publishOptions } from '../../../../lib/amqp/amqp-properties';
import { Templates, writeBodyHeader } from '../../../../lib/amqp/wire/publish-frames';
import { Publisher } from '../../../../lib/amqp/wire/publisher';
import { heldMemory } from '../../../support/memory';
import { FrameDecoder } from '../../../support/frames/frames';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';

const DEFAULTS = { persistent: true, mandatory: true };
const KIB = 1024;
const message = encode({ queue: 'q', body: 'words', messageId: 'm' }, auto, DEFAULTS);
const publish = (publisher: Publisher | undefined): boolean | undefined => publisher?.publish(message, 1, undefined);

/** Puts something in front of a method that an object inherits. */
function hide(of: object, name: string, value: unknown): void {
  const known = Object.getPrototypeOf(of) as object;
  Object.setPrototypeOf(of, Object.create(known, { [name]: { value, writable: true } }) as object);
}

describe('own frames', () => {
  it('are written on an amqplib as it is known', async () => {
    const memory = new MemoryChannel();
    expect(publish(Publisher.on(memory.channel, () => undefined))).toBe(true);
    expect((await memory.written()).includes('words')).toBe(true);
  });

  it('are written also where something else publishes, but does the same', async () => {
    const memory = new MemoryChannel();
    const known: unknown = Reflect.get(memory.channel, 'publish');
    Reflect.set(memory.channel, 'publish', function (this: object, ...message: readonly unknown[]): unknown {
      const written: unknown = typeof known === 'function' && Reflect.apply(known, this, message);
      return written;
    });
    Reflect.set(memory.connection, 'sentSinceLastCheck', false);
    const publisher = Publisher.on(memory.channel, () => undefined);
    // Nothing has changed by the comparison.
    expect([await memory.written(), Reflect.get(memory.channel, 'unconfirmed')]).toEqual([Buffer.alloc(0), []]);
    expect(Reflect.get(memory.connection, 'sentSinceLastCheck')).toBe(false);
    expect(publish(publisher)).toBe(true);
  });

  it.each<[string, (memory: MemoryChannel) => void]>([
    ['has no channel number', ({ channel }) => Reflect.deleteProperty(channel, 'ch')],
    ['has no connection', ({ channel }) => Reflect.set(channel, 'connection', undefined)],
    ['does not say how large frames may be', ({ connection }) => Reflect.deleteProperty(connection, 'frameMax')],
    ['has a list of channels that is none', ({ connection }) => Reflect.set(connection, 'channels', {})],
    ['has no list of channels', ({ connection }) => Reflect.set(connection, 'channels', undefined)],
    [
      'has another channel of that number',
      ({ connection }) => Reflect.set(connection, 'channels', [null, { channel: {} }]),
    ],
    ['counts confirms in another way', ({ channel }) => Reflect.set(channel, 'unconfirmed', new Map())],
    ['does not count them', ({ channel }) => Reflect.set(channel, 'pushConfirmCallback', undefined)],
    ['knows no heartbeats', ({ connection }) => Reflect.deleteProperty(connection, 'sentSinceLastCheck')],
    [
      'writes messages in another way',
      ({ channel }) =>
        Reflect.set(channel, 'publish', function (this: object) {
          const connection = Reflect.get(this, 'connection') as { channels: { buffer: { write(b: Buffer): void } }[] };
          connection.channels[513]?.buffer.write(Buffer.from('anything else'));
        }),
    ],
    [
      'is watched by instrumentation',
      ({ channel }) =>
        Reflect.set(
          channel,
          'publish',
          Object.assign(() => true, { __wrapped: true }),
        ),
    ],
    [
      'is watched one level deeper',
      ({ channel }) => {
        hide(
          channel,
          'sendMessage',
          Object.assign(() => true, { __wrapped: true }),
        );
      },
    ],
    ['has no method to publish', ({ channel }) => Reflect.set(channel, 'publish', undefined)],
    ['has a connection that is none', ({ channel }) => Reflect.set(channel, 'connection', 'of another kind')],
    ['says in words how large frames may be', ({ connection }) => Reflect.set(connection, 'frameMax', '131072')],
    ['writes frames that are too small', ({ connection }) => Reflect.set(connection, 'frameMax', 4095)],
    ['does not say which messages are not confirmed', ({ channel }) => Reflect.deleteProperty(channel, 'unconfirmed')],
    ['sends messages of a channel in another way', ({ channel }) => hide(channel, 'sendMessage', undefined)],
    ['sends messages in another way', ({ connection }) => hide(connection, 'sendMessage', undefined)],
    ['has closed the channel', ({ connection }) => Reflect.set(connection, 'channels', [null, null])],
    [
      'gathers what is written elsewhere',
      ({ channel, connection }) => Reflect.set(connection, 'channels', [null, { channel }]),
    ],
    [
      'gathers it in something that cannot write',
      ({ channel, connection }) =>
        Reflect.set(connection, 'channels', [null, { channel, buffer: { writableObjectMode: true } }]),
    ],
    [
      'gathers it as octets',
      ({ channel, connection }) => Reflect.set(connection, 'channels', [null, { channel, buffer: new PassThrough() }]),
    ],
    [
      'is watched where messages are sent',
      ({ connection }) =>
        hide(
          connection,
          'sendMessage',
          Object.assign(() => true, { __wrapped: true }),
        ),
    ],
    [
      'writes something else than octets',
      ({ channel }) =>
        Reflect.set(channel, 'publish', function (this: object) {
          const connection = Reflect.get(this, 'connection') as { channels: { buffer: { write(b: unknown): void } }[] };
          connection.channels[513]?.buffer.write('words');
        }),
    ],
    [
      'writes something else behind the octets',
      ({ channel }) => {
        const known: unknown = Reflect.get(channel, 'publish');
        Reflect.set(channel, 'publish', function (this: object, ...message: readonly unknown[]) {
          if (typeof known === 'function') Reflect.apply(known, this, message);
          const connection = Reflect.get(this, 'connection') as { channels: { buffer: { write(b: unknown): void } }[] };
          connection.channels[513]?.buffer.write('words');
        });
      },
    ],
    [
      'throws behind what it has written',
      ({ channel }) => {
        const known: unknown = Reflect.get(channel, 'publish');
        Reflect.set(channel, 'publish', function (this: object, ...message: readonly unknown[]) {
          if (typeof known === 'function') Reflect.apply(known, this, message);
          throw new Error('not like that');
        });
      },
    ],
    ['writes nothing', ({ channel }) => Reflect.set(channel, 'publish', () => true)],
    [
      'throws where it should write',
      ({ channel }) =>
        Reflect.set(channel, 'publish', () => {
          throw new Error('not like that');
        }),
    ],
  ])('are none on an amqplib that %s', (_what, change) => {
    const memory = new MemoryChannel();
    change(memory);
    expect(Publisher.on(memory.channel, () => undefined)).toBeUndefined();
  });

  it('are not written on a channel that is closing', async () => {
    const memory = new MemoryChannel();
    const publisher = Publisher.on(memory.channel, () => undefined);
    memory.channel.close().catch(() => undefined);
    const before = await memory.written();
    expect(publish(publisher)).toBe(false);
    expect((await memory.written()).equals(before)).toBe(true);
  });

  it.each<[string, (memory: MemoryChannel) => void]>([
    ['of a connection that is closing', ({ connection }) => Reflect.set(connection, 'sendMessage', () => undefined)],
    [
      'whose number belongs to another',
      ({ connection }) => Reflect.set(connection, 'channels', [null, { channel: {} }]),
    ],
    ['that is closed', ({ connection }) => Reflect.set(connection, 'channels', [null, null])],
  ])('are not written on a channel %s', async (_what, change) => {
    const memory = new MemoryChannel();
    const publisher = Publisher.on(memory.channel, () => undefined);
    change(memory);
    expect(publish(publisher)).toBe(false);
    expect(await memory.written()).toHaveLength(0);
  });

  it('that were waiting for the end of the turn when the channel closed are not written behind its close', async () => {
    const memory = new MemoryChannel();
    const publisher = Publisher.on(memory.channel, () => undefined);
    expect(publish(publisher)).toBe(true);
    memory.channel.close().catch(() => undefined);
    expect((await memory.written()).includes('words')).toBe(false);
  });

  it('are counted by amqplib, too', () => {
    const { channel } = new MemoryChannel();
    const publisher = Publisher.on(channel, () => undefined);
    publish(publisher);
    publish(publisher);
    expect(Reflect.get(channel, 'unconfirmed')).toHaveLength(2);
    channel.emit('ack', { deliveryTag: 2, multiple: true });
    expect(Reflect.get(channel, 'unconfirmed')).toHaveLength(0);
  });

  it('tell amqplib that no heartbeat is due', async () => {
    const { channel, connection } = new MemoryChannel();
    const publisher = Publisher.on(channel, () => undefined);
    Reflect.set(connection, 'sentSinceLastCheck', false);
    publish(publisher);
    await nextTurn();
    expect(Reflect.get(connection, 'sentSinceLastCheck')).toBe(true);
    Reflect.set(connection, 'sentSinceLastCheck', false);
    // There is nothing to write.
    publisher?.flush();
    expect(Reflect.get(connection, 'sentSinceLastCheck')).toBe(false);
  });

  it('tell when the channel is full, and amqplib when it is not any more', async () => {
    const { channel } = new MemoryChannel();
    let full = 0;
    const publisher = Publisher.on(channel, () => full++);
    const drained = new Promise((resolve) => channel.once('drain', resolve));
    // Each flush is one write; amqplib's buffer takes a thousand or two of them.
    for (let i = 0; full === 0 && i < 5000; i++) {
      publish(publisher);
      publisher?.flush();
    }
    expect(full).toBe(1);
    await drained;
  });

  it('of channels that take turns are whole, however large the body', async () => {
    const memory = new MemoryChannel();
    const publishers = [memory.channel, memory.open()].map((channel) => Publisher.on(channel, () => undefined));
    for (const size of [10, 16_384, 140_000, 300_000]) {
      const large = encode({ queue: 'q', body: Buffer.alloc(size), messageId: 'm' }, auto, DEFAULTS);
      for (const publisher of publishers) publisher?.publish(large, 1, undefined);
    }
    const written = await memory.written();
    let at = 0;
    while (at < written.length) {
      const end = at + 7 + written.readUInt32BE(at + 3);
      expect(written[end]).toBe(0xce);
      at = end + 1;
    }
    // A method, a header, and as many body frames as it takes.
    expect(written.length).toBeGreaterThan(2 * 456_394);
  });

  it.each([
    ['4 KiB', 4096, 4096],
    ['as large as the broker allows', 131_072, 131_072],
    ['128 KiB at most, whatever it allows', 1_000_000, 131_072],
  ])('are %s', async (_what, frameMax, largest) => {
    const memory = new MemoryChannel(frameMax);
    const large = encode({ queue: 'q', body: Buffer.alloc(300_000), messageId: 'm' }, auto, DEFAULTS);
    Publisher.on(memory.channel, () => undefined)?.publish(large, 1, undefined);
    const sizes = new FrameDecoder('broker')
      .push(await memory.written())
      .flatMap(({ type, payload }) => (type === 'body' ? [payload.length + 8] : []));
    expect(Math.max(...sizes)).toBe(largest);
    expect(sizes.slice(0, -1).every((size) => size === largest)).toBe(true);
  });

  it('are whole wherever the memory ends in which they are gathered', async () => {
    const FRAME_MAX = 4096;
    const name = 'n'.repeat(255);
    const to = { exchange: name, routingKey: name };
    const given = (more: object) => encode({ ...to, messageId: name, body: Buffer.alloc(0), ...more }, auto, DEFAULTS);
    const byAmqplib = ({ channel }: MemoryChannel, one: typeof message): void => {
      channel.publish(one.exchange, one.routingKey, one.content, publishOptions(one));
    };
    /** Where the frames of a message end. */
    const endsOf = async (one: typeof message): Promise<number[]> => {
      const memory = new MemoryChannel(FRAME_MAX);
      byAmqplib(memory, one);
      const bytes = await memory.written();
      const ends: number[] = [];
      for (let at = 0; at < bytes.length; ends.push(at)) at += 8 + bytes.readUInt32BE(at + 3);
      return ends;
    };
    const [ours, theirs] = [new MemoryChannel(FRAME_MAX), new MemoryChannel(FRAME_MAX)];
    const head = (await endsOf(given({}))).at(-1) ?? 0;
    for (const last of [
      given({}),
      given({ correlationId: name }),
      given({ body: Buffer.from('x') }),
      given({ body: Buffer.alloc(9000) }),
    ])
      for (const end of await endsOf(last))
        for (let left = end - 12; left <= end + 12; left += 3) {
          const room = 32 * KIB - left - head;
          const filler = given({ body: Buffer.alloc(room - 8 * Math.ceil(room / FRAME_MAX)) });
          const publisher = Publisher.on(ours.channel, () => undefined);
          for (const one of [filler, last]) {
            byAmqplib(theirs, one);
            expect(publisher?.publish(one, 1, undefined)).toBe(true);
          }
          publisher?.flush();
        }
    expect((await ours.written()).equals(await theirs.written())).toBe(true);
  });

  it('of small messages take no more memory than one chunk of 32 KiB has', () => {
    const allocate = jest.spyOn(Buffer, 'allocUnsafeSlow');
    const publisher = Publisher.on(new MemoryChannel().channel, () => undefined);
    for (let i = 0; i < 100; i++) publish(publisher);
    const sizes = allocate.mock.calls.map(([octets]) => octets);
    allocate.mockRestore();
    expect(sizes).toEqual([32 * KIB]);
  });

  it('tell how large a body is, and a frame of it, with all four octets', () => {
    const bytes = Buffer.alloc(1024);
    const end = new Templates(513).for(message).write(bytes, 0, 'm', 0x12345678);
    const [, header] = new FrameDecoder('broker').push(bytes.subarray(0, end));
    expect(header?.payload.readBigUInt64BE(4)).toBe(0x12345678n);
    expect(writeBodyHeader(bytes, 3, 0x0201, 0x12345678)).toBe(10);
    expect(bytes.subarray(3, 10).toString('hex')).toBe('03' + '0201' + '12345678');
  });

  it('are compared with those of amqplib once, and not for each channel', () => {
    const asked = jest.fn(() => true);
    for (let i = 0; i < 3; i++) {
      const { channel } = new MemoryChannel();
      Reflect.set(channel, 'publish', asked);
      Publisher.on(channel, () => undefined);
    }
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it('hold on to few of the routes that there were', () => {
    const templates = new Templates(1);
    const before = heldMemory();
    for (let i = 0; i < 10_000; i++)
      templates.for(encode({ exchange: 'x', routingKey: String(i), body: '' }, auto, DEFAULTS));
    expect(heldMemory() - before).toBeLessThan(1_000_000);
    expect(templates).toBeDefined();
  });

  it('of many messages go in one write', async () => {
    const memory = new MemoryChannel();
    const publisher = Publisher.on(memory.channel, () => undefined);
    for (let i = 0; i < 100; i++) publish(publisher);
    await memory.written();
    expect(memory.writes).toBe(1);
  });
});
