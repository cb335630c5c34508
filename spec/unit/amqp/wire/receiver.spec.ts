import type { Readable } from 'node:stream';
import { encodeContent, encodeMethod } from '../../../support/frames/methods';
import { guardFrames } from '../../../../lib/amqp/wire/frame-guard';
import { Receiver } from '../../../../lib/amqp/wire/receiver';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';
import { collectGarbage } from '../../../support/memory';
import { eventually } from '../../../support/waiting';

const TAG = 'mine';

function message(body: string, consumerTag = TAG): Buffer {
  const fields = { consumerTag, deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
  return Buffer.concat([encodeMethod('basic.deliver', 1, fields), encodeContent(1, {}, Buffer.from(body), 4096)]);
}

const throwing = (): never => {
  throw new Error('not my day');
};

/** A consumer of amqplib, and the same past it. */
function consuming(memory: MemoryChannel): { readonly byAmqplib: string[]; readonly past: string[] } {
  const byAmqplib: string[] = [];
  const past: string[] = [];
  const into = (list: string[]) => (arrived: { readonly content: Buffer }) => {
    list.push(arrived.content.toString());
  };
  memory.channel.registerConsumer(TAG, into(byAmqplib));
  Receiver.on(memory.model)?.register(memory.channel, TAG, into(past));
  return { byAmqplib, past };
}

describe('messages', () => {
  it('are taken past an amqplib as it is known', async () => {
    const memory = new MemoryChannel();
    const seen = consuming(memory);
    await memory.receive([Buffer.concat([message('a'), message('b')])]);
    expect(seen).toEqual({ byAmqplib: [], past: ['a', 'b'] });
  });

  it('have headers if there are any in them: an empty table counts as none', () => {
    const memory = new MemoryChannel();
    const headers: unknown[] = [];
    const receiver = Receiver.on(memory.model);
    receiver?.register(memory.channel, TAG, (one) => headers.push(one.headers));
    const fields = { consumerTag: TAG, deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
    for (const properties of [{}, { headers: {} }, { contentType: 't', headers: { a: 1 } }, { contentEncoding: 'x' }]) {
      const content = encodeContent(1, properties, Buffer.from('body'), 4096);
      receiver?.read(Buffer.concat([encodeMethod('basic.deliver', 1, fields), content]));
    }
    expect(headers).toEqual([undefined, undefined, { a: 1 }, undefined]);
  });

  it('that are not there as a whole yet are left to amqplib', async () => {
    const memory = new MemoryChannel();
    const seen = consuming(memory);
    const bytes = message('halved');
    await memory.receive([bytes.subarray(0, -3), bytes.subarray(-3), message('whole')]);
    expect(seen).toEqual({ byAmqplib: ['halved'], past: ['whole'] });
  });

  it('that are not there as a whole yet are waited for, where the socket gives its reads away', () => {
    const memory = new MemoryChannel();
    const seen: string[] = [];
    memory.channel.registerConsumer(TAG, () => seen.push('by amqplib'));
    const receiver = Receiver.on(memory.model);
    receiver?.register(memory.channel, TAG, ({ content }) => seen.push(content.toString()));
    const bytes = message('halved');
    // At each place from the first octet of its body frame on.
    for (let cut = 7 + 'halved'.length + 1; cut > 0; cut--) {
      receiver?.read(bytes.subarray(0, -cut));
      expect(seen).toEqual([]);
      receiver?.read(Buffer.concat([bytes.subarray(-cut), message('whole')]));
      expect(seen.splice(0)).toEqual(['halved', 'whole']);
    }
  });

  describe('that are waited for', () => {
    const begun = (): { memory: MemoryChannel; receiver: Receiver; seen: string[]; rest: Buffer } => {
      const memory = new MemoryChannel();
      const seen: string[] = [];
      memory.channel.registerConsumer(TAG, () => seen.push('by amqplib'));
      const receiver = Receiver.on(memory.model);
      if (!receiver) throw new Error('This amqplib is not known.');
      receiver.register(memory.channel, TAG, ({ content }) => seen.push(content.toString()));
      const bytes = message('halved');
      receiver.read(bytes.subarray(0, -4));
      return { memory, receiver, seen, rest: bytes.subarray(-4) };
    };

    it('end the connection when their frame does not end as it has to', () => {
      const { memory, receiver, seen, rest } = begun();
      const errors: unknown[] = [];
      memory.connection.on('frameError', (error) => errors.push(error));
      receiver.read(Buffer.concat([rest.subarray(0, -1), Buffer.of(0)]));
      expect(errors).toHaveLength(1);
      expect(seen).toEqual([]);
    });

    it('are dropped once their channel closes, and hold up no other channel', () => {
      const { memory, receiver, seen, rest } = begun();
      const second = memory.open();
      second.registerConsumer('other', ({ content }) => seen.push(content.toString()));
      memory.channel.close().catch(() => undefined);
      const fields = { consumerTag: 'other', deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
      const body = encodeContent(2, {}, Buffer.from('behind'), 4096);
      receiver.read(Buffer.concat([rest, encodeMethod('basic.deliver', 2, fields), body]));
      expect(seen).toEqual(['behind']);
    });
  });

  it('of a consumer that nobody named here are amqplib’s', async () => {
    const memory = new MemoryChannel();
    const seen = consuming(memory);
    const other: string[] = [];
    memory.channel.registerConsumer('other', ({ content }) => other.push(content.toString()));
    await memory.receive([message('a'), message('b', 'other'), message('c')]);
    expect([seen.past, other]).toEqual([['a', 'c'], ['b']]);
  });

  it.each<[string, (memory: MemoryChannel) => void]>([
    ['reads in another way', ({ connection }) => Reflect.set(connection, 'recvFrame', undefined)],
    ['keeps what it read elsewhere', ({ connection }) => Reflect.set(connection, 'rest', [])],
    ['has no list of channels', ({ connection }) => Reflect.set(connection, 'channels', {})],
    ['hands frames on in another way', ({ connection }) => Reflect.set(connection, 'accept', undefined)],
    ['notes in another way that it read', ({ connection }) => Reflect.deleteProperty(connection, 'recvSinceLastCheck')],
    ['reports in another way what it cannot read', ({ connection }) => Reflect.set(connection, 'emit', undefined)],
  ])('are taken past no amqplib that %s', (_what, change) => {
    const memory = new MemoryChannel();
    change(memory);
    expect(Receiver.on(memory.model)).toBeUndefined();
  });

  it.each<[string, () => unknown]>([
    ['decodes no properties', () => ({ type: 2 })],
    ['decodes a header frame only later', () => false],
    ['cannot decode a header frame', () => throwing()],
    ['reads another content type', () => ({ fields: { contentType: 'x', messageId: 'm', headers: { a: 1 } } })],
    ['reads another message id', () => ({ fields: { contentType: 't', messageId: 'x', headers: { a: 1 } } })],
    ['reads other headers', () => ({ fields: { contentType: 't', messageId: 'm', headers: { a: 2 } } })],
    ['reads no headers', () => ({ fields: { contentType: 't', messageId: 'm' } })],
  ])('are taken past no amqplib that %s', (_what, recvFrame) => {
    const { connection, model } = new MemoryChannel();
    const known = Object.getPrototypeOf(connection) as object;
    Object.setPrototypeOf(
      connection,
      Object.create(known, { recvFrame: { value: recvFrame, writable: true } }) as object,
    );
    expect(Receiver.on(model)).toBeUndefined();
  });

  it('are taken past an amqplib that looks at its stream first, and nothing is taken from that for it', () => {
    const { connection, channel, model } = new MemoryChannel();
    const known = Object.getPrototypeOf(connection) as object;
    const receive: unknown = Reflect.get(known, 'recvFrame');
    const read = jest.spyOn(Reflect.get(connection, 'stream') as Readable, 'read');
    const recvFrame = function (this: { readonly stream: Readable }): unknown {
      if (this.stream.read() !== null) throw new Error('It holds nothing.');
      return typeof receive === 'function' && (Reflect.apply(receive, this, []) as unknown);
    };
    Object.setPrototypeOf(
      connection,
      Object.create(known, { recvFrame: { value: recvFrame, writable: true } }) as object,
    );
    const receiver = Receiver.on(model);
    const ids: unknown[] = [];
    receiver?.register(channel, TAG, (one) => ids.push(one.properties.messageId));
    const before = read.mock.calls.length;
    const content = encodeContent(1, { messageId: 'm' }, Buffer.from('body'), 4096);
    const fields = { consumerTag: TAG, deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
    receiver?.read(Buffer.concat([encodeMethod('basic.deliver', 1, fields), content.subarray(0, -1)]));
    receiver?.read(content.subarray(-1));
    expect(ids).toEqual(['m']);
    expect(read).toHaveBeenCalledTimes(before);
  });

  it('tell amqplib that the broker is alive', () => {
    const { connection, model } = new MemoryChannel();
    Reflect.set(connection, 'recvSinceLastCheck', false);
    Receiver.on(model)?.read(message('a').subarray(0, 1));
    expect(Reflect.get(connection, 'recvSinceLastCheck')).toBe(true);
  });

  it('that amqplib has begun to read go on with what the socket gives, and those behind them are taken', async () => {
    const bytes = message('halved');
    for (let cut = 1; cut < bytes.length; cut++) {
      const memory = new MemoryChannel();
      const { past, byAmqplib } = consuming(memory);
      const receiver = Receiver.on(memory.model);
      receiver?.register(memory.channel, TAG, ({ content }) => past.push(content.toString()));
      await memory.receive([bytes.subarray(0, cut)]);
      receiver?.read(Buffer.concat([bytes.subarray(cut), message('whole')]));
      expect([...byAmqplib, ...past]).toEqual(['halved', 'whole']);
      expect(past).toContain('whole');
    }
  });

  it('of a channel that was closed before it is registered are left to amqplib', () => {
    const memory = new MemoryChannel();
    memory.channel.close().catch(() => undefined);
    const receiver = Receiver.on(memory.model);
    const past: string[] = [];
    receiver?.register(memory.channel, TAG, ({ content }) => past.push(content.toString()));
    receiver?.read(Buffer.concat([encodeMethod('channel.close-ok', 1, {})]));
    const listeners = memory.channel.listenerCount('close');
    receiver?.register(memory.channel, TAG, ({ content }) => past.push(content.toString()));
    // It will not close once more.
    expect(memory.channel.listenerCount('close')).toBe(listeners);
    const byAmqplib: string[] = [];
    memory.open().registerConsumer(TAG, ({ content }) => byAmqplib.push(content.toString()));
    receiver?.read(message('next'));
    expect({ past, byAmqplib }).toEqual({ past: [], byAmqplib: ['next'] });
  });

  it('of a channel that has the number of another on its own connection are left to amqplib', () => {
    const memory = new MemoryChannel();
    const seen: string[] = [];
    memory.channel.registerConsumer(TAG, ({ content }) => seen.push(`${content.toString()} by amqplib`));
    const receiver = Receiver.on(memory.model);
    receiver?.register(new MemoryChannel().channel, TAG, () => seen.push('to another connection'));
    receiver?.read(message('a'));
    expect(seen).toEqual(['a by amqplib']);
  });

  it('of the next channel with the same number belong to its own consumer', () => {
    const memory = new MemoryChannel();
    const receiver = Receiver.on(memory.model);
    const [first, second, byAmqplib]: [string[], string[], string[]] = [[], [], []];
    const reopened = (register: boolean): void => {
      const next = memory.open();
      next.registerConsumer(TAG, ({ content }) => byAmqplib.push(content.toString()));
      if (register) receiver?.register(next, TAG, ({ content }) => second.push(content.toString()));
    };
    // Whoever opens it does so as soon as the first has closed: in front of the receiver, too.
    memory.channel.once('close', () => {
      reopened(true);
    });
    receiver?.register(memory.channel, TAG, ({ content }) => first.push(content.toString()));
    memory.channel.close().catch(() => undefined);
    receiver?.read(Buffer.concat([encodeMethod('channel.close-ok', 1, {}), message('a')]));
    expect([first, second, byAmqplib]).toEqual([[], ['a'], []]);
  });

  it('hold on to no channel that has closed', async () => {
    const memory = new MemoryChannel();
    const receiver = Receiver.on(memory.model);
    const closed = (): WeakRef<object> => {
      const channel = memory.open();
      receiver?.register(channel, TAG, () => undefined);
      channel.close().catch(() => undefined);
      receiver?.read(encodeMethod('channel.close-ok', 2, {}));
      return new WeakRef(channel);
    };
    const channels = [closed(), closed()];
    await eventually(() => {
      collectGarbage();
      return channels.every((channel) => channel.deref() === undefined);
    }, 5000);
    expect(receiver).toBeDefined();
  });

  it.each([false, undefined, { fields: null }, { fields: 'words' }])(
    'whose properties amqplib decodes to %j say so where those are read, and have all else',
    (decoded) => {
      const { connection, channel, model } = new MemoryChannel();
      const known = Object.getPrototypeOf(connection) as object;
      const receive: unknown = Reflect.get(known, 'recvFrame');
      let decoding = true;
      const recvFrame = function (this: object): unknown {
        return decoding && typeof receive === 'function' ? (Reflect.apply(receive, this, []) as unknown) : decoded;
      };
      Object.setPrototypeOf(
        connection,
        Object.create(known, { recvFrame: { value: recvFrame, writable: true } }) as object,
      );
      const receiver = Receiver.on(model);
      const seen: unknown[] = [];
      receiver?.register(channel, TAG, (one) => {
        expect(() => one.properties).toThrow('amqplib did not decode the properties of a message.');
        seen.push(one.content.toString());
      });
      decoding = false;
      receiver?.read(message('words'));
      expect(seen).toEqual(['words']);
    },
  );

  it('of the consumer that follows on the same channel are its own', () => {
    const memory = new MemoryChannel();
    const receiver = Receiver.on(memory.model);
    const seen: string[] = [];
    const listeners = new Set<number>();
    for (const tag of ['one', 'two']) {
      memory.channel.registerConsumer(tag, ({ content }) => seen.push(`${content.toString()} by amqplib`));
      receiver?.register(memory.channel, tag, ({ content }) => seen.push(`${content.toString()} to ${tag}`));
      listeners.add(memory.channel.listenerCount('close'));
    }
    receiver?.read(Buffer.concat([message('a', 'two'), message('b', 'one'), message('c', 'two')]));
    expect(seen).toEqual(['a to two', 'b by amqplib', 'c to two']);
    // However many follow each other.
    expect(listeners.size).toBe(1);
  });

  it('of a connection that is closing are dropped, as amqplib does', () => {
    const memory = new MemoryChannel();
    const past: string[] = [];
    const receiver = Receiver.on(memory.model);
    receiver?.register(memory.channel, TAG, ({ content }) => past.push(content.toString()));
    const dropped: unknown[] = [];
    memory.connection.accept = (frame) => dropped.push(frame);
    receiver?.read(message('late'));
    expect(past).toEqual([]);
    expect(dropped).toHaveLength(3);
  });

  it('whose consumer throws end the connection where amqplib closes channels in another way', () => {
    const memory = new MemoryChannel();
    const errors: unknown[] = [];
    memory.connection.on('frameError', (error) => errors.push(error));
    Reflect.set(memory.channel, 'closeWithError', undefined);
    const receiver = Receiver.on(memory.model);
    receiver?.register(memory.channel, TAG, throwing);
    receiver?.read(message('a'));
    expect(errors).toEqual([new Error('not my day')]);
  });

  it('of a channel that is closing are dropped, as amqplib does', async () => {
    const memory = new MemoryChannel();
    const seen = consuming(memory);
    memory.channel.close().catch(() => undefined);
    await memory.receive([message('late')]);
    expect(seen).toEqual({ byAmqplib: [], past: [] });
  });

  it('behind one whose consumer closes the channel are dropped', async () => {
    const memory = new MemoryChannel();
    const past: string[] = [];
    memory.channel.registerConsumer(TAG, () => undefined);
    Receiver.on(memory.model)?.register(memory.channel, TAG, ({ content }) => {
      past.push(content.toString());
      memory.channel.close().catch(() => undefined);
    });
    await memory.receive([Buffer.concat([message('a'), message('b')])]);
    expect(past).toEqual(['a']);
  });

  it.each([
    ['past amqplib', true],
    ['by amqplib', false],
  ])('come once, whatever a consumer throws, which costs its channel and no other: %s', async (_how, own) => {
    const memory = new MemoryChannel();
    const past: string[] = [];
    const errors: unknown[] = [];
    const neighbour = memory.open();
    neighbour.on('close', () => errors.push('the neighbour'));
    memory.connection.on('frameError', (error) => errors.push(error));
    memory.channel.on('error', (error) => errors.push(error));
    const onMessage = ({ content }: { readonly content: Buffer }): void => {
      past.push(content.toString());
      throw new Error('not my day');
    };
    memory.channel.registerConsumer(TAG, onMessage);
    if (own) Receiver.on(memory.model)?.register(memory.channel, TAG, onMessage);
    await memory.receive([Buffer.concat([message('a'), message('b')])]);
    expect(errors).toEqual([]);
    await memory.receive([encodeMethod('channel.close-ok', 1, {})]);
    expect(past).toEqual(['a']);
    expect(errors).toEqual([Object.assign(new Error('not my day'), { code: 541 })]);
    expect((await memory.written()).includes('Error while processing message')).toBe(true);
  });
});

describe('bodies in several frames', () => {
  const SIZE = 10_000;
  const FRAME = 4096;

  /** A consumer, and what a body in three frames is made of: deliver and header first, then each frame. */
  const receiving = (): {
    memory: MemoryChannel;
    receiver: Receiver;
    seen: Uint8Array[];
    frames: Buffer[];
    errors: unknown[];
  } => {
    const memory = new MemoryChannel(FRAME);
    const seen: Uint8Array[] = [];
    const errors: unknown[] = [];
    memory.connection.on('frameError', (error) => errors.push(error));
    memory.channel.on('error', (error) => errors.push(error));
    guardFrames(memory.model);
    const receiver = Receiver.on(memory.model);
    if (!receiver) throw new Error('This amqplib is not known.');
    memory.channel.registerConsumer(TAG, () => errors.push('read by amqplib'));
    receiver.register(memory.channel, TAG, ({ content }) => seen.push(content));
    const content = encodeContent(1, {}, BODY, FRAME);
    const headEnd = 8 + content.readUInt32BE(3);
    const deliver = encodeMethod('basic.deliver', 1, DELIVERED);
    const frames: Buffer[] = [Buffer.concat([deliver, content.subarray(0, headEnd)])];
    for (let at = headEnd; at < content.length;) {
      const end = at + 8 + content.readUInt32BE(at + 3);
      frames.push(content.subarray(at, end));
      at = end;
    }
    return { memory, receiver, seen, frames, errors };
  };
  const BODY = Buffer.alloc(SIZE, 'all of it; ');
  const DELIVERED = { consumerTag: TAG, deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };

  it('are put together, though they look like frames themselves', () => {
    const frame = Buffer.from('030001' + '00000002' + '0300' + 'ce', 'hex');
    const body = Buffer.alloc(SIZE, frame);
    const content = encodeContent(1, {}, body, FRAME);
    const headEnd = 8 + content.readUInt32BE(3);
    for (let size = 1; size <= 40; size++) {
      const { receiver, seen, errors } = receiving();
      receiver.read(Buffer.concat([encodeMethod('basic.deliver', 1, DELIVERED), content.subarray(0, headEnd)]));
      for (let at = headEnd; at < content.length; at += size) receiver.read(content.subarray(at, at + size));
      expect(errors).toEqual([]);
      expect(seen.map((one) => body.equals(one))).toEqual([true]);
    }
  });

  it('are put together in memory of their own, however they are cut', () => {
    const { receiver, seen, frames, errors } = receiving();
    const [head = NONE, ...body] = frames;
    const all = Buffer.concat(body);
    for (const size of [1, 7, 100, 4096, all.length]) {
      receiver.read(head);
      for (let at = 0; at < all.length; at += size) receiver.read(all.subarray(at, at + size));
      const content = seen.pop();
      expect(content).toEqual(BODY);
      expect(content?.buffer.byteLength).toBe(SIZE);
    }
    expect({ seen, errors }).toEqual({ seen: [], errors: [] });
  });

  it('let other channels through in between', () => {
    const { memory, receiver, seen, frames, errors } = receiving();
    const other = memory.open();
    other.registerConsumer('other', ({ content }) => seen.push(content));
    const fields = { consumerTag: 'other', deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
    const between = Buffer.concat([
      encodeMethod('basic.deliver', 2, fields),
      encodeContent(2, {}, Buffer.from('between'), FRAME),
    ]);
    const [head = NONE, ...body] = frames;
    receiver.read(head);
    for (const frame of body) receiver.read(Buffer.concat([frame, between]));
    const text = Buffer.from('between');
    expect(seen).toEqual([text, text, BODY, text]);
    expect(errors).toEqual([]);
  });

  it.each<[string, (frames: readonly Buffer[]) => Buffer]>([
    ['is longer than its header says', ([head = NONE, first = NONE]) => Buffer.concat([head, first, first, first])],
    ['is followed by another message too early', ([head = NONE, first = NONE]) => Buffer.concat([head, first, head])],
    [
      'is followed by the header of another',
      ([head = NONE, first = NONE]) => Buffer.concat([head, first, encodeContent(1, {}, NONE, FRAME)]),
    ],
  ])('close their channel, and no other, when one %s', async (_what, bytes) => {
    const { memory, receiver, seen, frames, errors } = receiving();
    receiver.read(bytes(frames));
    expect(seen).toEqual([]);
    await memory.receive([encodeMethod('channel.close-ok', 1, {})]);
    expect(errors).toEqual([expect.objectContaining({ code: 505 })]);
  });

  it.each<[string, string, string]>([
    ['does not end as it has to', '0300010000000161' + '00', 'A frame of a body does not end with the octet that ends'],
    ['holds nothing', '03000100000000' + 'ce', 'A frame of a body that holds nothing.'],
    ['is of no known type', '0900010000000161' + 'ce', 'Unknown frame type 9'],
  ])('end the connection, and no channel first, when a frame %s', async (_what, frame, sentence) => {
    const { memory, receiver, seen, frames, errors } = receiving();
    receiver.read(Buffer.concat([...frames.slice(0, 2), Buffer.from(frame, 'hex')]));
    expect(seen).toEqual([]);
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining(sentence) as string })]);
    expect(await memory.written()).toHaveLength(0);
  });

  it.each(['by the socket', 'by amqplib'])(
    'are dropped when their channel closes meanwhile, and hold up no other: read %s',
    async (how) => {
      const { memory, receiver, seen, frames, errors } = receiving();
      const read = async (...bytes: readonly Buffer[]): Promise<void> => {
        if (how === 'by amqplib') await memory.receive([Buffer.concat(bytes)]);
        else receiver.read(Buffer.concat(bytes));
      };
      const [head = NONE, first = NONE, ...rest] = frames;
      await read(head, first.subarray(0, 100));
      const closing = memory.channel.close();
      await read(first.subarray(100), ...rest, encodeMethod('channel.close-ok', 1, {}));
      await closing;
      const next = memory.open();
      receiver.register(next, TAG, ({ content }) => seen.push(content));
      await read(...frames);
      expect({ seen, errors }).toEqual({ seen: [BODY], errors: [] });
    },
  );

  it.each([1, 2, 3])(
    'are dropped when their channel begins to close within frame %d, and hold up no other',
    (number) => {
      const { memory, receiver, seen, frames, errors } = receiving();
      const frame = frames[number] ?? NONE;
      receiver.read(Buffer.concat([...frames.slice(0, number), frame.subarray(0, 100)]));
      memory.channel.close().catch(() => undefined);
      const other = memory.open();
      other.registerConsumer('other', ({ content }) => seen.push(content));
      const deliver = encodeMethod('basic.deliver', 2, { ...DELIVERED, consumerTag: 'other' });
      const message = Buffer.concat([deliver, encodeContent(2, {}, Buffer.from('behind'), FRAME)]);
      receiver.read(Buffer.concat([frame.subarray(100), message]));
      expect({ seen, errors }).toEqual({ seen: [Buffer.from('behind')], errors: [] });
    },
  );

  it.each([1, 2, 3])(
    'are dropped when the broker has closed their channel behind %d frames, as amqplib does',
    (count) => {
      const { memory, receiver, seen, frames, errors } = receiving();
      receiver.read(Buffer.concat(frames.slice(0, count)));
      memory.channel.close().catch((error: unknown) => errors.push(error));
      receiver.read(encodeMethod('channel.close-ok', 1, {}));
      const next = memory.open();
      receiver.register(next, TAG, ({ content }) => seen.push(content));
      receiver.read(Buffer.concat(frames));
      expect({ seen, errors }).toEqual({ seen: [BODY], errors: [] });
    },
  );

  it('are whole though a frame of another channel was cut in front of what looks like a part of them', () => {
    const { memory, receiver, seen, frames, errors } = receiving();
    const other = memory.open();
    other.registerConsumer('other', ({ content }) => seen.push(content));
    const inside = Buffer.concat([Buffer.from('it holds '), frames[1] ?? NONE]).subarray(0, 4000);
    const message = Buffer.concat([
      encodeMethod('basic.deliver', 2, { ...DELIVERED, consumerTag: 'other' }),
      encodeContent(2, {}, inside, FRAME),
    ]);
    const cut = message.indexOf('it holds ') + 'it holds '.length;
    const [head = NONE, ...body] = frames;
    for (const read of [head, message.subarray(0, cut), message.subarray(cut)]) receiver.read(read);
    receiver.read(Buffer.concat(body));
    expect(errors).toEqual([]);
    expect(seen.map((one) => [inside, BODY].findIndex((known) => known.equals(one)))).toEqual([0, 1]);
  });
});
const NONE = Buffer.alloc(0);

describe('confirms', () => {
  /** What amqplib reads itself, and what the channel emits. */
  const producing = (): {
    memory: MemoryChannel;
    receiver: Receiver | undefined;
    read: unknown[];
    emitted: unknown[];
  } => {
    const memory = new MemoryChannel();
    const read: unknown[] = [];
    const recvFrame: unknown = Reflect.get(memory.connection, 'recvFrame');
    Reflect.set(memory.connection, 'recvFrame', () => {
      const frame: unknown = typeof recvFrame === 'function' && Reflect.apply(recvFrame, memory.connection, []);
      if (frame !== false) read.push(frame);
      return frame;
    });
    const receiver = Receiver.on(memory.model);
    const emitted: unknown[] = [];
    for (const event of ['ack', 'nack']) {
      memory.channel.removeAllListeners(event);
      memory.channel.on(event, (fields) => emitted.push([event, fields]));
    }
    return { memory, receiver, read, emitted };
  };
  const fields = { deliveryTag: 2 ** 33 + 1, multiple: true };

  it('are taken past an amqplib as it is known, and emitted as it does', () => {
    const { memory, receiver, read, emitted } = producing();
    receiver?.registerConfirms(memory.channel);
    receiver?.read(Buffer.concat([encodeMethod('basic.ack', 1, fields), encodeMethod('basic.nack', 1, fields)]));
    expect({ read, emitted }).toEqual({
      read: [],
      emitted: [
        ['ack', fields],
        ['nack', fields],
      ],
    });
  });

  it('of a channel that is not registered are left to amqplib', () => {
    const { memory, receiver, read, emitted } = producing();
    const other = memory.open();
    receiver?.registerConfirms(other);
    receiver?.read(encodeMethod('basic.ack', 1, fields));
    expect(read).toHaveLength(1);
    expect(emitted).toHaveLength(1);
  });

  it('whose frame does not end as it has to end the connection', () => {
    const { memory, receiver, emitted } = producing();
    const errors: unknown[] = [];
    memory.connection.on('frameError', (error) => errors.push(error));
    receiver?.registerConfirms(memory.channel);
    receiver?.read(Buffer.concat([encodeMethod('basic.ack', 1, fields).subarray(0, -1), Buffer.of(0)]));
    expect(errors).toHaveLength(1);
    expect(emitted).toEqual([]);
  });

  it('of a channel that was closed before it is registered are left to amqplib', () => {
    const { memory, receiver, read } = producing();
    memory.channel.close().catch(() => undefined);
    receiver?.read(encodeMethod('channel.close-ok', 1, {}));
    const listeners = memory.channel.listenerCount('close');
    receiver?.registerConfirms(memory.channel);
    // It will not close once more.
    expect(memory.channel.listenerCount('close')).toBe(listeners);
    memory.open();
    receiver?.read(encodeMethod('basic.ack', 1, fields));
    expect(read).toHaveLength(2);
  });

  it('of a channel that is closing are dropped, as amqplib does', () => {
    const { memory, receiver, emitted } = producing();
    receiver?.registerConfirms(memory.channel);
    memory.channel.close().catch(() => undefined);
    receiver?.read(encodeMethod('basic.ack', 1, fields));
    expect(emitted).toEqual([]);
  });
});
