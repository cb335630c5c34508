import fc from 'fast-check';
import { AmqplibMessage } from '../../../../lib/amqp/amqplib-message';
import type { InboundMessage } from '../../../../lib/transport/transport';
import { seenOf } from '../../../support/inbound-message';
import { encodeContent, encodeMethod } from '../../../support/frames/methods';
import { Arrival } from '../../../../lib/amqp/wire/delivery-frames';
import { Receiver } from '../../../../lib/amqp/wire/receiver';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';

const FRAME_MAX = 4096;
const CHANNELS = [1, 2, 3];
/** The channel of a producer. */
const CONFIRMS = 4;
const tagOf = (channel: number): string => `tag-${String(channel)}`;
const HEARTBEAT = Buffer.from('08000000000000ce', 'hex');

/** One frame of one channel. */
type Frame = Buffer;

function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 8 + bytes.readUInt32BE(at + 3);
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  return frames;
}

/** Bodies of nothing, of a few bytes, of a whole frame, of several; and what is no message. */
const item = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 1, 300, FRAME_MAX - 8, FRAME_MAX - 7, 3 * FRAME_MAX) },
  { weight: 1, arbitrary: fc.constant('ack' as const) },
);
const framesOfChannel = (items: readonly (number | 'ack')[], channel: number): Frame[] =>
  items.flatMap((what, i) => {
    const deliveryTag = i + 1;
    if (what === 'ack') return framesOf(encodeMethod('basic.ack', channel, { deliveryTag, multiple: false }));
    const fields = { consumerTag: tagOf(channel), deliveryTag, redelivered: false, exchange: '', routingKey: 'q' };
    const body = Buffer.alloc(what, `${String(channel)}.${String(deliveryTag)};`);
    return framesOf(
      Buffer.concat([
        encodeMethod('basic.deliver', channel, fields),
        encodeContent(channel, { messageId: String(i) }, body, FRAME_MAX),
      ]),
    );
  });

/** What the broker answers a producer. */
const verdict = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      method: fc.constantFrom('basic.ack' as const, 'basic.nack' as const),
      deliveryTag: fc.oneof(fc.nat(300), fc.nat(2 ** 40)),
      multiple: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constant('return' as const) },
);
type Verdicts = typeof verdict extends fc.Arbitrary<infer V> ? V : never;
const confirmsOf = (verdicts: readonly Verdicts[]): Frame[] =>
  verdicts.flatMap((given) => {
    if (given !== 'return') {
      const { method, ...fields } = given;
      return framesOf(encodeMethod(method, CONFIRMS, fields));
    }
    const fields = { replyCode: 312, replyText: 'NO_ROUTE', exchange: '', routingKey: 'q' };
    const content = encodeContent(CONFIRMS, { messageId: 'm' }, Buffer.from('back'), FRAME_MAX);
    return framesOf(Buffer.concat([encodeMethod('basic.return', CONFIRMS, fields), content]));
  });

/** Frame by frame in turns: within a channel the order stays, between channels anything may be in between. */
function interleaved(ofChannels: readonly Frame[][], turns: readonly number[], heartbeatEvery: number): Buffer {
  const lines = ofChannels.map((frames) => [...frames]);
  const all: Buffer[] = [];
  for (let i = 0; lines.some((line) => line.length > 0); i++) {
    const left = lines.filter((line) => line.length > 0);
    const frame = left[(turns[i % turns.length] ?? 0) % left.length]?.shift();
    if (frame) all.push(frame);
    if (i % heartbeatEvery === 0) all.push(HEARTBEAT);
  }
  return Buffer.concat(all);
}

function pieces(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => Math.floor(place * bytes.length)))].sort((a, b) => a - b);
  return [...ends, bytes.length]
    .map((end, i, all) => bytes.subarray(all[i - 1] ?? 0, end))
    .filter(({ length }) => length > 0);
}

/** Who reads: amqplib alone, a receiver that looks at what amqplib's stream has read, or one that is given it by the socket. */
type Reader = 'amqplib' | 'behind the stream' | 'before the stream';

/** What the applications of all channels see, in one order. */
async function seenBy(reads: readonly Buffer[], reader: Reader): Promise<{ seen: unknown[]; parsed: number }> {
  const memory = new MemoryChannel(FRAME_MAX);
  const channels = [memory.channel, memory.open(), memory.open()];
  const confirming = memory.open();
  const receiver = reader === 'amqplib' ? undefined : Receiver.on(memory.model);
  const seen: (() => unknown)[] = [];
  for (const event of ['ack', 'nack', 'return']) {
    // amqplib's own need messages that were published.
    confirming.removeAllListeners(event);
    confirming.on(event, ({ deliveryTag, multiple, content }: Record<string, unknown>) =>
      seen.push(() => [event, deliveryTag, multiple, content]),
    );
  }
  receiver?.registerConfirms(confirming);
  let parsed = 0;
  memory.connection.on('frameError', (error) => seen.push(() => error));
  for (const [i, channel] of channels.entries()) {
    const tag = tagOf(i + 1);
    const onMessage = (message: InboundMessage): void => {
      if (message instanceof Arrival) parsed++;
      // When all is read: what lies in the bytes that were read must not have changed by then.
      seen.push(() => [i, seenOf(message)]);
    };
    channel.registerConsumer(tag, (message) => {
      onMessage(new AmqplibMessage(message));
    });
    channel.removeAllListeners('ack');
    channel.on('ack', (fields: object) => seen.push(() => [i, fields]));
    receiver?.register(channel, tag, onMessage);
  }
  if (receiver && reader === 'before the stream') {
    // The socket reads into the same memory each time.
    const shared = Buffer.alloc(Math.max(0, ...reads.map(({ length }) => length)));
    for (const read of reads) receiver.read(shared.subarray(0, read.copy(shared)));
  } else await memory.receive(reads);
  return { seen: seen.map((look) => look()), parsed };
}

describe('deliveries and confirms of several channels whose frames take turns', () => {
  it('are what amqplib makes of them, in the same order, with heartbeats between, however the bytes are cut', async () => {
    let parsed = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(...CHANNELS.map(() => fc.array(item, { maxLength: 6 }))),
        fc.array(verdict, { maxLength: 8 }),
        fc.array(fc.nat(5), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 }),
        async (items, verdicts, turns, heartbeatEvery, places) => {
          const frames = items.map((some, i) => framesOfChannel(some, CHANNELS[i] ?? 0));
          const reads = pieces(interleaved([...frames, confirmsOf(verdicts)], turns, heartbeatEvery), places);
          const theirs = await seenBy(reads, 'amqplib');
          expect(theirs.seen).toHaveLength(items.flat().length + verdicts.length);
          for (const reader of ['behind the stream', 'before the stream'] as const) {
            const ours = await seenBy(reads, reader);
            expect(ours.seen).toEqual(theirs.seen);
            parsed += ours.parsed;
          }
        },
      ),
      { numRuns: 150 },
    );
    expect(parsed).toBeGreaterThan(50);
  });
});
