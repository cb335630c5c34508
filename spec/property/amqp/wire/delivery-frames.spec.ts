import fc from 'fast-check';
import { AmqplibMessage } from '../../../../lib/amqp/amqplib-message';
import type { InboundMessage } from '../../../../lib/transport/transport';
import { seenOf } from '../../../support/inbound-message';
import { encodeContent, encodeMethod } from '../../../support/frames/methods';
import { Arrival } from '../../../../lib/amqp/wire/delivery-frames';
import { Receiver } from '../../../../lib/amqp/wire/receiver';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';

const CHANNEL = 1;
const TAG = 'instance-queue-tag';

const shortString = fc.string({ unit: 'grapheme', maxLength: 20 });
const headerValue = fc.oneof(fc.string({ maxLength: 10 }), fc.integer(), fc.boolean(), fc.constant(null));
const properties = fc.record(
  {
    contentType: fc.oneof(fc.constant('application/json'), shortString),
    contentEncoding: shortString,
    headers: fc.oneof(
      fc.constant({}),
      fc.dictionary(
        shortString.filter((name) => name !== '__proto__' && name !== '!'),
        headerValue,
        { maxKeys: 4 },
      ),
      // More than is parsed here.
      fc.nat(600).map((size) => ({ large: 'x'.repeat(400 + size) })),
    ),
    deliveryMode: fc.constantFrom(1, 2),
    priority: fc.nat(255),
    correlationId: shortString,
    replyTo: shortString,
    expiration: fc.nat().map(String),
    messageId: shortString,
    timestamp: fc.nat(),
    type: shortString,
    userId: shortString,
    appId: shortString,
    clusterId: shortString,
  },
  { requiredKeys: [] },
);

interface Step {
  readonly bytes: Buffer;
}
const message: fc.Arbitrary<Step> = fc
  .record({
    deliveryTag: fc.oneof(fc.nat(), fc.constant(2 ** 40)),
    redelivered: fc.boolean(),
    exchange: fc.oneof(fc.constant(''), shortString),
    routingKey: fc.oneof(fc.constant('queue'), shortString),
    properties,
    size: fc.constantFrom(0, 1, 200, 4088, 4089, 9000),
  })
  .map(({ properties: told, size, ...fields }) => ({
    bytes: Buffer.concat([
      encodeMethod('basic.deliver', CHANNEL, { ...fields, consumerTag: TAG }),
      encodeContent(CHANNEL, told, Buffer.alloc(size, 'body'), 4096),
    ]),
  }));
/** What else may come between messages. */
const other: fc.Arbitrary<Step> = fc
  .nat(1000)
  .map((deliveryTag) => ({ bytes: encodeMethod('basic.ack', CHANNEL, { deliveryTag, multiple: false }) }));

/** What an application saw, in order. */
function watching(memory: MemoryChannel, seen: unknown[]): (message: InboundMessage) => void {
  const onMessage = (message: InboundMessage): void => {
    seen.push(seenOf(message));
  };
  memory.channel.registerConsumer(TAG, (message) => {
    onMessage(new AmqplibMessage(message));
  });
  memory.channel.removeAllListeners('ack');
  memory.channel.on('ack', (fields: object) => seen.push(fields));
  return onMessage;
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => Math.floor(place * bytes.length)))].sort((a, b) => a - b);
  return [...ends, bytes.length]
    .map((end, i, all) => bytes.subarray(all[i - 1] ?? 0, end))
    .filter(({ length }) => length > 0);
}

describe('what is received past amqplib', () => {
  it('is what amqplib makes of the same bytes, in the same order, however they are cut', async () => {
    let parsed = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 5, arbitrary: message }, { weight: 1, arbitrary: other }), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
        async (steps, places) => {
          const pieces = cut(Buffer.concat(steps.map(({ bytes }) => bytes)), places);
          const [theirs, ours] = [new MemoryChannel(), new MemoryChannel()];
          const [expected, seen]: [unknown[], unknown[]] = [[], []];
          watching(theirs, expected);
          const onMessage = watching(ours, seen);
          const receiver = Receiver.on(ours.model);
          receiver?.register(ours.channel, TAG, (one) => {
            if (one instanceof Arrival) parsed++;
            onMessage(one);
          });
          await theirs.receive(pieces);
          await ours.receive(pieces);
          expect(expected).toHaveLength(steps.length);
          expect(seen).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
    expect(parsed).toBeGreaterThan(100);
  });

  it('is the same as what amqplib makes of bytes that were damaged', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        fc.nat(255),
        async (steps, place, octet) => {
          const bytes = Buffer.concat(steps.map((step) => step.bytes));
          bytes[Math.floor(place * bytes.length)] = octet;
          const outcomes: unknown[] = [];
          for (const own of [false, true]) {
            const memory = new MemoryChannel();
            const seen: unknown[] = [];
            const onMessage = ({ deliveryTag, redelivered, exchange, routingKey, content }: InboundMessage): void => {
              seen.push([deliveryTag, redelivered, exchange, routingKey, content.toString('latin1')]);
            };
            memory.channel.registerConsumer(TAG, (one) => {
              onMessage(new AmqplibMessage(one));
            });
            memory.channel.on('error', () => undefined);
            memory.connection.on('frameError', () => seen.push('frame error'));
            memory.connection.on('error', () => undefined);
            if (own) Receiver.on(memory.model)?.register(memory.channel, TAG, onMessage);
            await memory.receive([bytes]);
            outcomes.push(seen);
          }
          // Damage inside a header frame amqplib notices at once, and here only who reads the properties.
          const [theirs, ours] = outcomes as [unknown[], unknown[]];
          const beforeDamage = theirs.filter((one) => one !== 'frame error');
          expect(ours.slice(0, beforeDamage.length)).toEqual(beforeDamage);
        },
      ),
      { numRuns: 150 },
    );
  });
});
