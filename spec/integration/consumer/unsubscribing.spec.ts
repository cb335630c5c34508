import { Consumer, consume, handle, type Delivery } from 'instance-queue';
import { Subject, firstValueFrom, lastValueFrom, take, toArray } from 'rxjs';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually, until } from '../../support/waiting';

describe('unsubscribing', () => {
  const given = consumingFixture();

  it('releases at once the deliveries whose work has not started, and lets running work settle', async () => {
    const { bystander, newClient, proxy, queue, log, untilConsumers, untilChannelsClosed } = given;
    await bystander.put(queue, ...numbers(8));
    const gate = new Subject<void>();
    const started: unknown[] = [];
    const client = newClient();
    const { subscription } = collect(
      client.consume({ queue, prefetch: 8 }).pipe(
        handle(
          async ({ body }) => {
            started.push(body);
            await firstValueFrom(gate);
          },
          { concurrency: 3 },
        ),
      ),
    );
    await eventually(() => client.metrics.inFlight === 8);
    subscription.unsubscribe();
    await eventually(async () => (await bystander.count(queue)).ready === 5);
    await untilConsumers(0);
    expect(client.metrics).toMatchObject({ released: 5, inFlight: 3, acked: 0 });
    expect(log.methods('toBroker')).not.toContain('basic.ack');

    gate.next();
    await untilChannelsClosed();
    expect(started).toEqual([0, 1, 2]);
    expect(client.metrics).toMatchObject({ delivered: 8, acked: 3, released: 5, requeued: 0, lost: 0, inFlight: 0 });
    await client.close();
    await eventually(() => proxy.links === 0);
    expect(await bystander.count(queue)).toEqual({ ready: 5, consumers: 0 });
  });

  it.each([1, 3])(
    'by take(%d) still acks the deliveries taken, even those read together with consume-ok',
    async (count) => {
      const { bystander, newConnection, proxy, queue, log, untilConsumers, untilChannelsClosed } = given;
      await bystander.put(queue, ...numbers(10));
      proxy.onBytes(() => {
        if (log.of('basic.consume').length === 1 && log.of('basic.deliver').length < 10) proxy.hold('toClient');
        else proxy.release();
      });
      const orders$ = consume<number>(newConnection(), { queue, prefetch: 10 });
      const handled = await lastValueFrom(
        orders$.pipe(
          take(count),
          handle(({ body }) => Promise.resolve(body), { concurrency: 1 }),
          toArray(),
        ),
      );
      expect(handled.map(({ value, settlement, sent }) => ({ value, settlement, sent }))).toEqual(
        numbers(count).map((value) => ({ value, settlement: 'ack', sent: true })),
      );
      await untilChannelsClosed();
      await untilConsumers(0);
      expect((await bystander.count(queue)).ready).toBe(10 - count);
    },
  );

  it('leaves the deliveries valid until they are settled', async () => {
    const { bystander, newConnection, queue, untilConsumers, untilChannelsClosed } = given;
    await bystander.put(queue, 1, 2);
    const consumer = closing(new Consumer(newConnection(), { queue }));
    const { values, subscription } = collect(consumer.deliveries$);
    await eventually(() => values.length === 2);
    subscription.unsubscribe();
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 2 });
    await untilConsumers(0);
    expect(values[0]?.ack()).toBe(true);
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 1 });
    expect(values[1]?.requeue()).toBe(true);
    await until(consumer.state$, ({ status }) => status === 'detached');
    await untilChannelsClosed();
    expect(await bystander.take(queue)).toMatchObject({ body: 2 });
    expect(await bystander.take(queue)).toBeUndefined();
  });

  it('returns the messages that arrive before the broker has cancelled the consumer', async () => {
    const { bystander, newClient, proxy, queue, log, untilConsumers, untilChannelsClosed } = given;
    const client = newClient();
    const consumer = client.consumer({ queue, prefetch: 10 });
    const { values, subscription } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    proxy.hold('toBroker');
    subscription.unsubscribe();
    await bystander.put(queue, ...numbers(3));
    await eventually(() => log.of('basic.deliver').length === 3);
    proxy.release();
    await untilChannelsClosed();
    await untilConsumers(0);
    expect(values).toEqual([]);
    expect(log.of('basic.nack').map(({ fields }) => fields)).toEqual(
      [1, 2, 3].map((deliveryTag) => ({ deliveryTag, multiple: false, requeue: true })),
    );
    expect((await bystander.count(queue)).ready).toBe(3);
    expect(client.metrics).toMatchObject({ delivered: 0, lost: 0, inFlight: 0 });
  });

  it('while a delivery is emitted still allows to ack it', async () => {
    const { bystander, newConnection, queue, untilConsumers, untilChannelsClosed } = given;
    await bystander.put(queue, ...numbers(5));
    const seen: Delivery<unknown>[] = [];
    const subscription = consume(newConnection(), { queue }).subscribe((delivery) => {
      seen.push(delivery);
      subscription.unsubscribe();
      expect(delivery.ack()).toBe(true);
    });
    await eventually(() => seen.length > 0);
    await untilChannelsClosed();
    await untilConsumers(0);
    expect(seen).toHaveLength(1);
    expect((await bystander.count(queue)).ready).toBe(4);
  });

  it('in a listener of `attached` leaves neither a consumer nor a channel', async () => {
    const { bystander, newConnection, queue, untilConsumers, untilChannelsClosed } = given;
    await bystander.put(queue, ...numbers(5));
    const consumer = closing(new Consumer(newConnection(), { queue }));
    const subscription = consumer.deliveries$.subscribe();
    consumer.once('attached', () => {
      subscription.unsubscribe();
    });
    await until(consumer.state$, ({ status }) => status === 'draining');
    await until(consumer.state$, ({ status }) => status === 'detached');
    await untilChannelsClosed();
    await untilConsumers(0);
    expect((await bystander.count(queue)).ready).toBe(5);
  });

  it('right after subscribing leaves neither a consumer nor a channel', async () => {
    const { bystander, log, connection, untilChannelsClosed } = given;
    await connection.connect();
    const name = bystander.freeQueueName();
    for (let i = 0; i < 5; i++) consume(connection, { queue: name }).subscribe().unsubscribe();
    await eventually(() => log.of('channel.open').length > 0);
    await untilChannelsClosed();
    expect(log.methods('toBroker')).not.toContain('basic.consume');
    expect(connection.state.status).toBe('connected');
  });
});
