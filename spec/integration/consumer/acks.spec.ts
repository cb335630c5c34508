import { Connection, Consumer, consume, handle } from 'instance-queue';
import { lastValueFrom, take } from 'rxjs';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually } from '../../support/waiting';

describe('acks', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let connection: Connection;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(url);
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
    connection = closing(new Connection(proxy.url(url)));
    queue = await side.queue();
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

  it('share frames: far fewer of them than messages, and every message is acked', async () => {
    const count = 1000;
    await side.put(queue, ...numbers(count));
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
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('never reach beyond what is still open: it survives a cut, and it alone', async () => {
    await side.put(queue, ...numbers(20));
    const { values } = gather(consume(connection, { queue, prefetch: 20 }));
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
    await eventually(async () => (await side.count(queue)).ready === 1);
    expect(await side.take(queue)).toEqual({ body: 7, redelivered: true });
  });

  it('in any order settle exactly what was acked', async () => {
    await side.put(queue, ...numbers(100));
    const { values } = gather(consume(connection, { queue, prefetch: 100 }));
    await eventually(() => values.length === 100);
    // 37 is coprime to 100: every number once, far from in order. What ends in 3 stays open, what ends in 5 is rejected.
    const order = numbers(100).map((i) => (i * 37) % 100);
    for (const i of order) {
      if (i % 10 === 5) values[i]?.reject();
      else if (i % 10 !== 3) values[i]?.ack();
    }
    await connection.close({ drainTimeout: 0 });
    await eventually(async () => (await side.count(queue)).ready === 10);
    const left: unknown[] = [];
    for (let got = await side.take(queue); got; got = await side.take(queue)) left.push(got.body);
    expect(left).toEqual(numbers(10).map((i) => i * 10 + 3));
  });

  it('are sent before the channel closes', async () => {
    await side.put(queue, ...numbers(3));
    const consumer = new Consumer(connection, { queue, prefetch: 20 });
    const { values } = gather(consumer.deliveries$);
    await eventually(() => values.length === 3);
    for (const delivery of values) delivery.ack();
    await consumer.close({ drainTimeout: 0 });
    await eventually(() => log.of('channel.close-ok').length === log.of('channel.open').length);
    const sent = log.methods('toBroker');
    expect(sent.lastIndexOf('basic.ack')).toBeLessThan(sent.lastIndexOf('channel.close'));
    expect(sent.filter((name) => name === 'basic.ack')).toHaveLength(1);
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('do not wait for others: a single one is sent at once, while the consumer goes on', async () => {
    await side.put(queue, 1);
    const { values } = gather(consume(connection, { queue, prefetch: 1000 }));
    (await eventually(() => values[0])).ack();
    await eventually(() => log.of('basic.ack').length === 1);
    expect(log.methods('toBroker')).not.toContain('basic.cancel');
  });
});
