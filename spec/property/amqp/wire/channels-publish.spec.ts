import { publishOptions } from '../../../../lib/amqp/amqp-properties';
import fc from 'fast-check';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FrameDecoder, type Frame } from '../../../support/frames/frames';
import { auto } from '../../../../lib/codec';
import { encode, type Encoded } from '../../../../lib/producer/encoded-message';
import { Publisher } from '../../../../lib/amqp/wire/publisher';
import { MemoryChannel } from '../../../support/amqplib/memory-channel';

const FRAME_MAX = 4096;
const CHANNELS = 3;

type Step =
  | { readonly do: 'send'; readonly on: number; readonly own: boolean; readonly size: number; readonly said: boolean }
  | { readonly do: 'turn' }
  | { readonly do: 'close'; readonly on: number };

const on = fc.nat(CHANNELS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      on,
      own: fc.boolean(),
      size: fc.constantFrom(0, 1, 300, FRAME_MAX - 8, FRAME_MAX - 7, 20_000, 70_000),
      said: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'turn' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('close' as const), on }) },
);

const messageOf = (number: number, size: number, said: boolean): Encoded =>
  encode(
    {
      queue: 'q',
      messageId: String(number),
      body: Buffer.alloc(size, `${String(number)};`),
      ...(said && { correlationId: 'c' }),
    },
    auto,
    { persistent: true, mandatory: true },
  );

/** The frames of one channel as what they stand for; throws over frames that do not make whole messages. */
function saidOn(frames: readonly Frame[]): string[] {
  const said: string[] = [];
  let due: { left: number; body: Buffer[] } | undefined;
  const end = (): void => {
    if (due?.left === 0) {
      said.push(Buffer.concat(due.body).toString());
      due = undefined;
    }
  };
  let announced = false;
  for (const { name, type, payload } of frames) {
    if (name === 'basic.publish' && !due && !announced) announced = true;
    else if (type === 'header' && announced) {
      announced = false;
      due = { left: payload.readUInt32BE(8), body: [] };
    } else if (type === 'body' && due && payload.length <= due.left) {
      due.left -= payload.length;
      due.body.push(payload);
    } else if (name === 'channel.close' && !due && !announced) said.push('closed');
    else throw new Error(`A ${name} where none may be.`);
    end();
  }
  if (due || announced) throw new Error('The last message is not whole.');
  return said;
}

describe('what several channels of one connection publish in turns', () => {
  it('is whole and in order on each, ours and amqplib’s among each other, and nothing comes behind a close', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), fc.boolean(), async (steps, slow) => {
        const memory = new MemoryChannel(FRAME_MAX, { slow });
        const channels = Array.from({ length: CHANNELS }, (_, i) => (i === 0 ? memory.channel : memory.open()));
        const publishers = channels.map((channel) => Publisher.on(channel, () => undefined));
        /** By channel: what was accepted, how much of that is surely written, whether it is closing. */
        const expected = channels.map(() => ({ sent: [] as string[], sure: 0, closed: false }));
        for (const [number, one] of steps.entries()) {
          if (one.do === 'turn') {
            await nextTurn();
            for (const line of expected) if (!line.closed) line.sure = line.sent.length;
            continue;
          }
          const [channel, publisher, line] = [channels[one.on], publishers[one.on], expected[one.on]];
          if (!channel || !publisher || !line) throw new Error('No such channel.');
          if (one.do === 'close') {
            if (!line.closed) channel.close().catch(() => undefined);
            line.closed = true;
            continue;
          }
          const message = messageOf(number, one.size, one.said);
          const body = message.content.toString();
          if (one.own) {
            const written = publisher.publish(message, line.sent.length + 1, undefined);
            if (line.closed) continue;
            expect(written).toBe(true);
            line.sent.push(body);
          } else if (!line.closed) {
            publisher.flush();
            channel.publish(message.exchange, message.routingKey, message.content, publishOptions(message));
            line.sent.push(body);
            line.sure = line.sent.length;
          }
        }
        const frames = new FrameDecoder('broker').push(await memory.written());
        for (const [i, { sent, sure, closed }] of expected.entries()) {
          const number: unknown = Reflect.get(channels[i] ?? {}, 'ch');
          const said = saidOn(frames.filter((frame) => frame.channel === number));
          // Of what had collected in the turn of the close as much as was written in front of it.
          const lost = closed ? Math.min(sent.length - sure, sent.length + 1 - said.length) : 0;
          const left = [...sent.slice(0, sent.length - lost), ...(closed ? ['closed'] : [])];
          expect(said.map(short)).toEqual(left.map(short));
        }
      }),
      { numRuns: 150, examples: [[BEGUN, false]] },
    );
  });
});

/** A message that takes more room than gathers, and a close behind it in the same turn. */
const BEGUN: Step[] = [
  { do: 'send', on: 1, own: true, size: 70_000, said: false },
  { do: 'close', on: 1 },
];

/** Told apart by number and length: a mismatch can be read. */
const short = (body: string): string => `${body.slice(0, 8)} (${String(body.length)})`;
