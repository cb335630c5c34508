import type { ChannelDelivery } from '../../../../lib/consumer/channel-delivery';
import { DeliveryLimit } from '../../../../lib/consumer/delivery-limit';
import { StreamChannel } from '../../../../lib/consumer/stream/stream-channel';
import { StreamReader } from '../../../../lib/consumer/stream/stream-reader';
import { Counters } from '../../../../lib/counters';
import { loggerFrom } from '../../../../lib/log';
import { AskedChannel, inbound } from '../../../support/inbound-channel';
import { inVirtualTime, later } from '../../../support/virtual-time';

inVirtualTime(0);

const read = () => new StreamReader({ queueName: 'log', offset: 'first', arguments: {} }, loggerFrom('silent', {}));

/** An attachment to a stream. What it hands out has the offset as its body. */
function attached(reader = read(), prefetch = 2, onHandOut: (offset: number) => void = () => undefined) {
  const asked = new AskedChannel();
  const counters = new Counters();
  const handed: ChannelDelivery<number>[] = [];
  const channel = new StreamChannel(
    {
      channel: asked.channel,
      queue: 'log',
      tag: 'me',
      epoch: 1,
      prefetch,
      counters,
      log: loggerFrom('silent', {}),
      lost: () => undefined,
      limit: new DeliveryLimit({ warnOnce: () => undefined }, 'log', undefined, undefined),
    },
    reader,
    (attachment, raw, place) => {
      handed.push(attachment.deliver(raw, place.offset, place));
      onHandOut(place.offset);
    },
  );
  let tags = 0;
  /** Messages with these offsets arrive. */
  const take = (...offsets: readonly number[]): void => {
    for (const offset of offsets) channel.take(inbound(++tags, { headers: { 'x-stream-offset': offset } }));
  };
  /** What was handed out: the offset, and how often before. */
  const seen = (): readonly (readonly [number, number])[] =>
    handed.map(({ body, deliveryCount }) => [body, deliveryCount] as const);
  const frames = async (): Promise<readonly string[]> => {
    await later(10);
    return asked.frames.splice(0);
  };
  return { channel, asked, counters, handed, take, seen, frames, reader };
}

describe('a stream that is read', () => {
  it('hands out as many as the prefetch, however many the broker sends, and the next for each that is settled', async () => {
    const { handed, take, seen, frames, channel } = attached();
    take(0, 1, 2, 3);
    expect([seen(), channel.unsettled]).toEqual([
      [
        [0, 0],
        [1, 0],
      ],
      2,
    ]);
    handed[0]!.ack();
    expect(seen()).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
    ]);
    expect(await frames()).toEqual(['ack to 1']);
  });

  it('waits for the first open one: what is settled above it neither lets more come nor is acked', async () => {
    const { handed, take, seen, frames } = attached();
    take(0, 1, 2, 3);
    handed[1]!.ack();
    expect([seen().length, await frames()]).toEqual([2, []]);
    handed[0]!.ack();
    expect([seen().length, await frames()]).toEqual([4, ['ack to 2']]);
  });

  it('passes over what is rejected, as if it were acked', async () => {
    const { handed, take, seen, frames, counters, reader } = attached();
    take(0, 1, 2);
    handed[0]!.reject();
    expect([seen().length, await frames(), reader.place.position]).toEqual([3, ['ack to 1'], 0]);
    expect(counters).toMatchObject({ rejected: 1, acked: 0 });
  });

  it.each([
    ['requeue', 1],
    ['release', 0],
  ] as const)('hands out again what gets a %s, as tried %i times, and not in the same turn', async (how, tried) => {
    const { handed, take, seen, frames } = attached();
    take(0, 1);
    handed[0]![how]();
    expect(seen()).toHaveLength(2);
    expect(await frames()).toEqual([]);
    expect(seen()).toEqual([
      [0, 0],
      [1, 0],
      [0, tried],
    ]);
    handed[2]!.ack();
    expect(await frames()).toEqual(['ack to 1']);
  });

  it('may be settled while it hands out', () => {
    const acking: { readonly at: () => void } = { at: () => handed.at(-1)!.ack() };
    const { handed, take, seen, reader } = attached(read(), 1, () => {
      acking.at();
    });
    take(0, 1, 2, 3);
    expect(seen().map(([offset]) => offset)).toEqual([0, 1, 2, 3]);
    expect(reader.place.position).toBe(3);
  });

  it('hands out nothing more when it drains or has ended, and takes nothing', async () => {
    for (const stop of ['drain', 'end'] as const) {
      const { channel, handed, take, seen } = attached();
      take(0, 1, 2);
      handed[1]!.requeue();
      channel[stop]();
      take(3);
      handed[0]!.ack();
      await later(10);
      expect(seen()).toEqual([
        [0, 0],
        [1, 0],
      ]);
    }
  });

  it('that drains keeps what is given back: the next attachment gets it', async () => {
    const { channel, handed, take, frames, seen, reader } = attached();
    take(0, 1);
    channel.drain();
    expect([handed[0]!.requeue(), handed[1]!.release()]).toEqual([true, true]);
    expect([await frames(), seen().length]).toEqual([[], 2]);
    const next = attached(reader);
    next.take(0, 1);
    expect(next.seen()).toEqual([
      [0, 1],
      [1, 0],
    ]);
  });

  it('stops handing out when a subscriber ends it', () => {
    const stopping: { at: (offset: number) => void } = { at: () => undefined };
    const { channel, handed, take, seen } = attached(read(), 2, (offset) => {
      stopping.at(offset);
    });
    take(0, 1, 2, 3);
    stopping.at = () => {
      channel.end();
    };
    handed[1]!.ack();
    handed[0]!.ack();
    expect(seen().map(([offset]) => offset)).toEqual([0, 1, 2]);
  });
});

describe('a stream that is read again after a loss', () => {
  it('hands out again what was open, and acks what was settled out of order, without handing it out', async () => {
    const first = attached(read(), 3);
    first.take(0, 1, 2);
    first.handed[1]!.ack();
    first.channel.end();
    const { take, seen, frames, handed } = attached(first.reader, 3);
    expect(first.reader.place.resumeAt).toBe(0);
    take(0, 1, 2, 3);
    expect(seen()).toEqual([
      [0, 1],
      [2, 1],
    ]);
    expect(await frames()).toEqual([]);
    handed[0]!.ack();
    expect(seen()).toEqual([
      [0, 1],
      [2, 1],
      [3, 0],
    ]);
    expect(await frames()).toEqual(['ack to 2']);
  });

  it('hands out what it had before, though the window is full of it', () => {
    const first = attached(read(), 2);
    first.take(0, 1);
    first.channel.end();
    const { take, seen } = attached(first.reader, 2);
    take(0, 1, 2);
    expect(seen()).toEqual([
      [0, 1],
      [1, 1],
    ]);
  });

  it('is not moved by a settlement of an attachment that has ended', () => {
    const first = attached(read(), 2);
    first.take(0);
    first.channel.end();
    expect(first.handed[0]!.ack()).toBe(false);
    expect(first.reader.place.position).toBeUndefined();
  });
});
