import { publishOptions } from '../../../../lib/amqp/amqp-properties';
import fc from 'fast-check';
import { auto } from '../../../../lib/codec';
import type { Arguments } from '../../../../lib/properties';
import { encode, type Encoded } from '../../../../lib/producer/encoded-message';
import type { OutboundMessage } from '../../../../lib/producer/outbound-message';
import { Publisher } from '../../../../lib/amqp/wire/publisher';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';

const shortString = fc.string({ unit: 'grapheme', maxLength: 20 });
const key = shortString.filter((name) => name !== '!' && name !== '__proto__');
/** Headers of every kind, those too that are left to amqplib. */
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -(2 ** 49), max: 2 ** 49 }),
    fc.constantFrom(
      127,
      128,
      -129,
      32_768,
      -32_769,
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 50,
      2 ** 62,
      2 ** 63,
      -(2 ** 63),
      -0,
    ),
    fc.uint8Array({ maxLength: 30 }).map((octets) => Buffer.from(octets)),
    fc.record({
      '!': fc.constantFrom('byte', 'int8', 'short', 'int16', 'int', 'int32', 'long', 'int64'),
      value: fc.integer({ min: -128, max: 127 }),
    }),
    fc.record({
      '!': fc.constantFrom('uint8', 'unsignedbyte', 'uint16', 'unsignedshort', 'uint32', 'unsignedint', 'timestamp'),
      value: fc.nat(255),
    }),
    fc.record({
      '!': fc.constantFrom('float', 'double', 'float64'),
      value: fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 }),
    }),
    fc.record({ '!': fc.constant('decimal'), value: fc.record({ places: fc.nat(255), digits: fc.nat() }) }),
    fc.record({ '!': fc.constant('string'), value: fc.string({ maxLength: 20 }) }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5 }),
  ),
}));
const headers = fc.dictionary(key, fc.option(value, { nil: undefined, freq: 20 }), {
  maxKeys: 8,
}) as fc.Arbitrary<Arguments>;

const properties = fc.record(
  {
    messageId: shortString,
    correlationId: shortString,
    replyTo: shortString,
    type: shortString,
    appId: shortString,
    userId: shortString,
    contentType: shortString,
    contentEncoding: shortString,
    timestamp: fc.nat().map((seconds) => new Date(seconds * 1000)),
    expiration: fc.nat(),
    priority: fc.nat(255),
    headers,
    persistent: fc.boolean(),
    mandatory: fc.boolean(),
  },
  { requiredKeys: [] },
);
/** Most messages say nothing beside their body. */
const extras = fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: properties });
const route = fc.oneof(
  fc.constantFrom('a', 'b').map((queue) => ({ queue })),
  fc.record({ exchange: shortString, routingKey: shortString }),
);
/** Bodies of nothing, of a few bytes, of more than a frame, of more than a chunk. */
const body = fc
  .tuple(fc.constantFrom(0, 1, 200, 4088, 4089, 9000, 16_383, 16_384, 40_000, 140_000, 530_000), fc.nat(20))
  .map(([size, more]) => Buffer.alloc(size + more, 'body'));
const message: fc.Arbitrary<OutboundMessage> = fc
  .tuple(route, extras, body)
  .map(([to, more, content]) => ({ ...to, ...more, body: content }));

const DEFAULTS = { persistent: true, mandatory: true };
const encoded = (given: OutboundMessage): Encoded => encode(given, auto, DEFAULTS);
const expirationOf = (given: Encoded): string | undefined => {
  const { expiration } = publishOptions(given);
  return expiration === undefined ? undefined : String(expiration);
};

function publisherOn(memory: MemoryChannel): Publisher {
  const publisher = Publisher.on(memory.channel, () => undefined);
  if (!publisher) throw new Error('This amqplib is not as it is known.');
  return publisher;
}

const byAmqplib = ({ channel }: MemoryChannel, given: Encoded): void => {
  channel.publish(given.exchange, given.routingKey, given.content, publishOptions(given));
};

describe('what is published in frames of our own', () => {
  it('is byte by byte what amqplib writes, whatever the message, the frame size and the order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(4096, 8192, 131_072),
        async (messages, frameMax) => {
          const ours = new MemoryChannel(frameMax);
          const theirs = new MemoryChannel(frameMax);
          const publisher = publisherOn(ours);
          for (const [i, one] of messages.map(encoded).entries()) {
            byAmqplib(theirs, one);
            try {
              expect(publisher.publish(one, i + 1, expirationOf(one))).toBe(true);
            } catch {
              publisher.flush();
              byAmqplib(ours, one);
            }
          }
          expect((await ours.written()).equals(await theirs.written())).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is what amqplib writes also where messages of one route differ in a single respect, and come in turns', async () => {
    const ours = new MemoryChannel();
    const theirs = new MemoryChannel();
    const publisher = publisherOn(ours);
    const plain = { exchange: 'x', routingKey: 'k', messageId: 'm', body: Buffer.from('body') };
    const differing = [
      {},
      { exchange: 'y' },
      { routingKey: 'l' },
      { exchange: 'xk', routingKey: '' },
      { mandatory: false },
      { persistent: false },
      { contentType: 'text/plain' },
      { contentType: '' },
      { messageId: 'a longer id' },
      { messageId: '' },
      { body: Buffer.alloc(0) },
      { body: Buffer.alloc(70_000) },
    ].map((one): OutboundMessage => ({ ...plain, ...one }));
    const turns = differing.flatMap((one) => differing.flatMap((other) => [one, other]));
    for (const [i, one] of turns.map(encoded).entries()) {
      byAmqplib(theirs, one);
      expect(publisher.publish(one, i + 1, undefined)).toBe(true);
    }
    expect((await ours.written()).equals(await theirs.written())).toBe(true);
  });

  it('is what amqplib writes for more routes than are remembered', async () => {
    const ours = new MemoryChannel();
    const theirs = new MemoryChannel();
    const publisher = publisherOn(ours);
    for (let i = 0; i < 1200; i++) {
      const one = encoded({ exchange: 'x', routingKey: String(i % 400), messageId: 'm', body: 'x' });
      byAmqplib(theirs, one);
      expect(publisher.publish(one, i + 1, undefined)).toBe(true);
    }
    expect((await ours.written()).equals(await theirs.written())).toBe(true);
  });

  it('stays in order among what amqplib publishes on the same channel', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(message, fc.boolean()), { minLength: 2, maxLength: 12 }), async (steps) => {
        const ours = new MemoryChannel();
        const theirs = new MemoryChannel();
        const publisher = publisherOn(ours);
        for (const [i, [given, own]] of steps.entries()) {
          const one = encoded(given);
          byAmqplib(theirs, one);
          let written = false;
          try {
            written = own && publisher.publish(one, i + 1, expirationOf(one));
          } catch {
            // Left to amqplib, like those of the other half.
          }
          if (!written) {
            publisher.flush();
            byAmqplib(ours, one);
          }
        }
        expect((await ours.written()).equals(await theirs.written())).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});
