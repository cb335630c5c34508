import { Consumer, ConsumerError, json, type ConsumerEvents } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, until } from '../../support/waiting';

describe('a message that cannot be decoded', () => {
  const given = consumingFixture();

  const contentType = 'application/json';

  it('is rejected, reported and counted but never emitted, and the deliveries after it are', async () => {
    const { bystander, newClient } = given;
    const [dead, queue] = [await bystander.declareQueue(), bystander.freeQueueName()];
    const client = newClient();
    const consumer = client.consumer({ queue: { name: queue, deadLetter: { queue: dead } } });
    const events: ConsumerEvents['undecodable'][] = [];
    consumer.on('undecodable', (...event) => events.push(event));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.put(queue, 'before');
    await bystander.publishRaw('', queue, [Buffer.from('{"secret')], { contentType, messageId: 'broken' });
    await bystander.put(queue, 'after');
    await eventually(() => values.length === 2);
    expect(values.map(({ body }) => body)).toEqual(['before', 'after']);

    const [[message, cause]] = events as [ConsumerEvents['undecodable']];
    expect(events).toHaveLength(1);
    expect(message).toMatchObject({ queue, body: Buffer.from('{"secret'), properties: { messageId: 'broken' } });
    expect(message).not.toHaveProperty('ack');
    expect(cause).toBeInstanceOf(ConsumerError);
    expect(cause).toMatchObject({ code: 'UNDECODABLE', queue, cause: expect.any(Error) as Error });
    expect(cause.message).not.toContain('secret');
    await eventually(async () => (await bystander.count(dead)).ready === 1);
    for (const delivery of values) delivery.ack();
    await consumer.close();
    expect(client.metrics).toMatchObject({ delivered: 2, acked: 2, undecodable: 1, inFlight: 0, lost: 0 });
    expect((await bystander.count(queue)).ready).toBe(0);
  });

  it('is requeued with `onUndecodable: requeue`, and may be decoded later', async () => {
    const { bystander, queue, connection } = given;
    let tries = 0;
    const parse = (value: unknown): unknown => {
      if (++tries < 3) throw new Error('not yet');
      return value;
    };
    const consumer = closing(new Consumer(connection, { queue, codec: json(parse), onUndecodable: 'requeue' }));
    const { values } = collect(consumer.deliveries$);
    await bystander.put(queue, 'stubborn');
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ body: 'stubborn', redelivered: true });
    expect(tries).toBe(3);
    expect(connection.core.counters.undecodable).toBe(2);
  });

  it('between others is not covered by their acks', async () => {
    const { bystander, log, connection } = given;
    const [dead, queue] = [await bystander.declareQueue(), bystander.freeQueueName()];
    const consumer = closing(new Consumer(connection, { queue: { name: queue, deadLetter: { queue: dead } } }));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    const contents = ['1', '{', '2', '{', '3'].map((text) => Buffer.from(text));
    await bystander.publishRaw('', queue, contents, { contentType });
    await eventually(() => values.length === 3);
    for (const delivery of values) delivery.ack();
    await consumer.close();
    expect(log.of('basic.reject').map(({ fields }) => fields['deliveryTag'])).toEqual([2, 4]);
    expect(log.methods('toClient').filter((name) => name === 'channel.close')).toEqual([]);
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
    await eventually(async () => (await bystander.count(dead)).ready === 2);
  });
});
