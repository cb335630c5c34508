import { AmqplibMessage } from '../../../../lib/amqp/amqplib-message';
import { guardFrames } from '../../../../lib/amqp/wire/frame-guard';
import { Receiver } from '../../../../lib/amqp/wire/receiver';
import type { InboundMessage } from '../../../../lib/transport/transport';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';
import { encodeContent, encodeMethod } from '../../../support/frames/methods';
import { rawFrame } from '../../../support/frames/raw-publisher';
import { seenOf } from '../../../support/inbound-message';

const TAG = 'tag';
const fields = { consumerTag: TAG, deliveryTag: 2, redelivered: true, exchange: 'x', routingKey: 'key' };
const properties = { contentType: 'text', contentEncoding: 'gz', headers: { a: 1 }, messageId: 'm' };
const deliver = encodeMethod('basic.deliver', 1, fields);
const header = encodeContent(1, properties, Buffer.alloc(0), 4096);
const content = encodeContent(1, properties, Buffer.from('body'), 4096);
const next = Buffer.concat([
  encodeMethod('basic.deliver', 1, { ...fields, deliveryTag: 3, exchange: '', redelivered: false }),
  encodeContent(1, {}, Buffer.from('next'), 4096),
]);

interface Outcome {
  readonly seen: unknown[];
  /** How many of them were taken past amqplib. */
  past: number;
}

/** What an application sees of these bytes, and who ends what. */
function outcomeOf(bytes: Buffer, own: boolean): Outcome {
  const memory = new MemoryChannel();
  const outcome: Outcome = { seen: [], past: 0 };
  const { seen } = outcome;
  const onMessage = (message: InboundMessage): void => {
    if (!(message instanceof AmqplibMessage)) outcome.past++;
    try {
      seen.push(seenOf(message));
    } catch {
      seen.push('undecodable');
    }
  };
  memory.channel.registerConsumer(TAG, (message) => {
    onMessage(new AmqplibMessage(message));
  });
  memory.channel.on('error', () => seen.push('the channel'));
  memory.connection.on('frameError', () => seen.push('the connection'));
  memory.connection.on('error', () => seen.push('the connection'));
  guardFrames(memory.model);
  const receiver = Receiver.on(memory.model);
  if (own) receiver?.register(memory.channel, TAG, onMessage);
  receiver?.read(bytes);
  return outcome;
}

const range = (from: number, length: number): number[] => Array.from({ length }, (_, i) => from + i);
/** The frames of one message, and the octets that tell which frames belong to it: channels, and a size where no body follows. */
const MESSAGES: [string, Buffer, readonly number[]][] = [
  [
    'with a body',
    Buffer.concat([deliver, content]),
    [deliver.length, deliver.length + header.length].flatMap((frame) => range(frame + 1, 2)),
  ],
  [
    'without one',
    Buffer.concat([deliver, header]),
    [...range(deliver.length + 1, 2), ...range(deliver.length + 11, 8)],
  ],
];
/** Where amqplib reads the properties at once, and we when they are asked for: from the flags to the end of the header frame. */
const LAZY = { from: deliver.length + 19, to: deliver.length + header.length - 1 };

describe.each(MESSAGES)('a message %s of which one octet is another', (_what, message, belonging) => {
  /** What becomes of each message that differs in one octet of these: by amqplib, and past it. */
  const outcomes = (where: (at: number) => boolean) =>
    [...message].flatMap((known, at) =>
      (where(at) ? [0, 1, 255, known ^ 1, known ^ 0x80] : [])
        .filter((octet, i, all) => octet !== known && all.indexOf(octet) === i)
        .map((octet) => {
          const bytes = Buffer.concat([message, next]);
          bytes[at] = octet;
          const change = `${String(octet)} at ${String(at)}`;
          return { change, theirs: outcomeOf(bytes, false).seen, ours: outcomeOf(bytes, true).seen };
        }),
    );
  const isLazy = (at: number): boolean => at >= LAZY.from && at < LAZY.to;
  const belongs = (at: number): boolean => belonging.includes(at);

  it('is taken past amqplib as long as it is as it was', () => {
    expect(outcomeOf(Buffer.concat([message, next]), true)).toMatchObject({ past: 2 });
  });

  it('does what it does to amqplib, outside of the properties', () => {
    const all = outcomes((at) => !isLazy(at) && !belongs(at));
    expect(all.map(({ change, ours }) => [change, ours])).toEqual(all.map(({ change, theirs }) => [change, theirs]));
  });

  it('does not come if a part of it is missing, or of another channel', () => {
    const ofIt = (seen: readonly unknown[]) =>
      seen.filter((one) => (one as { deliveryTag?: number }).deliveryTag === 2);
    for (const { theirs, ours } of outcomes(belongs)) expect([ofIt(theirs), ofIt(ours)]).toEqual([[], []]);
  });

  it('has the properties that amqplib reads, if it can read them', () => {
    for (const { change, theirs, ours } of outcomes(isLazy)) {
      if (theirs[0] === 'the connection') expect(['undecodable', 'the connection']).toContain(ours[0]);
      else expect([change, ours]).toEqual([change, theirs]);
    }
  });
});

describe('a frame that says that it is shorter than it should be, or longer', () => {
  /** Frames of that type with the first octets of this payload, none of them to all of them, and with some behind it. */
  const cuts = (type: number, frame: Buffer): Buffer[] => {
    const payload = frame.subarray(7, -1);
    const more = Buffer.concat([payload, Buffer.alloc(3)]);
    return range(0, more.length + 1).map((length) => rawFrame(type, 1, more.subarray(0, length)));
  };

  it.each<[string, Buffer]>([
    ['the first', Buffer.alloc(0)],
    ['behind one of the same route', Buffer.concat([deliver, content])],
    ['behind one of another', next],
  ])('does to a delivery what it does to amqplib: %s', (_which, before) => {
    for (const cut of cuts(1, deliver)) {
      const bytes = Buffer.concat([before, cut, content, next]);
      expect([cut.length, outcomeOf(bytes, true).seen]).toEqual([cut.length, outcomeOf(bytes, false).seen]);
    }
  });

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['none', {}],
    ['a content type', { contentType: 'text' }],
    ['a content encoding', { contentEncoding: 'gz' }],
    ['both', { contentType: 'text', contentEncoding: 'gz' }],
    ['no headers', { headers: {} }],
    ['all of these', { contentType: 'text', contentEncoding: 'gz', headers: {} }],
  ])('does to the properties that are read first what it does to amqplib: %s', (_which, given) => {
    const whole = encodeContent(1, given, Buffer.alloc(0), 4096);
    expect(outcomeOf(Buffer.concat([deliver, whole]), true).past).toBe(1);
    for (const cut of cuts(2, whole)) {
      const bytes = Buffer.concat([deliver, cut, next]);
      expect([cut.length, outcomeOf(bytes, true).seen]).toEqual([cut.length, outcomeOf(bytes, false).seen]);
    }
  });
});

describe('a confirm of which one octet is another', () => {
  const ack = encodeMethod('basic.ack', 1, { deliveryTag: 2 ** 33 + 1, multiple: true });
  const behind = encodeMethod('basic.nack', 1, { deliveryTag: 7, multiple: false, requeue: false });

  /** What a channel emits of these bytes, and how many of them amqplib did not see. */
  const confirmsOf = (bytes: Buffer, own: boolean): unknown[] => {
    const memory = new MemoryChannel();
    const seen: unknown[] = [];
    for (const event of ['ack', 'nack']) {
      memory.channel.removeAllListeners(event);
      // amqplib names one field more of a nack.
      memory.channel.on(event, ({ deliveryTag, multiple }) => seen.push([event, deliveryTag, multiple]));
    }
    memory.channel.on('error', () => seen.push('the channel'));
    memory.connection.on('frameError', () => seen.push('the connection'));
    const receiver = Receiver.on(memory.model);
    if (own) receiver?.registerConfirms(memory.channel);
    receiver?.read(bytes);
    return seen;
  };

  it('does what it does to amqplib', () => {
    const all = [...ack].flatMap((known, at) =>
      [0, 1, 3, 80, 120, 255, known ^ 1, known ^ 0x80].map((octet) => {
        const bytes = Buffer.concat([ack, behind]);
        bytes[at] = octet;
        const change = `${String(octet)} at ${String(at)}`;
        return { change, theirs: confirmsOf(bytes, false), ours: confirmsOf(bytes, true) };
      }),
    );
    expect(all.map(({ change, ours }) => [change, ours])).toEqual(all.map(({ change, theirs }) => [change, theirs]));
  });
});
