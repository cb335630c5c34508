import { Subscription } from 'rxjs';
import { Consumer, consume, handle, type Delivery } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually, until } from '../../support/waiting';

describe('several subscribers', () => {
  const given = consumingFixture();
  const attached = (count: number): Promise<boolean> =>
    eventually(() => given.log.of('basic.consume-ok').length === count);

  it('of consume() compete: each has its own AMQP consumer, and each message goes to one of them', async () => {
    const { bystander, queue, connection } = given;
    const orders$ = consume<number>(connection, { queue });
    const [a, b] = [collect(orders$.pipe(handle(() => 'a'))), collect(orders$.pipe(handle(() => 'b')))];
    await attached(2);
    expect((await bystander.count(queue)).consumers).toBe(2);
    await bystander.put(queue, ...numbers(20));
    await eventually(() => a.values.length + b.values.length === 20);
    expect(a.values.length).toBe(10);
    const seen = [...a.values, ...b.values].map(({ message }) => message.body);
    expect(seen.sort((x, y) => x - y)).toEqual(numbers(20));
  });

  it('of a Consumer share one AMQP consumer and the same deliveries, and the first to settle one decides', async () => {
    const { bystander, queue, log, connection } = given;
    const consumer = closing(new Consumer(connection, { queue }));
    const [a, b] = [collect(consumer.deliveries$), collect(consumer.deliveries$)];
    await bystander.put(queue, 1, 2);
    await eventually(() => b.values.length === 2);
    expect(a.values).toEqual(b.values);
    expect(a.values[0]).toBe(b.values[0]);
    expect((await bystander.count(queue)).consumers).toBe(1);
    expect(a.values[0]?.ack()).toBe(true);
    expect(b.values[0]?.reject()).toBe(false);
    expect(b.values[0]?.settled).toBe('ack');
    b.values[1]?.ack();
    await consumer.close();
    expect(log.of('basic.consume')).toHaveLength(1);
    expect(log.of('basic.reject')).toHaveLength(0);
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('keep a Consumer attached until the last of them leaves; the next one attaches it again', async () => {
    const { bystander, queue, connection, untilConsumers } = given;
    const consumer = closing(new Consumer(connection, { queue }));
    const [a, b] = [collect(consumer.deliveries$), collect(consumer.deliveries$)];
    await until(consumer.state$, ({ status }) => status === 'attached');
    a.subscription.unsubscribe();
    await bystander.put(queue, 1);
    await eventually(() => b.values.length === 1);
    expect(a.values).toHaveLength(0);
    b.values[0]?.ack();
    b.subscription.unsubscribe();
    expect(await until(consumer.state$, ({ status }) => status === 'detached')).toEqual({ status: 'detached' });
    await untilConsumers(0);

    await bystander.put(queue, 2);
    const c = collect(consumer.deliveries$);
    await eventually(() => c.values.length === 1);
    expect(c.values[0]?.body).toBe(2);
    expect(consumer.state.status).toBe('attached');
  });

  it('attach a Consumer again while its earlier deliveries are still draining', async () => {
    const { bystander, queue, connection } = given;
    const consumer = closing(new Consumer(connection, { queue }));
    const first = collect(consumer.deliveries$);
    await bystander.put(queue, 'old');
    await eventually(() => first.values.length === 1);
    first.subscription.unsubscribe();
    const second = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.put(queue, 'new');
    await eventually(() => second.values.length === 1);
    expect(second.values[0]?.body).toBe('new');
    expect(first.values[0]?.ack()).toBe(true);
    expect(second.values[0]?.ack()).toBe(true);
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('may join, leave, lose the connection and close during a delivery: those who remain get the rest, and the completion', async () => {
    const { bystander, proxy, queue, connection } = given;
    const consumer = closing(new Consumer<number>(connection, { queue }));
    const events: string[] = [];
    const subscribe = (name: string, next: (delivery: Delivery<number>) => void = () => undefined): Subscription =>
      consumer.deliveries$.subscribe({
        next: (delivery) => {
          events.push(`${name} ${String(delivery.body)}${delivery.redelivered ? ' again' : ''}`);
          next(delivery);
        },
        complete: () => events.push(`${name} completed`),
      });
    const leaving = new Subscription();
    subscribe('first', (delivery) => {
      if (delivery.body === 1 && !delivery.redelivered) {
        subscribe('late');
        leaving.unsubscribe();
        // The delivery is not settled, so it is redelivered.
        proxy.cut();
      } else delivery.ack();
      if (delivery.body === 2) void consumer.close();
    });
    leaving.add(subscribe('leaving'));
    await bystander.put(queue, 1);
    await eventually(() => events.includes('late 1 again'));
    await bystander.put(queue, 2);
    await eventually(() => events.includes('late completed'));
    expect(events).toEqual([
      'first 1',
      'first 1 again',
      'late 1 again',
      'first 2',
      'late 2',
      'first completed',
      'late completed',
    ]);
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('of two queues each get the messages of their own', async () => {
    const { bystander, newClient } = given;
    const [one, two] = [await bystander.declareQueue(), await bystander.declareQueue()];
    const client = newClient();
    const [a, b] = [collect(client.consume({ queue: one })), collect(client.consume({ queue: two }))];
    await bystander.put(one, 'for one');
    await bystander.put(two, 'for two');
    await eventually(() => a.values.length === 1 && b.values.length === 1);
    expect(a.values[0]).toMatchObject({ queue: one, body: 'for one' });
    expect(b.values[0]).toMatchObject({ queue: two, body: 'for two' });
  });

  it('of other queues go on when one of them unsubscribes', async () => {
    const { bystander, log, connection } = given;
    const [one, two] = [await bystander.declareQueue(), await bystander.declareQueue()];
    const first = closing(new Consumer(connection, { queue: one }));
    const [a, b] = [collect(first.deliveries$), collect(consume(connection, { queue: two }))];
    await until(first.state$, ({ status }) => status === 'attached');
    await attached(2);
    a.subscription.unsubscribe();
    await eventually(async () => (await bystander.count(one)).consumers === 0);
    await bystander.put(one, 'not consumed');
    await bystander.put(two, 'consumed');
    await eventually(() => b.values.length === 1);
    expect(a.values).toHaveLength(0);
    expect(await bystander.count(one)).toEqual({ ready: 1, consumers: 0 });
    expect(log.of('basic.cancel')).toHaveLength(1);
  });
});
