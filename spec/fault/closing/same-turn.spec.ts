import { once } from 'node:events';
import { Consumer, Producer, handle } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { cutUntil } from '../../support/cut-until';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually } from '../../support/waiting';

/** What is written in one turn of the event loop reaches the socket later: nothing in the same turn may discard it. */
describe.each([true, false])('in the same turn, with `wire: %s`', (wire) => {
  const given = consumingFixture({ connection: { wire, reconnect: { min: 10, max: 100 } } });
  const COUNT = 2000;
  const bodies = Array.from({ length: COUNT }, (_, i) => ({ i, text: 'x'.repeat(500) }));

  it('as a close of the connection, every message that was sent is confirmed and in the queue', async () => {
    const { bystander, queue, connection } = given;
    const producer = new Producer(connection);
    await producer.send({ queue, body: 'first' });
    const sends = bodies.map((body) => producer.send({ queue, body }));
    const report = connection.close();
    await Promise.all(sends);
    expect(await report).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await bystander.count(queue)).toMatchObject({ ready: COUNT + 1 });
  });

  it('as a lost connection, messages are sent again: each is confirmed, none is missing', async () => {
    const { newConnection, proxy, queue, connection } = given;
    const producer = closing(new Producer(connection));
    await producer.send({ queue, body: 'first' });
    const sends = bodies.map((body) => producer.send({ queue, body }));
    proxy.cut();
    await Promise.all(sends);
    const seen = new Set<unknown>();
    new Consumer<{ i?: number }>(newConnection(), { queue, prefetch: 500 }).deliveries$
      .pipe(
        handle(({ body }) => {
          seen.add(body.i);
        }),
      )
      .subscribe();
    await eventually(() => seen.size === COUNT + 1);
  });

  it('as a close of the consumer, every ack reaches the broker', async () => {
    const { bystander, queue, connection } = given;
    await bystander.put(queue, ...bodies.slice(0, 40));
    const consumer = new Consumer(connection, { queue, prefetch: 40 });
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 40);
    for (const delivery of values) delivery.ack();
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('as a lost connection, acked messages are acked or redelivered, and no others', async () => {
    const { bystander, proxy, queue, connection } = given;
    await bystander.put(queue, ...bodies.slice(0, 40));
    const consumer = closing(new Consumer(connection, { queue, prefetch: 60 }));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 40);
    for (const delivery of values) delivery.ack();
    await cutUntil(proxy, async () => (await bystander.count(queue)).consumers === 0);
    await once(consumer, 'attached');
    // Redelivered messages come before this one.
    await bystander.put(queue, 'the last one');
    await eventually(() => values.at(-1)?.body === 'the last one');
    for (const delivery of values) if (delivery.settled === undefined) delivery.ack();
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('as a confirm, a close of the producer settles every send, once', async () => {
    const { queue, connection } = given;
    const producer = new Producer(connection);
    await producer.send({ queue, body: 'first' });
    let closes: Promise<unknown> | undefined;
    let confirmedEvents = 0;
    producer.on('confirmed', () => {
      confirmedEvents++;
      closes ??= producer.close({ drainTimeout: 0 });
    });
    const sends = await Promise.allSettled(bodies.map((body) => producer.send({ queue, body })));
    await closes;
    const confirmed = sends.filter(({ status }) => status === 'fulfilled').length;
    expect(confirmed).toBeGreaterThan(0);
    expect(confirmedEvents).toBe(confirmed);
    expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
  });

  it('as a confirm, further messages are sent, and none waits forever', async () => {
    const { bystander, queue, connection } = given;
    const producer = closing(new Producer(connection));
    const later: Promise<unknown>[] = [];
    producer.on('confirmed', () => {
      if (later.length < COUNT) later.push(producer.send({ queue, body: later.length }));
    });
    await Promise.all(bodies.slice(0, 100).map((body) => producer.send({ queue, body })));
    await eventually(() => later.length === COUNT);
    await Promise.all(later);
    expect(await bystander.count(queue)).toMatchObject({ ready: COUNT + 100 });
  });
});
