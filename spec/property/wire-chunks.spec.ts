import fc from 'fast-check';
import { auto } from '../../lib/codec';
import { encode, type Encoded } from '../../lib/producer/outbound';
import { Publisher } from '../../lib/wire/publisher';
import { MemoryChannel } from '../support/amqplib-channel';

type Step =
  | { readonly do: 'send'; readonly own: boolean; readonly size: number }
  | { readonly do: 'turn' }
  /** Of what has come to the socket and is not confirmed, such a share. */
  | { readonly do: 'confirm'; readonly share: number };

const SIZES = [0, 300, 9000, 16_384, 33_000, 140_000, 270_000];
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      own: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
      size: fc.constantFrom(...SIZES),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'turn' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('confirm' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
);

const messageOf = (number: number, size: number): Encoded =>
  encode({ queue: 'q', messageId: String(number), body: Buffer.alloc(size, `${String(number)};`) }, auto, {
    persistent: true,
    mandatory: true,
  });

const byAmqplib = ({ channel }: MemoryChannel, { exchange, routingKey, content, options }: Encoded): void => {
  channel.publish(exchange, routingKey, content, options);
};

function publisherOn(memory: MemoryChannel): Publisher {
  const publisher = Publisher.on(memory.channel, () => undefined);
  if (!publisher) throw new Error('This amqplib is not as it is known.');
  return publisher;
}

describe('what messages are written into', () => {
  it('is left as it is until the broker has confirmed them, however late the socket looks at it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
        const ours = new MemoryChannel(undefined, { lazy: true });
        const theirs = new MemoryChannel();
        const publisher = publisherOn(ours);
        /** Where the messages end, in bytes. */
        const ends: number[] = [];
        let confirmed = 0;
        for (const one of steps) {
          switch (one.do) {
            case 'send': {
              const number = ends.length + 1;
              const message = messageOf(number, one.size);
              byAmqplib(theirs, message);
              ends.push((await theirs.written()).length);
              if (one.own) publisher.publish(message, number, undefined, message.propertiesFrame);
              else {
                publisher.flush();
                byAmqplib(ours, message);
              }
              break;
            }
            case 'turn':
              await ours.written();
              break;
            case 'confirm': {
              const { bytes } = ours;
              const arrived = ends.filter((end) => end <= bytes).length;
              confirmed += Math.floor((arrived - confirmed) * one.share);
              ours.take(ends[confirmed - 1] ?? 0);
              if (confirmed > 0) publisher.confirmed(confirmed);
            }
          }
        }
        expect((await ours.written()).equals(await theirs.written())).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('is used again once they are: no memory is taken anew for what follows', async () => {
    const memory = new MemoryChannel(undefined, { lazy: true });
    const publisher = publisherOn(memory);
    const send = async (number: number): Promise<void> => {
      const message = messageOf(number, 100_000);
      publisher.publish(message, number, undefined, message.propertiesFrame);
      await memory.written();
    };
    // Eight are under way at any time: two chunks of five each, and the one that is being filled.
    const underWay = 8;
    for (let number = 1; number <= 200; number++) {
      await send(number);
      memory.take(memory.bytes);
      if (number > underWay) publisher.confirmed(number - underWay);
    }
    expect(memory.memories).toBeLessThanOrEqual(5);
  });
});
