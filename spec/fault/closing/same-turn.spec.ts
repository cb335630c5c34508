import { once } from 'node:events';
import { Connection, Consumer, Producer, handle } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { cutUntil } from '../../support/cut-until';
import { collect } from '../../support/collect';
import { eventually } from '../../support/waiting';

/** What is written in a turn goes to the socket later: nothing that ends that turn may take it along. */
describe.each([true, false])('in the same turn, with `wire: %s`', (wire) => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let connection: Connection;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(url);
    proxy = closing(await FaultProxy.before(url));
    connection = closing(new Connection({ url: proxy.url(url), wire, reconnect: { min: 10, max: 100 } }));
    queue = await side.declareQueue();
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const COUNT = 2000;
  const bodies = Array.from({ length: COUNT }, (_, i) => ({ i, text: 'x'.repeat(500) }));

  it('as a close of the connection, what was sent is confirmed, and there', async () => {
    const producer = new Producer(connection);
    await producer.send({ queue, body: 'first' });
    const sends = bodies.map((body) => producer.send({ queue, body }));
    const report = connection.close();
    await Promise.all(sends);
    expect(await report).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await side.count(queue)).toMatchObject({ ready: COUNT + 1 });
  });

  it('as a cut, what was sent is sent again: each is confirmed, none is missing', async () => {
    const producer = closing(new Producer(connection));
    await producer.send({ queue, body: 'first' });
    const sends = bodies.map((body) => producer.send({ queue, body }));
    proxy.cut();
    await Promise.all(sends);
    const seen = new Set<unknown>();
    const taker = closing(new Connection(url));
    new Consumer<{ i?: number }>(taker, { queue, prefetch: 500 }).deliveries$
      .pipe(
        handle(({ body }) => {
          seen.add(body.i);
        }),
      )
      .subscribe();
    await eventually(() => seen.size === COUNT + 1);
  });

  it('as a close of the consumer, every ack arrives', async () => {
    await side.put(queue, ...bodies.slice(0, 40));
    const consumer = new Consumer(connection, { queue, prefetch: 40 });
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 40);
    for (const delivery of values) delivery.ack();
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('as a cut, what was acked comes again, or was acked: nothing else', async () => {
    await side.put(queue, ...bodies.slice(0, 40));
    const consumer = closing(new Consumer(connection, { queue, prefetch: 60 }));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 40);
    for (const delivery of values) delivery.ack();
    await cutUntil(proxy, async () => (await side.count(queue)).consumers === 0);
    await once(consumer, 'attached');
    // What comes again comes before it.
    await side.put(queue, 'the last one');
    await eventually(() => values.at(-1)?.body === 'the last one');
    for (const delivery of values) if (delivery.settled === undefined) delivery.ack();
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('as its confirm, a producer is closed: every send settles, once', async () => {
    const producer = new Producer(connection);
    await producer.send({ queue, body: 'first' });
    let closes: Promise<unknown> | undefined;
    let told = 0;
    producer.on('confirmed', () => {
      told++;
      closes ??= producer.close({ drainTimeout: 0 });
    });
    const sends = await Promise.allSettled(bodies.map((body) => producer.send({ queue, body })));
    await closes;
    const confirmed = sends.filter(({ status }) => status === 'fulfilled').length;
    expect(confirmed).toBeGreaterThan(0);
    expect(told).toBe(confirmed);
    expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
  });

  it('as its confirm, each message sends another: none waits for ever', async () => {
    const producer = closing(new Producer(connection));
    const later: Promise<unknown>[] = [];
    producer.on('confirmed', () => {
      if (later.length < COUNT) later.push(producer.send({ queue, body: later.length }));
    });
    await Promise.all(bodies.slice(0, 100).map((body) => producer.send({ queue, body })));
    await eventually(() => later.length === COUNT);
    await Promise.all(later);
    expect(await side.count(queue)).toMatchObject({ ready: COUNT + 100 });
  });
});
