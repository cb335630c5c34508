import { Subscription } from 'rxjs';
import { Connection, Consumer, InstanceQueue, consume, handle, type Delivery } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, until } from '../../support/waiting';

describe('several subscribers', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let connection: Connection;
  beforeEach(async () => {
    side = await Bystander.at(url);
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
    connection = closing(new Connection(proxy.url(url)));
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const consumers = (count: number): Promise<boolean> => eventually(() => log.of('basic.consume-ok').length === count);

  it('of consume() compete: each is a consumer of its own, and each message goes to one', async () => {
    const queue = await side.queue();
    const orders$ = consume<number>(connection, { queue });
    const [a, b] = [gather(orders$.pipe(handle(() => 'a'))), gather(orders$.pipe(handle(() => 'b')))];
    await consumers(2);
    expect((await side.count(queue)).consumers).toBe(2);
    await side.put(queue, ...numbers(20));
    await eventually(() => a.values.length + b.values.length === 20);
    expect(a.values.length).toBe(10);
    const seen = [...a.values, ...b.values].map(({ message }) => message.body);
    expect(seen.sort((x, y) => x - y)).toEqual(numbers(20));
  });

  it('of a Consumer share one AMQP consumer and the very same deliveries; the first to settle counts', async () => {
    const queue = await side.queue();
    const consumer = closing(new Consumer(connection, { queue }));
    const [a, b] = [gather(consumer.deliveries$), gather(consumer.deliveries$)];
    await side.put(queue, 1, 2);
    await eventually(() => b.values.length === 2);
    expect(a.values).toEqual(b.values);
    expect(a.values[0]).toBe(b.values[0]);
    expect((await side.count(queue)).consumers).toBe(1);
    expect(a.values[0]?.ack()).toBe(true);
    expect(b.values[0]?.reject()).toBe(false);
    expect(b.values[0]?.settled).toBe('ack');
    b.values[1]?.ack();
    await consumer.close();
    expect(log.of('basic.consume')).toHaveLength(1);
    expect(log.of('basic.reject')).toHaveLength(0);
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('keep a Consumer attached until the last one leaves; the next one attaches it anew', async () => {
    const queue = await side.queue();
    const consumer = closing(new Consumer(connection, { queue }));
    const [a, b] = [gather(consumer.deliveries$), gather(consumer.deliveries$)];
    await until(consumer.state$, ({ status }) => status === 'attached');
    a.subscription.unsubscribe();
    await side.put(queue, 1);
    await eventually(() => b.values.length === 1);
    expect(a.values).toHaveLength(0);
    b.values[0]?.ack();
    b.subscription.unsubscribe();
    expect(await until(consumer.state$, ({ status }) => status === 'detached')).toEqual({ status: 'detached' });
    await eventually(async () => (await side.count(queue)).consumers === 0);

    await side.put(queue, 2);
    const c = gather(consumer.deliveries$);
    await eventually(() => c.values.length === 1);
    expect(c.values[0]?.body).toBe(2);
    expect(consumer.state.status).toBe('attached');
  });

  it('attach a Consumer anew while what it handed out before still drains', async () => {
    const queue = await side.queue();
    const consumer = closing(new Consumer(connection, { queue }));
    const first = gather(consumer.deliveries$);
    await side.put(queue, 'old');
    await eventually(() => first.values.length === 1);
    first.subscription.unsubscribe();
    const second = gather(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.put(queue, 'new');
    await eventually(() => second.values.length === 1);
    expect(second.values[0]?.body).toBe('new');
    expect(first.values[0]?.ack()).toBe(true);
    expect(second.values[0]?.ack()).toBe(true);
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('come, go, cut the link and close in the middle of a delivery: whoever is left gets the rest, and the end', async () => {
    const queue = await side.queue();
    const consumer = closing(new Consumer<number>(connection, { queue }));
    const told: string[] = [];
    const into = (name: string, next: (delivery: Delivery<number>) => void = () => undefined): Subscription =>
      consumer.deliveries$.subscribe({
        next: (delivery) => {
          told.push(`${name} ${String(delivery.body)}${delivery.redelivered ? ' again' : ''}`);
          next(delivery);
        },
        complete: () => told.push(`${name} completed`),
      });
    const leaving = new Subscription();
    into('first', (delivery) => {
      if (delivery.body === 1 && !delivery.redelivered) {
        into('late');
        leaving.unsubscribe();
        // Not settled: it comes again.
        proxy.cut();
      } else delivery.ack();
      if (delivery.body === 2) void consumer.close();
    });
    leaving.add(into('leaving'));
    await side.put(queue, 1);
    await eventually(() => told.includes('late 1 again'));
    await side.put(queue, 2);
    await eventually(() => told.includes('late completed'));
    expect(told).toEqual([
      'first 1',
      'first 1 again',
      'late 1 again',
      'first 2',
      'late 2',
      'first completed',
      'late completed',
    ]);
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('on two queues each get their own', async () => {
    const [one, two] = [await side.queue(), await side.queue()];
    const queue = closing(new InstanceQueue(url));
    const [a, b] = [gather(queue.consume({ queue: one })), gather(queue.consume({ queue: two }))];
    await side.put(one, 'for one');
    await side.put(two, 'for two');
    await eventually(() => a.values.length === 1 && b.values.length === 1);
    expect(a.values[0]).toMatchObject({ queue: one, body: 'for one' });
    expect(b.values[0]).toMatchObject({ queue: two, body: 'for two' });
  });

  it('go on when one of them is cancelled', async () => {
    const [one, two] = [await side.queue(), await side.queue()];
    const first = closing(new Consumer(connection, { queue: one }));
    const [a, b] = [gather(first.deliveries$), gather(consume(connection, { queue: two }))];
    await until(first.state$, ({ status }) => status === 'attached');
    await consumers(2);
    a.subscription.unsubscribe();
    await eventually(async () => (await side.count(one)).consumers === 0);
    await side.put(one, 'nobody wants it');
    await side.put(two, 'wanted');
    await eventually(() => b.values.length === 1);
    expect(a.values).toHaveLength(0);
    expect(await side.count(one)).toEqual({ ready: 1, consumers: 0 });
    expect(log.of('basic.cancel')).toHaveLength(1);
  });
});
