import { ChannelError, type Delivery, type LogEntry } from 'instance-queue';
import { ChannelDelivery } from '../../../lib/consumer/channel-delivery';
import { ConsumerChannel, type ConsumerChannelOptions } from '../../../lib/consumer/consumer-channel';
import { DeliveryLimit } from '../../../lib/consumer/delivery-limit';
import { Counters } from '../../../lib/counters';
import { loggerFrom } from '../../../lib/log';
import { AskedChannel, inbound } from '../../support/inbound-channel';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime(0);

function given(options: Partial<ConsumerChannelOptions> = {}) {
  const asked = new AskedChannel();
  const counters = new Counters();
  const lines: LogEntry[] = [];
  const lost: unknown[] = [];
  const warnOnce = jest.fn();
  const channel = new ConsumerChannel({
    channel: asked.channel,
    queue: 'orders',
    tag: 'me',
    epoch: 3,
    prefetch: 4,
    counters,
    log: loggerFrom((line) => lines.push(line), {}),
    lost: ({ body }) => lost.push(body),
    limit: new DeliveryLimit({ warnOnce }, 'orders', undefined, 20),
    ...options,
  });
  /** Deliveries with these tags, whose bodies are their tags. */
  const deliver = (...tags: readonly number[]): Delivery<number>[] =>
    tags.map((tag) => channel.deliver(inbound(tag), tag));
  const frames = async (): Promise<readonly string[]> => {
    await later(30);
    return asked.frames.splice(0);
  };
  return { channel, asked, counters, lines, lost, warnOnce, deliver, frames };
}

describe('the channel of a consumer', () => {
  it('sends each refusal at once, in a frame of its own, and counts it', async () => {
    const { deliver, asked, counters, frames } = given();
    const [a, b, c, d] = deliver(1, 2, 3, 4);
    expect(counters).toMatchObject({ delivered: 4, inFlight: 4, redelivered: 0 });
    expect([a!.requeue(), b!.release(), c!.reject()]).toEqual([true, true, true]);
    expect(asked.frames).toEqual(['requeue 1', 'release 2', 'reject 3']);
    expect(d!.ack()).toBe(true);
    expect(await frames()).toEqual(['requeue 1', 'release 2', 'reject 3', 'ack to 4']);
    expect(counters).toMatchObject({ inFlight: 0, acked: 1, requeued: 1, released: 1, rejected: 1, lost: 0 });
  });

  it('acks what is above an open delivery singly, and all below it together', async () => {
    const { deliver, frames } = given();
    const [a, b, c, d] = deliver(1, 2, 3, 4);
    for (const delivery of [a!, b!, d!]) delivery.ack();
    expect(await frames()).toEqual(['ack to 2', 'ack 4']);
    c!.ack();
    expect(await frames()).toEqual(['ack to 3']);
  });

  it('counts what the broker delivers again', () => {
    const { channel, counters } = given();
    channel.deliver(inbound(1, { redelivered: true }), 1);
    channel.deliver(inbound(2), 2);
    expect(counters).toMatchObject({ delivered: 2, redelivered: 1 });
  });

  it('says how much of it is open, and that something moved', () => {
    const { channel, deliver } = given();
    expect(channel.backlog).toEqual({ unsettled: 0, prefetch: 4, latest: 0 });
    const [first] = deliver(1, 2);
    expect([channel.unsettled, channel.backlog]).toEqual([2, { unsettled: 2, prefetch: 4, latest: 2 }]);
    first!.ack();
    expect(channel.backlog).toEqual({ unsettled: 1, prefetch: 4, latest: 2 });
  });

  it('is overdrawn with twice its prefetch, and says which queue the broker sends too much from', () => {
    const { channel, deliver } = given();
    const [first] = deliver(1, 2, 3, 4, 5, 6, 7);
    expect(channel.overdrawn).toBeUndefined();
    deliver(8);
    expect(channel.overdrawn).toBeInstanceOf(ChannelError);
    expect(channel.overdrawn?.message).toBe(
      'The broker ignores the prefetch of 4: 8 messages of queue `orders` are unsettled.',
    );
    first!.ack();
    expect(channel.overdrawn).toBeUndefined();
  });

  it('settles nothing twice: the second time is told from the first in the log', () => {
    const { deliver, asked, lines } = given();
    const [delivery] = deliver(1);
    delivery!.reject();
    expect(delivery!.requeue()).toBe(false);
    expect(asked.frames).toEqual(['reject 1']);
    expect(lines).toEqual([
      {
        level: 'debug',
        message: 'settled too late or twice: ignored',
        fields: { queue: 'orders', tag: 'me', epoch: 3, settled: 'reject', how: 'requeue' },
      },
    ]);
  });

  it('that is closing takes a settlement without an answer, which the log tells', () => {
    const { deliver, asked, lines } = given();
    asked.closing = true;
    const [delivery] = deliver(1);
    expect(delivery!.reject()).toBe(true);
    expect(lines).toMatchObject([{ level: 'debug', message: 'settled on a closing channel' }]);
    expect(lines[0]!.fields).toEqual({ queue: 'orders', tag: 'me' });
  });

  it('that has ended at the broker settles nothing, though nobody has said so yet', async () => {
    const { channel, deliver, asked, counters, frames } = given();
    const [delivery] = deliver(1);
    asked.ended = true;
    expect([delivery!.ack(), delivery!.settled]).toEqual([false, 'lost']);
    expect([await frames(), counters.acked, channel.unsettled]).toEqual([[], 0, 1]);
  });

  it('warns of a requeue that counts towards the delivery limit, of a delivery and of what was not handed out', () => {
    const { channel, warnOnce } = given();
    const counted = { headers: { 'x-delivery-count': 1 } };
    for (const how of ['release', 'reject', 'ack'] as const) channel.deliver(inbound(1, counted), 1)[how]();
    channel.refuse(inbound(2, counted), 'reject');
    channel.refuse(inbound(2, counted), 'release');
    expect(warnOnce).not.toHaveBeenCalled();
    channel.deliver(inbound(3, counted), 3).requeue();
    channel.refuse(inbound(4, counted), 'requeue');
    expect(warnOnce).toHaveBeenCalledTimes(2);
  });

  it('refuses a message without handing it out, unless it has ended', () => {
    const { channel, asked, counters } = given();
    for (const how of ['requeue', 'release', 'reject'] as const) channel.refuse(inbound(1), how);
    expect(asked.frames).toEqual(['requeue 1', 'release 1', 'reject 1']);
    expect(counters).toEqual(new Counters());
    channel.end();
    channel.refuse(inbound(2), 'reject');
    expect(asked.frames).toHaveLength(3);
  });

  it('tells its watchers of its draining, of each settlement from then on, and of its end, and then no more', () => {
    const { channel, deliver } = given();
    const told: string[] = [];
    channel.watch(() => told.push(`${String(channel.unsettled)} open${channel.ended ? ', ended' : ''}`));
    const unwatch = channel.watch(() => told.push('never'));
    unwatch();
    const [a, b] = deliver(1, 2, 3);
    a!.ack();
    expect([channel.draining, told]).toEqual([false, []]);
    channel.drain();
    channel.drain();
    expect([channel.draining, told]).toEqual([true, ['2 open']]);
    b!.reject();
    channel.end();
    channel.end();
    channel.drain();
    expect(told).toEqual(['2 open', '1 open', '0 open, ended']);
  });

  it('sends what was acked before it ends, and loses the rest, which is told, counted and logged', () => {
    const { channel, deliver, asked, counters, lines, lost } = given();
    const [a, b, c] = deliver(1, 2, 3);
    a!.ack();
    const cause = new ChannelError('gone');
    channel.end(cause);
    expect(asked.frames).toEqual(['ack to 1']);
    expect([channel.ended, channel.cause, channel.unsettled, lost]).toEqual([true, cause, 0, [2, 3]]);
    expect(counters).toMatchObject({ acked: 1, lost: 2, inFlight: 0 });
    expect([b!.settled, c!.ack(), asked.frames]).toEqual(['lost', false, ['ack to 1']]);
    expect(lines[0]).toEqual({
      level: 'warn',
      message: 'deliveries lost: the broker delivers them again',
      fields: { queue: 'orders', tag: 'me', epoch: 3, lost: 2 },
    });
    channel.end(new ChannelError('later'));
    expect(channel.cause).toBe(cause);
  });

  it('that ends with nothing open loses nothing, and has no cause if this side ended it', () => {
    const { channel, lines, lost } = given();
    expect([channel.ended, channel.cause]).toEqual([false, undefined]);
    channel.end();
    expect([channel.ended, channel.cause, lines, lost]).toEqual([true, undefined, [], []]);
  });

  it('is cancelled by its tag, and closes behind the acks so far, with or without waiting for that', async () => {
    const [patient, hasty] = [given(), given()];
    await patient.channel.cancel();
    for (const { deliver } of [patient, hasty]) deliver(1)[0]!.ack();
    await patient.channel.close();
    expect(patient.asked.frames).toEqual(['cancel me', 'ack to 1', 'close']);
    const cause = new ChannelError('no more');
    hasty.channel.abandon(cause);
    expect(hasty.asked.frames).toEqual(['ack to 1', 'close']);
    expect([patient.channel.cause, hasty.channel.cause]).toEqual([undefined, cause]);
  });

  it('leaves no timer behind', () => {
    const { channel, deliver } = given({ prefetch: 100 });
    const [a, b] = deliver(1, 2);
    a!.ack();
    jest.runAllTicks();
    b!.ack();
    expect(jest.getTimerCount()).toBe(1);
    channel.end();
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('the channel of a partition', () => {
  const ofPartition = () => given({ partition: 0, prefetch: 100 });

  it('hands over when it drains: what is released stays at the broker until the channel closes', async () => {
    const { channel, deliver, counters, frames } = ofPartition();
    expect([channel.handsOver, given().channel.handsOver]).toEqual([true, false]);
    const [a, b, c, d] = deliver(1, 2, 3, 4);
    a!.release();
    expect(await frames()).toEqual(['release 1']);
    channel.drain();
    b!.release();
    channel.refuse(inbound(5), 'release');
    expect(await frames()).toEqual([]);
    c!.reject();
    expect(await frames()).toEqual(['reject 3']);
    // It would settle what is withheld, too, if it were sent with `multiple`.
    d!.ack();
    expect(await frames()).toEqual(['ack 4']);
    expect(counters).toMatchObject({ released: 2, acked: 1, rejected: 1, inFlight: 0 });
  });

  it('acks together what is below the first that it withholds', async () => {
    const { channel, deliver, frames } = ofPartition();
    const [a, b, c, d] = deliver(1, 2, 3, 4);
    channel.drain();
    d!.release();
    c!.release();
    a!.ack();
    b!.ack();
    expect(await frames()).toEqual(['ack to 2']);
  });

  it('gathers acks for longer than the channel of a queue', async () => {
    const acking = async ({ deliver, asked }: ReturnType<typeof given>): Promise<readonly string[]> => {
      const [a, b] = deliver(1, 2);
      a!.ack();
      await later(0);
      asked.frames.length = 0;
      b!.ack();
      await later(24);
      return asked.frames;
    };
    const partition = ofPartition();
    expect(await acking(given({ prefetch: 100 }))).toEqual(['ack to 2']);
    expect(await acking(partition)).toEqual([]);
    await later(1);
    expect(partition.asked.frames).toEqual(['ack to 2']);
  });

  it('gives its number to each delivery', () => {
    expect(ofPartition().deliver(1)[0]).toMatchObject({ partition: 0 });
    expect(given().deliver(1)[0]).not.toHaveProperty('partition');
  });
});

it('a delivery knows its channel, and a message that came on none does not', () => {
  const { channel, deliver } = given();
  const [delivery] = deliver(7);
  expect(ChannelDelivery.channelOf(delivery!)).toBe(channel);
  expect(ChannelDelivery.tagOf(delivery as ChannelDelivery<number>)).toBe(7);
  expect(ChannelDelivery.channelOf({ ...delivery! })).toBeUndefined();
});
