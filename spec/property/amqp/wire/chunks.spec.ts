import fc from 'fast-check';
import { AmqpLink } from '../../../../lib/amqp/amqp-link';
import { publishOptions } from '../../../../lib/amqp/amqp-properties';
import { AmqpOutboundChannel } from '../../../../lib/amqp/outbound-channel';
import { auto } from '../../../../lib/codec';
import { encode } from '../../../../lib/producer/encoded-message';
import type { WireMessage } from '../../../../lib/transport/transport';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';

/** Of a message that is not `own`, amqplib writes the frames; an `unfit` one is not written at all. */
interface Given {
  readonly how: 'own' | 'amqplib' | 'unfit';
  readonly size: number;
}
type Step =
  | ({ readonly do: 'send' } & Given)
  | { readonly do: 'turn' }
  /** Of what has come to the socket and is not confirmed, so many hundredths. */
  | { readonly do: 'ack' | 'nack'; readonly share: number };

const SIZES = [0, 300, 9000, 16_384, 33_000, 140_000, 270_000];
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      how: fc.constantFrom('own', 'own', 'own', 'own', 'own', 'own', 'amqplib', 'unfit'),
      size: fc.constantFrom(...SIZES),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'turn' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('ack', 'ack', 'nack'), share: fc.integer({ max: 100, min: 0 }) }),
  },
);

/** What our own encoder leaves to amqplib. */
const EXOTIC = { headers: { when: { '!': 'decimal', value: { places: 1, digits: 2 } } } };
/** What neither encoder can write. */
const UNFIT = { headers: { work: (): void => undefined } };

function messageOf(number: number, { how, size }: Given): WireMessage {
  const body = Buffer.alloc(size, `${String(number)};`);
  const given = { queue: 'q', messageId: String(number), body, ...(how === 'amqplib' && EXOTIC) };
  const message = encode(given, auto, { persistent: true, mandatory: true });
  if (how !== 'unfit') return message;
  const { exchange, routingKey, mandatory, persistent, messageId, contentType, content, propertiesFrame } = message;
  return {
    exchange,
    routingKey,
    mandatory,
    persistent,
    messageId,
    contentType,
    content,
    propertiesFrame,
    properties: UNFIT,
  };
}

/** A channel whose socket looks at what it was given as late as it may. */
class LazyChannel {
  readonly memory = new MemoryChannel(undefined, { lazy: true });
  readonly #channel: AmqpOutboundChannel;
  readonly #expected = new MemoryChannel();
  /** Where the messages end, in bytes: of each that was written. */
  readonly #ends: number[] = [];
  #confirmed = 0;
  #number = 0;

  constructor() {
    const link = new AmqpLink(this.memory.model, 'memory', { heartbeat: 0, wire: true, destroy: () => undefined });
    this.#channel = new AmqpOutboundChannel(link, this.memory.channel);
  }

  /** As amqplib would write it. */
  async #expect(message: WireMessage): Promise<void> {
    const { exchange, routingKey, content } = message;
    this.#expected.channel.publish(exchange, routingKey, content, publishOptions(message));
    await this.#expected.settled();
    this.#ends.push(this.#expected.bytes);
  }

  /** All of them in one turn. */
  async send(...messages: readonly Given[]): Promise<void> {
    const sent: WireMessage[] = [];
    for (const given of messages) {
      const message = messageOf(this.#number++, given);
      if (given.how === 'unfit') {
        expect(() => this.#channel.publish(message, undefined)).toThrow();
        continue;
      }
      expect(this.#channel.publish(message, undefined)).toBe(true);
      sent.push(message);
    }
    for (const message of sent) await this.#expect(message);
  }

  /** So many more of one size, a turn each, of which `underWay` are not confirmed at any time. */
  async flow(count: number, size: number, underWay: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.send({ how: 'own', size });
      this.confirmUpTo(this.#ends.length - underWay);
    }
  }

  /** What has come to the socket by now can be confirmed: it is taken then, but for the very last octet. */
  confirm(how: 'ack' | 'nack', share: number): void {
    const { bytes } = this.memory;
    const arrived = this.#ends.filter((end) => end <= bytes).length;
    this.confirmUpTo(this.#confirmed + Math.floor(((arrived - this.#confirmed) * share) / 100), how);
  }

  confirmUpTo(number: number, how: 'ack' | 'nack' = 'ack'): void {
    const end = this.#ends[number - 1];
    if (end === undefined || number <= this.#confirmed) return;
    this.#confirmed = number;
    this.memory.take(end - 1);
    this.memory.channel.emit(how, { deliveryTag: number, multiple: true });
  }

  async asExpected(): Promise<boolean> {
    return (await this.memory.written()).equals(await this.#expected.written());
  }
}

describe('what messages are written into', () => {
  it('is left as it is until the broker has confirmed them, however late the socket looks at it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 12 }), async (turns) => {
        const channel = new LazyChannel();
        for (const steps of turns) {
          await channel.send(...steps.filter((one) => one.do === 'send'));
          for (const one of steps) {
            if (one.do === 'turn') await channel.memory.written();
            else if (one.do !== 'send') channel.confirm(one.do, one.share);
          }
        }
        expect(await channel.asExpected()).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('is left also of what is more than is kept', async () => {
    const channel = new LazyChannel();
    await channel.flow(150, 270_000, 70);
    expect(await channel.asExpected()).toBe(true);
  });

  it('is used again: for what is under way, memory is taken once', async () => {
    const channel = new LazyChannel();
    // Two chunks of five each, the one that is being filled, and the first, which was small.
    await channel.flow(200, 100_000, 8);
    expect(channel.memory.memories).toBeLessThanOrEqual(5);
  });

  it('is let go of when less is under way than was, though never nothing', async () => {
    const channel = new LazyChannel();
    await channel.flow(80, 270_000, 80);
    const before = channel.memory.memories;
    await channel.flow(320, 9000, 1);
    // In large chunks all the same, of which there are enough.
    expect(channel.memory.memories).toBe(before);
    await channel.flow(80, 270_000, 480);
    expect(channel.memory.memories).toBeGreaterThanOrEqual(before + 35);
  });

  it('is what it was when no more is to be had for a while: nothing is lost, and nothing in use is given away', async () => {
    const channel = new LazyChannel();
    await channel.flow(6, 100_000, 100);
    const none = jest.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation(() => {
      throw new RangeError('Array buffer allocation failed');
    });
    // What finds no room goes by amqplib; what does still find some lies behind it.
    await channel.flow(12, 100_000, 100);
    await channel.flow(4, 300, 100);
    expect(none).toHaveBeenCalled();
    none.mockRestore();
    await channel.flow(60, 100_000, 5);
    expect(await channel.asExpected()).toBe(true);
  });
});
