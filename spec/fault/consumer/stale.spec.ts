import { Connection, Consumer, consume, handle } from 'instance-queue';
import { firstValueFrom, Subject } from 'rxjs';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { channelsOf, provokeException } from '../../support/amqplib/opened-channels';
import { closeAll, closing } from '../../support/closing';
import { cutUntil } from '../../support/cut-until';
import { collect } from '../../support/collect';
import { eventually } from '../../support/waiting';

describe('a delivery whose channel is gone', () => {
  const broker = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let connection: Connection;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(broker.url);
    queue = await side.declareQueue();
    proxy = closing(await FaultProxy.before(broker.url));
    log = new FrameLog(proxy);
    const backoff = { min: 5, max: 50 };
    connection = closing(new Connection({ url: proxy.url(broker.url), reconnect: backoff, reopen: backoff }));
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const settlements = (): string[] => log.methods('toBroker').filter((name) => /^basic\.(ack|nack|reject)$/.test(name));

  it.each(['ack', 'requeue', 'release', 'reject'] as const)(
    'sends nothing on the new one by %s(), though the tag is in use there',
    async (verb) => {
      const consumer = closing(new Consumer(connection, { queue, prefetch: 1 }));
      const { values } = collect(consumer.deliveries$);
      await side.put(queue, 'A', 'B');
      await eventually(() => values.length === 1);
      await cutUntil(proxy, async () => (await side.count(queue)).ready === 2);
      await eventually(() => values.length === 2);
      const [old, fresh] = values;
      expect([old?.body, fresh?.body]).toEqual(['A', 'A']);
      expect(log.of('basic.deliver').map(({ fields }) => fields['deliveryTag'])).toEqual([1, 1]);
      expect(old?.[verb]()).toBe(false);
      expect(old?.settled).toBe('lost');

      // Whatever the old one sent would be in front of this.
      expect(fresh?.ack()).toBe(true);
      await eventually(() => values.length === 3);
      expect(settlements()).toEqual(['basic.ack']);
      expect(values[2]).toMatchObject({ body: 'B', redelivered: false });
      values[2]?.ack();
      await consumer.close();
      expect(log.methods('toClient')).not.toContain('channel.close');
      expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
    },
  );

  it('is lost from the moment its channel fails, on the same connection too', async () => {
    await connection.connect();
    const channels = channelsOf(connection);
    const { values } = collect(consume(connection, { queue, declare: false, prefetch: 1 }));
    await side.put(queue, 'A');
    await eventually(() => values.length === 1);
    provokeException(channels[0], queue);
    await eventually(() => values.length === 2);
    expect(values[0]?.ack()).toBe(false);
    expect(values[1]?.ack()).toBe(true);
    await eventually(() => settlements().length === 1);
    expect(connection.core.counters).toMatchObject({ delivered: 2, redelivered: 1, acked: 1, lost: 1, inFlight: 0 });
  });

  it('is told of as lost, once each, and handlers hear of it through their signal', async () => {
    const consumer = closing(new Consumer(connection, { queue }));
    const lost: unknown[] = [];
    consumer.on('lost', ({ body }) => lost.push(body));
    const gate = new Subject<void>();
    const aborted: unknown[] = [];
    const work = async (
      { body }: { readonly body: unknown },
      { signal }: { readonly signal: AbortSignal },
    ): Promise<void> => {
      signal.addEventListener('abort', () => aborted.push([body, signal.reason]));
      await firstValueFrom(gate);
    };
    const { values } = collect(consumer.deliveries$.pipe(handle(work)));
    await side.put(queue, 1, 2);
    await eventually(() => connection.core.counters.inFlight === 2);
    proxy.refuse();
    proxy.cut();
    await eventually(() => aborted.length === 2);
    expect(lost).toEqual([1, 2]);
    expect(aborted).toMatchObject([
      [1, { code: 'CHANNEL_CLOSED' }],
      [2, { code: 'CHANNEL_CLOSED' }],
    ]);
    expect(connection.core.counters).toMatchObject({ lost: 2, inFlight: 0 });

    gate.next();
    await eventually(() => values.length === 2);
    expect(values.map(({ settlement, sent }) => [settlement, sent])).toEqual([
      ['ack', false],
      ['ack', false],
    ]);
    await proxy.restore();
    await eventually(() => connection.core.counters.inFlight === 2);
    gate.next();
    await eventually(() => values.length === 4);
    expect(values.slice(2).map(({ message, sent }) => [message.body, message.redelivered, sent])).toEqual([
      [1, true, true],
      [2, true, true],
    ]);
  });

  it('is not worked on any more if it was still waiting its turn', async () => {
    const gate = new Subject<void>();
    const started: unknown[] = [];
    const work = async ({
      body,
      redelivered,
    }: {
      readonly body: unknown;
      readonly redelivered: boolean;
    }): Promise<void> => {
      started.push([body, redelivered]);
      await firstValueFrom(gate);
    };
    collect(consume(connection, { queue }).pipe(handle(work, { concurrency: 1 })));
    await side.put(queue, 1, 2);
    await eventually(() => started.length === 1 && connection.core.counters.inFlight === 2);
    proxy.cut();
    await eventually(() => connection.core.counters.delivered === 4);
    for (let i = 2; i <= 3; i++) {
      gate.next();
      await eventually(() => started.length === i);
    }
    expect(started).toEqual([
      [1, false],
      [1, true],
      [2, true],
    ]);
  });
});
