import { type Connection, Consumer, consume, handle } from 'instance-queue';
import { firstValueFrom, Subject } from 'rxjs';
import { channelsOf, provokeException } from '../../support/amqplib/opened-channels';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { cutUntil } from '../../support/cut-until';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually } from '../../support/waiting';

describe('a delivery whose channel is closed', () => {
  const given = consumingFixture({ connection: { reconnect: { min: 5, max: 50 }, reopen: { min: 5, max: 50 } } });

  let connection: Connection;
  beforeEach(() => {
    const backoff = { min: 5, max: 50 };
    connection = given.newConnection({ reconnect: backoff, reopen: backoff });
  });
  const settlements = (): string[] =>
    given.log.methods('toBroker').filter((name) => /^basic\.(ack|nack|reject)$/.test(name));

  it.each(['ack', 'requeue', 'release', 'reject'] as const)(
    'sends nothing on the new channel by %s(), although its tag is in use there',
    async (verb) => {
      const { bystander, proxy, queue, log } = given;
      const consumer = closing(new Consumer(connection, { queue, prefetch: 1 }));
      const { values } = collect(consumer.deliveries$);
      await bystander.put(queue, 'A', 'B');
      await eventually(() => values.length === 1);
      await cutUntil(proxy, async () => (await bystander.count(queue)).ready === 2);
      await eventually(() => values.length === 2);
      const [old, fresh] = values;
      expect([old?.body, fresh?.body]).toEqual(['A', 'A']);
      expect(log.of('basic.deliver').map(({ fields }) => fields['deliveryTag'])).toEqual([1, 1]);
      expect(old?.[verb]()).toBe(false);
      expect(old?.settled).toBe('lost');

      // Whatever the old one sent would be in client of this.
      expect(fresh?.ack()).toBe(true);
      await eventually(() => values.length === 3);
      expect(settlements()).toEqual(['basic.ack']);
      expect(values[2]).toMatchObject({ body: 'B', redelivered: false });
      values[2]?.ack();
      await consumer.close();
      expect(log.methods('toClient')).not.toContain('channel.close');
      expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
    },
  );

  it('is lost as soon as its channel is closed, on the same connection, too', async () => {
    const { bystander, queue } = given;
    await connection.connect();
    const channels = channelsOf(connection);
    const { values } = collect(consume(connection, { queue, declare: false, prefetch: 1 }));
    await bystander.put(queue, 'A');
    await eventually(() => values.length === 1);
    provokeException(channels[0], queue);
    await eventually(() => values.length === 2);
    expect(values[0]?.ack()).toBe(false);
    expect(values[1]?.ack()).toBe(true);
    await eventually(() => settlements().length === 1);
    expect(connection.core.counters).toMatchObject({ delivered: 2, redelivered: 1, acked: 1, lost: 1, inFlight: 0 });
  });

  it('emits `lost` once, and aborts the signal of its handler', async () => {
    const { bystander, proxy, queue } = given;
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
    await bystander.put(queue, 1, 2);
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

  it('is not handled any more if it was still waiting in handle()', async () => {
    const { bystander, proxy, queue } = given;
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
    await bystander.put(queue, 1, 2);
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
