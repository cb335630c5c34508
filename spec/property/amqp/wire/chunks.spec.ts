import fc from 'fast-check';
import { OpenChannel } from '../../../../lib/amqp/channel';
import { Link } from '../../../../lib/amqp/amqp-link';
import { auto } from '../../../../lib/codec';
import { Entry } from '../../../../lib/producer/pending-send';
import { encode, type Encoded } from '../../../../lib/producer/outbound-message';
import { Session } from '../../../../lib/producer/publishing-channel';
import { write } from '../../../../lib/amqp/outbound-channel';
import { MemoryChannel } from '../../../support/amqplib-channel';

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
/** `remaining` is over before it can be sent. */
const OVER = { expiration: 0 };

function messageOf(number: number, { how, size }: Given): Encoded {
  const more = { own: {}, amqplib: EXOTIC, unfit: OVER }[how];
  const body = Buffer.alloc(size, `${String(number)};`);
  return encode({ queue: 'q', messageId: String(number), body, ...more }, auto, { persistent: true, mandatory: true });
}

/** A session whose socket looks at what it was given as late as it may. */
class LazySession {
  readonly memory = new MemoryChannel(undefined, { lazy: true });
  readonly #session: Session;
  readonly #expected = new MemoryChannel();
  /** Where the messages end, in bytes: of each that was written. */
  readonly #ends: number[] = [];
  #confirmed = 0;
  #number = 0;

  constructor() {
    const link = new Link(this.memory.model, 'memory', () => undefined, { wire: true });
    this.#session = new Session(new OpenChannel(link, this.memory.channel), 1);
  }

  /** As amqplib would write it. */
  async #expect({ exchange, routingKey, content, options }: Encoded): Promise<void> {
    this.#expected.channel.publish(exchange, routingKey, content, options);
    this.#ends.push((await this.#expected.written()).length);
  }

  /** All of them in one turn. */
  async send(...messages: readonly Given[]): Promise<void> {
    const ignore = (): void => undefined;
    const sent: Encoded[] = [];
    for (const given of messages) {
      const message = messageOf(this.#number, given);
      const entry = new Entry(this.#number++, message, ignore, ignore);
      if (write(this.#session, entry) !== 'written') continue;
      this.#session.inFlight.add(entry);
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
    this.#session.inFlight.confirm(number, true, () => undefined);
  }

  async asExpected(): Promise<boolean> {
    return (await this.memory.written()).equals(await this.#expected.written());
  }
}

describe('what messages are written into', () => {
  it('is left as it is until the broker has confirmed them, however late the socket looks at it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 12 }), async (turns) => {
        const session = new LazySession();
        for (const steps of turns) {
          await session.send(...steps.filter((one) => one.do === 'send'));
          for (const one of steps) {
            if (one.do === 'turn') await session.memory.written();
            else if (one.do !== 'send') session.confirm(one.do, one.share);
          }
        }
        expect(await session.asExpected()).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('is left also of what is more than is kept', async () => {
    const session = new LazySession();
    await session.flow(150, 270_000, 70);
    expect(await session.asExpected()).toBe(true);
  });

  it('is used again: for what is under way, memory is taken once', async () => {
    const session = new LazySession();
    // Two chunks of five each, the one that is being filled, and the first, which was small.
    await session.flow(200, 100_000, 8);
    expect(session.memory.memories).toBeLessThanOrEqual(5);
  });

  it('is let go of when less is under way than was, though never nothing', async () => {
    const session = new LazySession();
    await session.flow(80, 270_000, 80);
    const before = session.memory.memories;
    await session.flow(320, 9000, 1);
    // In large chunks all the same, of which there are enough.
    expect(session.memory.memories).toBe(before);
    await session.flow(80, 270_000, 480);
    expect(session.memory.memories).toBeGreaterThanOrEqual(before + 35);
  });

  it('is what it was when no more is to be had for a while: nothing is lost, and nothing in use is given away', async () => {
    const session = new LazySession();
    await session.flow(6, 100_000, 100);
    const none = jest.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation(() => {
      throw new RangeError('Array buffer allocation failed');
    });
    // What finds no room goes by amqplib; what does still find some lies behind it.
    await session.flow(12, 100_000, 100);
    await session.flow(4, 300, 100);
    expect(none).toHaveBeenCalled();
    none.mockRestore();
    await session.flow(60, 100_000, 5);
    expect(await session.asExpected()).toBe(true);
  });
});
