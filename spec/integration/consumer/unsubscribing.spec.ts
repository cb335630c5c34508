import { Connection, Consumer, InstanceQueue, consume, handle, type Delivery } from 'instance-queue';
import { Subject, firstValueFrom, lastValueFrom, take, toArray } from 'rxjs';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, until } from '../../support/waiting';

describe('unsubscribing', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(url);
    queue = await side.queue();
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const connected = (): Connection => closing(new Connection(proxy.url(url)));
  const noConsumer = (): Promise<boolean> => eventually(async () => (await side.count(queue)).consumers === 0);
  const channelsClosed = (): Promise<boolean> =>
    eventually(() => log.of('channel.close-ok').length === log.of('channel.open').length);

  it('gives back at once what is not started, and lets what runs settle', async () => {
    await side.put(queue, ...numbers(8));
    const gate = new Subject<void>();
    const started: unknown[] = [];
    const front = closing(new InstanceQueue(proxy.url(url)));
    const { subscription } = gather(
      front.consume({ queue, prefetch: 8 }).pipe(
        handle(
          async ({ body }) => {
            started.push(body);
            await firstValueFrom(gate);
          },
          { concurrency: 3 },
        ),
      ),
    );
    await eventually(() => front.metrics.inFlight === 8);
    subscription.unsubscribe();
    await eventually(async () => (await side.count(queue)).ready === 5);
    await noConsumer();
    expect(front.metrics).toMatchObject({ released: 5, inFlight: 3, acked: 0 });
    expect(log.methods('toBroker')).not.toContain('basic.ack');

    gate.next();
    await channelsClosed();
    expect(started).toEqual([0, 1, 2]);
    expect(front.metrics).toMatchObject({ delivered: 8, acked: 3, released: 5, requeued: 0, lost: 0, inFlight: 0 });
    await front.close();
    await eventually(() => proxy.links === 0);
    expect(await side.count(queue)).toEqual({ ready: 5, consumers: 0 });
  });

  it.each([1, 3])('by take(%d) still acks what it took, also what came in one read with consume-ok', async (count) => {
    await side.put(queue, ...numbers(10));
    proxy.onBytes(() => {
      if (log.of('basic.consume').length === 1 && log.of('basic.deliver').length < 10) proxy.hold('toClient');
      else proxy.release();
    });
    const orders$ = consume<number>(connected(), { queue, prefetch: 10 });
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
    await channelsClosed();
    await noConsumer();
    expect((await side.count(queue)).ready).toBe(10 - count);
  });

  it('leaves what was handed out valid, until it is settled', async () => {
    await side.put(queue, 1, 2);
    const consumer = closing(new Consumer(connected(), { queue }));
    const { values, subscription } = gather(consumer.deliveries$);
    await eventually(() => values.length === 2);
    subscription.unsubscribe();
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 2 });
    await noConsumer();
    expect(values[0]?.ack()).toBe(true);
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 1 });
    expect(values[1]?.requeue()).toBe(true);
    await until(consumer.state$, ({ status }) => status === 'detached');
    await channelsClosed();
    expect(await side.take(queue)).toMatchObject({ body: 2 });
    expect(await side.take(queue)).toBeUndefined();
  });

  it('gives back what still comes before the broker hears of it', async () => {
    const front = closing(new InstanceQueue(proxy.url(url)));
    const consumer = front.consumer({ queue, prefetch: 10 });
    const { values, subscription } = gather(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    proxy.hold('toBroker');
    subscription.unsubscribe();
    await side.put(queue, ...numbers(3));
    await eventually(() => log.of('basic.deliver').length === 3);
    proxy.release();
    await channelsClosed();
    await noConsumer();
    expect(values).toEqual([]);
    expect(log.of('basic.nack').map(({ fields }) => fields)).toEqual(
      [1, 2, 3].map((deliveryTag) => ({ deliveryTag, multiple: false, requeue: true })),
    );
    expect((await side.count(queue)).ready).toBe(3);
    expect(front.metrics).toMatchObject({ delivered: 0, lost: 0, inFlight: 0 });
  });

  it('in the handler of a delivery is as good as later', async () => {
    await side.put(queue, ...numbers(5));
    const seen: Delivery<unknown>[] = [];
    const subscription = consume(connected(), { queue }).subscribe((delivery) => {
      seen.push(delivery);
      subscription.unsubscribe();
      expect(delivery.ack()).toBe(true);
    });
    await eventually(() => seen.length > 0);
    await channelsClosed();
    await noConsumer();
    expect(seen).toHaveLength(1);
    expect((await side.count(queue)).ready).toBe(4);
  });

  it('in a listener of `attached` leaves neither consumer nor channel', async () => {
    await side.put(queue, ...numbers(5));
    const consumer = closing(new Consumer(connected(), { queue }));
    const subscription = consumer.deliveries$.subscribe();
    consumer.once('attached', () => {
      subscription.unsubscribe();
    });
    await until(consumer.state$, ({ status }) => status === 'draining');
    await until(consumer.state$, ({ status }) => status === 'detached');
    await channelsClosed();
    await noConsumer();
    expect((await side.count(queue)).ready).toBe(5);
  });

  it('in the turn of subscribing leaves neither consumer nor channel nor queue', async () => {
    const connection = connected();
    await connection.connect();
    const name = side.tidies();
    for (let i = 0; i < 5; i++) consume(connection, { queue: name }).subscribe().unsubscribe();
    await eventually(() => log.of('channel.open').length > 0);
    await channelsClosed();
    expect(log.methods('toBroker')).not.toContain('basic.consume');
    expect(connection.state.status).toBe('connected');
  });
});
