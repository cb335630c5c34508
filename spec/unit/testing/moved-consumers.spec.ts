import { MemoryBroker } from 'instance-queue/testing';
import { firstValueFrom } from 'rxjs';
import type { ConsumeRequest } from '../../../lib/transport/transport';
import { dialled, hangUp } from '../../support/dialled';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

const NEVER_MOVED = 'x-cancel-on-ha-failover';
const FROM_THE_FIRST = { 'x-stream-offset': 'first' };

interface Given extends Partial<ConsumeRequest> {
  readonly version?: string;
  readonly type?: 'classic' | 'quorum' | 'stream';
}

/** A RabbitMQ with a queue `orders`, its consumer, and what comes of both. */
async function consuming({ version = '3.13.7', type = 'classic', ...request }: Given = {}) {
  const broker = new MemoryBroker({ version });
  const declare = (): void => {
    broker.declare({ name: 'orders', type });
  };
  declare();
  const link = await dialled(broker.transport, 'amqp://in-memory');
  const channel = await firstValueFrom(link.openInbound());
  const heard: string[] = [];
  let cancelled = 0;
  const all = { queue: 'orders', tag: 'me', prefetch: 2, noAck: false, exclusive: false, arguments: {}, ...request };
  await channel.consume(all, {
    message: ({ content }) => heard.push(content.toString()),
    cancelled: () => cancelled++,
  });
  const put = (...bodies: string[]): void => {
    for (const body of bodies) broker.put({ queue: 'orders', body: Buffer.from(body) });
  };
  return {
    channel,
    broker,
    heard,
    declare,
    put,
    cancelled: () => cancelled,
    /** The queue is deleted, and declared again at once. */
    replace: () => {
      broker.deleteQueue('orders');
      declare();
    },
    queue: () => {
      const [queue] = broker.queues;
      const ready = queue?.messages.map(({ content }) => content.toString());
      return queue && { ready, out: queue.unsettled, consumers: queue.consumers };
    },
  };
}

inVirtualTime();
afterEach(hangUp);

describe('a consumer whose queue was deleted, at a RabbitMQ before 4.0', () => {
  it('is registered with the one that has its name a moment later, and hears nothing of it', async () => {
    const { replace, put, queue, heard, cancelled, broker, channel } = await consuming();
    put('old');
    await later(0);
    expect(heard).toEqual(['old']);
    replace();
    put('a', 'b', 'c');
    await later(29);
    expect(queue()).toEqual({ ready: ['a', 'b', 'c'], out: 0, consumers: 0 });
    await later(1);
    // Its prefetch counts on.
    expect(queue()).toEqual({ ready: ['c'], out: 2, consumers: 1 });
    await later(100_000);
    expect([heard, cancelled()]).toEqual([['old'], 0]);
    await channel.close();
    expect(queue()).toEqual({ ready: ['a', 'b', 'c'], out: 0, consumers: 0 });
    expect(broker.vhost.find('orders')?.ready.map(({ redelivered }) => redelivered)).toEqual([true, true, false]);
  });

  it('is cancelled where there is none a moment later', async () => {
    const { broker, declare, queue, cancelled } = await consuming();
    broker.deleteQueue('orders');
    await later(29);
    expect(cancelled()).toBe(0);
    await later(1);
    expect(cancelled()).toBe(1);
    declare();
    await later(100);
    expect([queue()?.consumers, cancelled()]).toEqual([0, 1]);
  });

  it.each<[string, Given]>([
    ['one of a quorum queue', { type: 'quorum' }],
    ['one whose channel has a prefetch of its own, of a classic queue', { channelPrefetch: 100 }],
    ['one that only says that it may be', { arguments: { [NEVER_MOVED]: false } }],
  ])('may be moved: %s', async (_, given) => {
    const { replace, put, queue, heard, cancelled } = await consuming(given);
    replace();
    put('new');
    await later(30);
    expect([queue(), heard, cancelled()]).toEqual([{ ready: [], out: 1, consumers: 1 }, [], 0]);
  });

  it.each<[string, Given]>([
    ['by RabbitMQ 4.0', { version: '4.0.0' }],
    ['one that must not be moved', { arguments: { [NEVER_MOVED]: true } }],
    ['one of a quorum queue, whose channel has a prefetch of its own', { type: 'quorum', channelPrefetch: 100 }],
    ['one of a stream', { type: 'stream', arguments: FROM_THE_FIRST }],
  ])('is cancelled at once: %s', async (_, given) => {
    const { replace, put, queue, heard, cancelled } = await consuming(given);
    replace();
    put('new');
    await later(0);
    expect(cancelled()).toBe(1);
    await later(100);
    expect([heard, cancelled(), queue()]).toEqual([[], 1, { ready: ['new'], out: 0, consumers: 0 }]);
  });

  it('is cancelled at once by a queue that is still there', async () => {
    const { broker, put, queue, cancelled } = await consuming();
    broker.cancelConsumers('orders');
    put('new');
    await later(0);
    expect(cancelled()).toBe(1);
    await later(100);
    expect([cancelled(), queue()]).toEqual([1, { ready: ['new'], out: 0, consumers: 0 }]);
  });

  it('loses for good what it does not acknowledge', async () => {
    const { replace, put, queue, heard, channel } = await consuming({ noAck: true });
    replace();
    put('a', 'b', 'c');
    await later(30);
    expect([queue(), heard]).toEqual([{ ready: [], out: 0, consumers: 1 }, []]);
    await channel.close();
    expect(queue()).toEqual({ ready: [], out: 0, consumers: 0 });
  });

  it('is moved again, or cancelled, when that queue goes as well; what that one had sent is gone with it', async () => {
    const { replace, put, queue, cancelled, broker, channel, declare } = await consuming();
    replace();
    put('second');
    await later(30);
    replace();
    put('third');
    await later(30);
    expect([queue(), cancelled()]).toEqual([{ ready: [], out: 1, consumers: 1 }, 0]);
    broker.deleteQueue('orders');
    await later(30);
    expect(cancelled()).toBe(1);
    declare();
    await channel.close();
    expect(queue()).toEqual({ ready: [], out: 0, consumers: 0 });
  });

  it('is not moved any more when its channel is closed within that moment', async () => {
    const { replace, put, queue, channel } = await consuming();
    replace();
    put('new');
    await channel.close();
    await later(100);
    expect(queue()).toEqual({ ready: ['new'], out: 0, consumers: 0 });
  });

  it('leaves the queue that it was moved to when it is cancelled', async () => {
    const { replace, put, queue, channel } = await consuming();
    replace();
    put('a');
    await later(30);
    await channel.cancel('me');
    put('b');
    expect(queue()).toEqual({ ready: ['b'], out: 1, consumers: 0 });
    await channel.close();
    expect(queue()?.ready).toEqual(['a', 'b']);
  });
});

describe('the argument of a consumer that must not be moved', () => {
  it.each<['quorum' | 'stream', boolean]>([
    ['quorum', true],
    ['quorum', false],
    ['stream', true],
  ])('is refused by a %s queue before RabbitMQ 4.0: %s', async (type, value) => {
    const args = { ...(type === 'stream' && FROM_THE_FIRST), [NEVER_MOVED]: value };
    expect(await rejection(consuming({ type, arguments: args }))).toMatchObject({
      replyCode: 406,
      message: `Cannot consume from queue \`orders\`: 406 PRECONDITION_FAILED - invalid arg '${NEVER_MOVED}' for queue 'orders' in vhost '/' of queue type rabbit_${type}_queue`,
    });
  });

  it.each<[string, Given]>([
    ['RabbitMQ 4.0', { version: '4.0.0', type: 'quorum' }],
    ['a classic queue', { type: 'classic' }],
  ])('is taken by %s', async (_, given) => {
    const { queue } = await consuming({ ...given, arguments: { [NEVER_MOVED]: true } });
    expect(queue()?.consumers).toBe(1);
  });
});
