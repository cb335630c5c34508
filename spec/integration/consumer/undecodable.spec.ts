import { Connection, Consumer, ConsumerError, InstanceQueue, json, type ConsumerEvents } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, until } from '../../support/waiting';

describe('a message that cannot be decoded', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  beforeEach(async () => {
    side = await Bystander.at(url);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const contentType = 'application/json';

  it('is rejected, told of and counted, never emitted; the stream goes on', async () => {
    const [dead, queue] = [await side.queue(), side.tidies()];
    const front = closing(new InstanceQueue(url));
    const consumer = front.consumer({ queue: { name: queue, deadLetter: { queue: dead } } });
    const told: ConsumerEvents['undecodable'][] = [];
    consumer.on('undecodable', (...event) => told.push(event));
    const { values } = gather(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.put(queue, 'before');
    await side.raw('', queue, [Buffer.from('{"secret')], { contentType, messageId: 'broken' });
    await side.put(queue, 'after');
    await eventually(() => values.length === 2);
    expect(values.map(({ body }) => body)).toEqual(['before', 'after']);

    const [[message, cause]] = told as [ConsumerEvents['undecodable']];
    expect(told).toHaveLength(1);
    expect(message).toMatchObject({ queue, body: Buffer.from('{"secret'), properties: { messageId: 'broken' } });
    expect(message).not.toHaveProperty('ack');
    expect(cause).toBeInstanceOf(ConsumerError);
    expect(cause).toMatchObject({ code: 'UNDECODABLE', queue, cause: expect.any(Error) as Error });
    expect(cause.message).not.toContain('secret');
    await eventually(async () => (await side.count(dead)).ready === 1);
    for (const delivery of values) delivery.ack();
    await consumer.close();
    expect(front.metrics).toMatchObject({ delivered: 2, acked: 2, undecodable: 1, inFlight: 0, lost: 0 });
    expect((await side.count(queue)).ready).toBe(0);
  });

  it('is requeued if so wished, and may be decoded by another', async () => {
    const queue = await side.queue();
    const connection = closing(new Connection(url));
    let tries = 0;
    const parse = (value: unknown): unknown => {
      if (++tries < 3) throw new Error('not yet');
      return value;
    };
    const consumer = closing(new Consumer(connection, { queue, codec: json(parse), onUndecodable: 'requeue' }));
    const { values } = gather(consumer.deliveries$);
    await side.put(queue, 'stubborn');
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ body: 'stubborn', redelivered: true });
    expect(tries).toBe(3);
    expect(connection.core.counters.undecodable).toBe(2);
  });

  it('among others does not disturb what an ack of them covers', async () => {
    const proxy = closing(await FaultProxy.before(url));
    const log = new FrameLog(proxy);
    const [dead, queue] = [await side.queue(), side.tidies()];
    const connection = closing(new Connection(proxy.url(url)));
    const consumer = closing(new Consumer(connection, { queue: { name: queue, deadLetter: { queue: dead } } }));
    const { values } = gather(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    const contents = ['1', '{', '2', '{', '3'].map((text) => Buffer.from(text));
    await side.raw('', queue, contents, { contentType });
    await eventually(() => values.length === 3);
    for (const delivery of values) delivery.ack();
    await consumer.close();
    expect(log.of('basic.reject').map(({ fields }) => fields['deliveryTag'])).toEqual([2, 4]);
    expect(log.methods('toClient').filter((name) => name === 'channel.close')).toEqual([]);
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
    await eventually(async () => (await side.count(dead)).ready === 2);
  });
});
