import { Consumer, consume, handle } from 'instance-queue';
import { lastValueFrom, take } from 'rxjs';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

describe('acks', () => {
  const given = consumingFixture();

  it('are batched: far fewer frames than messages are sent, and every message is acked', async () => {
    const { bystander, proxy, queue, log, connection } = given;
    const count = 1000;
    await bystander.put(queue, ...numbers(count));
    const consumer = new Consumer(connection, { queue, prefetch: 100 });
    await lastValueFrom(
      consumer.deliveries$.pipe(
        take(count),
        handle(() => undefined),
      ),
    );
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(log.of('basic.ack').length).toBeLessThanOrEqual(count / 4);
    await connection.close();
    await eventually(() => proxy.links === 0);
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('never cover a delivery that is still unsettled: after a lost connection that one comes again, and no other', async () => {
    const { bystander, proxy, queue, log, connection } = given;
    await bystander.put(queue, ...numbers(20));
    const { values } = collect(consume(connection, { queue, prefetch: 20 }));
    await eventually(() => values.length === 20);
    for (const delivery of values) if (delivery.body !== 7) delivery.ack();
    await eventually(() => {
      const acks = log.of('basic.ack');
      const upTo = Math.max(
        0,
        ...acks.filter(({ fields }) => fields['multiple']).map(({ fields }) => Number(fields['deliveryTag'])),
      );
      return upTo + acks.filter(({ fields }) => !fields['multiple']).length === 19;
    });
    for (const { fields } of log.of('basic.ack')) {
      if (fields['multiple'] === true) expect(fields['deliveryTag']).toBeLessThan(8);
      expect(fields['deliveryTag']).not.toBe(8);
    }
    proxy.refuse();
    proxy.cut();
    await eventually(async () => (await bystander.count(queue)).ready === 1);
    expect(await bystander.take(queue)).toEqual({ body: 7, redelivered: true });
  });

  it('called in any order settle exactly the deliveries that were acked', async () => {
    const { bystander, queue, connection } = given;
    await bystander.put(queue, ...numbers(100));
    const { values } = collect(consume(connection, { queue, prefetch: 100 }));
    await eventually(() => values.length === 100);
    // 37 is coprime to 100: every number once, out of order. Those that end in 3 stay unsettled, those in 5 are rejected.
    const order = numbers(100).map((i) => (i * 37) % 100);
    for (const i of order) {
      if (i % 10 === 5) values[i]?.reject();
      else if (i % 10 !== 3) values[i]?.ack();
    }
    await connection.close({ drainTimeout: 0 });
    await eventually(async () => (await bystander.count(queue)).ready === 10);
    const left: unknown[] = [];
    for (let got = await bystander.take(queue); got; got = await bystander.take(queue)) left.push(got.body);
    expect(left).toEqual(numbers(10).map((i) => i * 10 + 3));
  });

  it('are sent before the channel closes', async () => {
    const { bystander, queue, log, connection, untilChannelsClosed } = given;
    await bystander.put(queue, ...numbers(3));
    const consumer = new Consumer(connection, { queue, prefetch: 20 });
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 3);
    for (const delivery of values) delivery.ack();
    await consumer.close({ drainTimeout: 0 });
    await untilChannelsClosed();
    const sent = log.methods('toBroker');
    expect(sent.lastIndexOf('basic.ack')).toBeLessThan(sent.lastIndexOf('channel.close'));
    expect(sent.filter((name) => name === 'basic.ack')).toHaveLength(1);
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('do not wait for a batch to fill: a single ack is sent at once, while the consumer goes on', async () => {
    const { bystander, queue, log, connection } = given;
    await bystander.put(queue, 1);
    const { values } = collect(consume(connection, { queue, prefetch: 1000 }));
    (await eventually(() => values[0])).ack();
    await eventually(() => log.of('basic.ack').length === 1);
    expect(log.methods('toBroker')).not.toContain('basic.cancel');
  });
});
