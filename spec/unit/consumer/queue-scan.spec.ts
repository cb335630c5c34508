import { ChannelError, ConsumerError } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import type { QueueScan } from '../../../lib/consumer/queue-scan';
import { MemoryBroker } from '../../../lib/testing/memory-broker';
import { MemoryInboundChannel } from '../../../lib/testing/memory/memory-channel';
import { MemoryLink } from '../../../lib/testing/memory/memory-link';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

/** What the broker is asked for on the channel of the scan, in order. */
let asked: string[];
beforeEach(() => {
  asked = [];
  const { consume, cancel, settle, close } = MemoryInboundChannel.prototype;
  jest.spyOn(MemoryInboundChannel.prototype, 'consume').mockImplementation(function (
    this: MemoryInboundChannel,
    ...given
  ) {
    asked.push(`consume ${String(given[0].prefetch)}`);
    return consume.apply(this, given);
  });
  jest.spyOn(MemoryInboundChannel.prototype, 'cancel').mockImplementation(function (this: MemoryInboundChannel, tag) {
    asked.push('cancel');
    return cancel.call(this, tag);
  });
  jest.spyOn(MemoryInboundChannel.prototype, 'settle').mockImplementation(function (
    this: MemoryInboundChannel,
    ...given
  ) {
    const [tag, how, multiple = false] = given;
    asked.push(`${how} ${multiple ? 'to ' : ''}${String(tag)}`);
    return settle.apply(this, given);
  });
  jest.spyOn(MemoryInboundChannel.prototype, 'close').mockImplementation(function (this: MemoryInboundChannel) {
    asked.push('close');
    return close.call(this);
  });
});
afterEach(() => {
  jest.restoreAllMocks();
});

interface Given {
  readonly limit?: number;
  readonly window?: number;
  readonly version?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** A scan of the queue `letters`, which holds the numbers from 1 on. */
async function scanning(count: number, { limit = Infinity, window = 100, version = '4.3.0', headers }: Given = {}) {
  const broker = new MemoryBroker({ version });
  const queue = closing(new FakeInstanceQueue({ broker }));
  broker.declare({ name: 'letters' });
  const put = (...bodies: readonly number[]): void => {
    for (const body of bodies) broker.put({ queue: 'letters', body, ...(headers && { headers }) });
  };
  put(...Array.from({ length: count }, (_, i) => i + 1));
  const opening = queue.admin.scan('letters', { limit, window });
  await later();
  const scan = await opening;
  const { values, ...read } = reading(scan);
  /** Messages that wait in the queue. */
  const ready = (): readonly unknown[] => broker.messages('letters').map(({ body }) => body);
  const unsettled = (): number => broker.queues[0]?.unsettled ?? 0;
  return { broker, queue, scan, put, ready, unsettled, ...read, got: values };
}

/** The delivery tags that a scan has given, which are the numbers of the messages on its channel. */
function reading(scan: QueueScan) {
  const read = { values: [] as number[], completed: false, error: undefined as unknown };
  const start = (each: (tag: number) => void = () => undefined) => {
    const subscription = scan.message$.subscribe({
      next: ({ deliveryTag }) => {
        read.values.push(deliveryTag);
        each(deliveryTag);
      },
      error: (error: unknown) => (read.error = error),
      complete: () => (read.completed = true),
    });
    return subscription;
  };
  return { values: read.values, read, start };
}

const closed = async (scan: QueueScan, within = 10): Promise<void> => {
  const closing = scan.close();
  await later(within);
  await closing;
};

describe('a scan of a queue', () => {
  it('that seems empty looks for 400 ms, because counts lag, and then asks for no message', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.declare({ name: 'letters' });
    const found: number[] = [];
    const open = async (): Promise<QueueScan> => {
      const scan = await queue.admin.scan('letters', { limit: 10, window: 10 });
      found.push(scan.found);
      return scan;
    };
    const empty = open();
    await later(390);
    expect(found).toEqual([]);
    await later(20);
    expect(found).toEqual([0]);
    expect(collect((await empty).message$)).toMatchObject({ values: [], completed: true });
    await closed(await empty);
    expect(asked).toEqual(['close']);
    void open();
    await later(350);
    queue.broker.put({ queue: 'letters', body: 1 });
    await later(60);
    expect(found).toEqual([0, 1]);
  });

  it('that does not exist is refused, by its name', async () => {
    const queue = closing(new FakeInstanceQueue());
    const refused = rejection(queue.admin.scan('none', { limit: 1, window: 1 }));
    await later();
    const error = await refused;
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({ replyCode: 404, retryable: false });
    expect((error as Error).message).toMatch(/^There is no queue `none` at in-memory/);
  });

  it('reads what was found, in order, and nothing that comes later', async () => {
    const { scan, put, start, got, read, ready } = await scanning(3);
    put(4, 5);
    start((tag) => {
      scan.keep(tag);
    });
    await later();
    expect([got, read.completed]).toEqual([[1, 2, 3], true]);
    await closed(scan);
    expect(ready()).toEqual([1, 2, 3, 4, 5]);
    expect(asked).toEqual(['consume 3', 'cancel', 'release to 0', 'close']);
  });

  it('reads no more than its limit', async () => {
    const { scan, start, got, read } = await scanning(5, { limit: 2 });
    start((tag) => {
      scan.keep(tag);
    });
    await later();
    expect([got, read.completed, asked]).toEqual([[1, 2], true, ['consume 2']]);
  });

  it('never has more messages on their way than its window, and goes past those it keeps with another consumer', async () => {
    const { scan, start, got, unsettled } = await scanning(5, { window: 2 });
    start();
    await later();
    expect([got, unsettled()]).toEqual([[1, 2], 2]);
    scan.keep(1);
    await later();
    expect(asked).toEqual(['consume 2']);
    scan.keep(2);
    await later();
    expect([got, unsettled()]).toEqual([[1, 2, 3, 4], 4]);
    scan.keep(3);
    scan.keep(4);
    await later();
    expect(got).toEqual([1, 2, 3, 4, 5]);
    expect(asked).toEqual(['consume 2', 'cancel', 'consume 2', 'cancel', 'consume 1']);
  });

  it('goes past messages that it keeps at once', async () => {
    const { scan, start, got, read } = await scanning(7, { window: 1 });
    start((tag) => {
      scan.keep(tag);
    });
    await later(100);
    expect([got, read.completed]).toEqual([[1, 2, 3, 4, 5, 6, 7], true]);
  });

  it('gets more for each message that it acks, without another consumer', async () => {
    const { scan, start, got, read, ready } = await scanning(5, { window: 2 });
    start((tag) => {
      scan.ack(tag);
    });
    await later(100);
    expect([got, read.completed]).toEqual([[1, 2, 3, 4, 5], true]);
    await closed(scan);
    expect(ready()).toEqual([]);
    expect(asked.filter((one) => one.startsWith('consume'))).toEqual(['consume 2']);
    expect(asked).not.toContain('release to 0');
  });

  it('acks none of those it keeps, in whatever order they are settled', async () => {
    const { scan, start, ready } = await scanning(5);
    start();
    await later();
    scan.ack(4);
    scan.keep(3);
    scan.keep(1);
    scan.ack(2);
    await later();
    await closed(scan);
    expect(ready()).toEqual([1, 3, 5]);
    expect(asked.filter((one) => one.startsWith('ack'))).toEqual(['ack 4', 'ack 2']);
  });

  it('settles each message once, whatever is asked for twice', async () => {
    const { scan, start, ready, unsettled } = await scanning(4, { window: 2 });
    start();
    await later();
    scan.keep(1);
    scan.keep(1);
    scan.ack(1);
    scan.ack(9);
    await later();
    expect([asked, unsettled()]).toEqual([['consume 2'], 2]);
    scan.ack(2);
    scan.ack(2);
    scan.keep(2);
    await later();
    await closed(scan);
    expect(ready()).toEqual([1, 3, 4]);
  });

  it('gives back what came beyond its limit, because acks made room for it', async () => {
    const { scan, start, got, read, ready, unsettled } = await scanning(6, { limit: 3, window: 2 });
    start();
    await later();
    scan.ack(1);
    await later();
    expect([got, read.completed]).toEqual([[1, 2, 3], true]);
    scan.ack(2);
    scan.ack(3);
    await later();
    expect(unsettled()).toBe(2);
    await closed(scan);
    expect(got).toEqual([1, 2, 3]);
    expect(ready()).toEqual([4, 5, 6]);
    expect(asked.slice(-3)).toEqual(['cancel', 'release to 0', 'close']);
  });

  it('gives back what is on its way to who has left', async () => {
    const { broker, scan, start, got, read, ready } = await scanning(3);
    broker.hold();
    const reader = start();
    reader.unsubscribe();
    broker.release();
    await later();
    await closed(scan);
    expect([got, read.completed, read.error, ready()]).toEqual([[], false, undefined, [1, 2, 3]]);
    expect(asked).toContain('release to 0');
  });

  it('gives back what is neither acked nor kept', async () => {
    const { scan, start, ready } = await scanning(2);
    start();
    await later();
    scan.ack(1);
    await closed(scan);
    expect(ready()).toEqual([2]);
    expect(asked).toEqual(['consume 2', 'cancel', 'ack to 1', 'release to 0', 'close']);
  });

  it('gives back a window at a time, the next when the broker has the one before', async () => {
    const { scan, start } = await scanning(6, { window: 2 });
    const inspect = jest.spyOn(MemoryLink.prototype, 'inspect');
    start((tag) => {
      scan.keep(tag);
    });
    await later(100);
    inspect.mockClear();
    asked = [];
    let answer: (depth: undefined) => void = () => undefined;
    inspect.mockImplementation(() => new Promise((resolve) => (answer = resolve)));
    const closing = scan.close();
    await later();
    expect(asked).toEqual(['cancel', 'release to 2']);
    answer(undefined);
    await later();
    expect(asked).toEqual(['cancel', 'release to 2', 'release to 4']);
    inspect.mockRejectedValue(new Error('no matter'));
    answer(undefined);
    await later();
    await closing;
    expect(asked).toEqual(['cancel', 'release to 2', 'release to 4', 'release to 0', 'close']);
  });

  it('gives nothing back by itself to a stream, which would close the connection over it', async () => {
    const { scan, start } = await scanning(2, { headers: { 'x-stream-offset': 7 } });
    const inspect = jest.spyOn(MemoryLink.prototype, 'inspect').mockResolvedValue({ messages: 0, consumers: 0 });
    start((tag) => {
      scan.keep(tag);
    });
    await later();
    await closed(scan);
    expect(asked).toEqual(['consume 2', 'cancel', 'close']);
    expect(inspect).not.toHaveBeenCalled();
  });

  it('waits with its end until the queue has back what it kept', async () => {
    const { scan, start } = await scanning(3);
    start();
    await later();
    scan.ack(1);
    scan.keep(2);
    const inspect = jest.spyOn(MemoryLink.prototype, 'inspect').mockResolvedValue({ messages: 1, consumers: 0 });
    let over = false;
    void scan.close().then(() => (over = true));
    await later(5000);
    expect(over).toBe(false);
    expect(inspect.mock.calls.length).toBeLessThanOrEqual(51);
    inspect.mockResolvedValue({ messages: 2, consumers: 0 });
    await later(100);
    expect(over).toBe(true);
  });

  it.each<[string, { messages: number; consumers: number } | undefined | Error]>([
    ['another consumer may take it', { messages: 0, consumers: 1 }],
    ['the queue is gone', undefined],
    ['nobody can tell', new Error('no')],
  ])('does not wait for what never comes back: %s', async (_why, depth) => {
    const { scan, start } = await scanning(2);
    start((tag) => {
      scan.keep(tag);
    });
    await later();
    const inspect = jest.spyOn(MemoryLink.prototype, 'inspect');
    if (depth instanceof Error) inspect.mockRejectedValue(depth);
    else inspect.mockResolvedValue(depth);
    await closed(scan);
    expect(inspect).toHaveBeenCalledTimes(1);
  });

  it('waits for 10 s at most, whenever it closes', async () => {
    const { scan, start } = await scanning(2);
    start();
    await later(3000);
    jest.spyOn(MemoryLink.prototype, 'inspect').mockResolvedValue({ messages: 0, consumers: 0 });
    let over = false;
    void scan.close().then(() => (over = true));
    await later(9900);
    expect(over).toBe(false);
    await later(300);
    expect(over).toBe(true);
  });

  it('closes once, and without a consumer has none to cancel', async () => {
    const { scan } = await scanning(1);
    expect(scan.close()).toBe(scan.close());
    await later();
    expect(asked).toEqual(['close']);
  });

  it('ends when others have the rest, but not while one of its messages is open', async () => {
    const { broker, scan, start, got, read } = await scanning(3, { window: 1 });
    start();
    await later();
    broker.purge('letters');
    await later(20_000);
    expect([got, read.completed]).toEqual([[1], false]);
    scan.ack(1);
    await later(300);
    expect(read.completed).toBe(false);
    await later(300);
    expect(read.completed).toBe(true);
    await later(20_000);
    await closed(scan);
  });

  it('counts its silence from the last message, or the last that was settled', async () => {
    const { broker, scan, start, read } = await scanning(3, { window: 1 });
    await later(5000);
    start();
    await later();
    broker.purge('letters');
    await later(1000);
    scan.keep(1);
    await later(290);
    expect(read.completed).toBe(false);
    await later(400);
    expect([read.completed, read.error]).toEqual([true, undefined]);
    await closed(scan, 10_200);
  });

  it('does not end while it changes its consumer, however long the broker takes', async () => {
    const { broker, scan, start, got, read } = await scanning(2, { window: 1 });
    start();
    await later();
    const inspect = jest.spyOn(MemoryLink.prototype, 'inspect').mockResolvedValue({ messages: 0, consumers: 0 });
    broker.hold();
    scan.keep(1);
    await later(20_000);
    expect([read.completed, inspect.mock.calls]).toEqual([false, []]);
    broker.release();
    await later();
    expect([got, read.completed]).toEqual([[1, 2], true]);
    inspect.mockRestore();
    await closed(scan);
  });

  it('takes no other consumer once it is closed', async () => {
    const { broker, scan, start } = await scanning(3, { window: 1 });
    start();
    await later();
    broker.hold();
    scan.keep(1);
    const closing = scan.close();
    broker.release();
    await later();
    await closing;
    expect(asked.filter((one) => one.startsWith('consume'))).toEqual(['consume 1']);
    expect(broker.queues[0]).toMatchObject({ consumers: 0, unsettled: 0 });
  });

  it.each<[string, (broker: MemoryBroker) => void]>([
    ['is cancelled', (broker) => broker.cancelConsumers('letters')],
    ['loses its queue', (broker) => broker.deleteQueue('letters')],
  ])('errors when it %s', async (_what, happen) => {
    const { broker, scan, start, read, got } = await scanning(3, { window: 1 });
    start();
    await later();
    happen(broker);
    await later();
    expect(read.error).toBeInstanceOf(ConsumerError);
    expect(read.error).toMatchObject({
      code: 'CONSUMER_CANCELLED',
      queue: 'letters',
      message: 'The broker cancelled the scan of queue `letters`.',
    });
    await closed(scan);
    expect(got).toEqual([1]);
  });

  it('errors when its connection is lost, and when its channel is closed from elsewhere', async () => {
    const [lost, closedElsewhere] = [await scanning(3, { window: 1 }), await scanning(3, { window: 1 })];
    lost.start();
    closedElsewhere.start();
    await later();
    lost.broker.disconnect();
    const channel = jest.mocked(MemoryInboundChannel.prototype.consume).mock.contexts.at(-1) as MemoryInboundChannel;
    void channel.close();
    await later();
    expect(lost.read.error).toBeInstanceOf(ChannelError);
    expect((lost.read.error as Error).message).toContain('ended with its connection');
    expect(closedElsewhere.read.error).toMatchObject({
      message: 'Queue `letters` is not read any more: its channel was closed.',
    });
  });

  it('errors when the broker refuses its consumer, the first or a later one', async () => {
    const first = await scanning(3);
    const owner = closing(new FakeInstanceQueue({ broker: first.broker }));
    collect(owner.consume({ queue: 'letters', exclusive: true, prefetch: 1 }));
    await later();
    first.start();
    await later();
    expect(first.read.error).toMatchObject({ replyCode: 403 });
    const second = await scanning(3, { window: 1 });
    second.start();
    await later();
    jest.mocked(MemoryInboundChannel.prototype.consume).mockRejectedValueOnce(new ChannelError('refused'));
    second.scan.keep(1);
    await later();
    expect(second.read.error).toMatchObject({ message: 'refused' });
  });
});

describe('a scan whose connection closes', () => {
  it('says so, reads nothing more, and waits for what is open', async () => {
    const { queue, scan, start, got, read, ready } = await scanning(4, { window: 2 });
    start();
    await later();
    expect(scan.ending.aborted).toBe(false);
    const report = queue.close({ drainTimeout: 5000 });
    await later(1000);
    expect(read.error).toBeInstanceOf(ChannelError);
    expect(read.error).toMatchObject({
      message: 'Queue `letters` is not read any more: its connection is closing.',
    });
    expect(scan.ending.reason).toBe(read.error);
    expect(queue.state.consumer.status).toBe('closing');
    scan.ack(1);
    await later();
    await closed(scan);
    await later(200);
    expect(queue.state.consumer.status).toBe('closed');
    expect(await report).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect([got, ready()]).toEqual([
      [1, 2],
      [2, 3, 4],
    ]);
  });

  it('is closed with it when the time is up, and counts what was open', async () => {
    const { queue, start, ready } = await scanning(3);
    start();
    await later();
    const report = queue.close({ drainTimeout: 500 });
    await later(490);
    expect(queue.state.consumer.status).toBe('closing');
    await later(200);
    expect(await report).toEqual({ unsettled: 3, unconfirmed: 0 });
    expect(ready()).toEqual([1, 2, 3]);
  });

  it('has nothing to do with a scan that is closed', async () => {
    const { queue, scan } = await scanning(1);
    await closed(scan);
    const report = queue.close({ drainTimeout: 5000 });
    await later(100);
    expect(queue.state.consumer.status).toBe('closed');
    await report;
    expect(scan.ending.aborted).toBe(false);
  });
});

describe('a scan where each delivery counts', () => {
  it.each([
    ['3.13.0', undefined],
    ['4.0.5', 20],
    ['4.2.1', 20],
    ['4.3.0', undefined],
  ])('says on RabbitMQ %s after how many a message may be gone: %p', async (version, limit) => {
    expect((await scanning(1, { version })).scan.deliveryLimit).toBe(limit);
  });

  it.each(['keep', 'ack'] as const)('gets one message, and the others when it says %s to that one', async (how) => {
    const { scan, start, got } = await scanning(5, { version: '4.1.0', window: 3 });
    start();
    await later(1000);
    expect([got, asked]).toEqual([[1], ['consume 1']]);
    scan[how](1);
    await later();
    expect(got).toEqual([1, 2, 3, 4]);
    expect(asked.filter((one) => !one.startsWith('ack'))).toEqual(['consume 1', 'cancel', 'consume 3']);
    for (const tag of [2, 3, 4]) scan.keep(tag);
    await later();
    expect(got).toEqual([1, 2, 3, 4, 5]);
    expect(asked.at(-1)).toBe('consume 1');
    await closed(scan, 1000);
    const givenBack =
      how === 'keep' ? ['release to 1', 'release to 4', 'release to 0'] : ['release to 4', 'release to 0'];
    expect(asked.filter((one) => one.startsWith('release'))).toEqual(givenBack);
  });

  it('leaves the others alone when it wants no more', async () => {
    const { queue, scan, start } = await scanning(3, { version: '4.1.0' });
    const reader = start();
    await later();
    reader.unsubscribe();
    await closed(scan);
    const { values } = collect(queue.consume({ queue: 'letters' }));
    await later();
    expect(values.map(({ body, redelivered }) => [body, redelivered])).toEqual([
      [1, true],
      [2, false],
      [3, false],
    ]);
  });
});
