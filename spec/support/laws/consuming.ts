import { handle, text, type CloseReport, type ConsumerError, type Delivery, type Message } from 'instance-queue';
import { Subject, lastValueFrom, toArray } from 'rxjs';
import { collect } from '../collect';
import { eventually, rejection, until } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** What holds for consuming, on any broker. */
export function consumingLaws(given: { readonly broker: BrokerUnderTest }): void {
  const sent = async (name: string, ...bodies: unknown[]): Promise<void> => {
    for (const body of bodies) await given.broker.put(name, Buffer.from(JSON.stringify(body)), 'application/json');
  };

  it('deliveries arrive in order and complete, and are removed from the queue by an ack', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const deliveries = collect(queue.consume<number>({ queue: name }));
    for (const body of [1, 2, 3]) {
      await queue.send({
        queue: name,
        body,
        messageId: `m${String(body)}`,
        headers: { trace: 't', deep: { list: [1] } },
      });
    }
    await eventually(() => deliveries.values.length === 3);
    expect(deliveries.values.map(({ body }) => body)).toEqual([1, 2, 3]);
    expect(deliveries.values[0]).toMatchObject({
      queue: name,
      exchange: '',
      routingKey: name,
      redelivered: false,
      deliveryCount: 0,
    });
    expect(deliveries.values[0]?.properties).toMatchObject({
      messageId: 'm1',
      contentType: 'application/json',
      headers: { trace: 't', deep: { list: [1] } },
    });
    expect(deliveries.values.map((delivery) => delivery.ack())).toEqual([true, true, true]);
    expect(deliveries.values.map((delivery) => delivery.ack())).toEqual([false, false, false]);
    await queue.close();
    expect((await given.broker.count(name)).ready).toBe(0);
  });

  it("a queue that the broker names has the bindings of its name, '', in a topology, and no other queue has them", async () => {
    const [events, orders] = [given.broker.freeQueueName(), await given.broker.declareQueue()];
    const topology = {
      exchanges: [{ name: events, type: 'fanout', autoDelete: true }],
      queues: [{ name: orders }, { name: '' }],
      bindings: [{ exchange: events, queue: '' }],
    };
    const clients = [given.broker.newClient({ topology }), given.broker.newClient({ topology })] as const;
    const copies = clients.map((queue) => collect(queue.consume<number>({ queue: '' })));
    const other = collect(clients[0].consume({ queue: orders }));
    await eventually(() => clients[0].health.consumers.every(({ status }) => status === 'attached'));
    await eventually(() => clients[1].health.consumers.every(({ status }) => status === 'attached'));
    await clients[0].send({ exchange: events, body: 1 });
    await clients[0].send({ queue: orders, body: 2 });
    await eventually(() => [...copies, other].every(({ values }) => values.length > 0));
    expect([...copies, other].map(({ values }) => values.map(({ body }) => body))).toEqual([[1], [1], [2]]);
  });

  it('requeue and release return a message to its place in the queue, reject moves it to the dead-letter queue', async () => {
    const dead = await given.broker.declareQueue();
    const name = await given.broker.declareQueue({ deadLetter: { queue: dead } });
    const queue = given.broker.newClient();
    const seen: [number, boolean][] = [];
    const verbs: ((delivery: Delivery<number>) => boolean)[] = [
      (delivery) => delivery.requeue(),
      (delivery) => delivery.release(),
      (delivery) => delivery.reject(),
      (delivery) => delivery.ack(),
    ];
    queue.consume<number>({ queue: name, prefetch: 1 }).subscribe((delivery) => {
      seen.push([delivery.body, delivery.redelivered]);
      verbs[seen.length - 1]?.(delivery);
    });
    await sent(name, 1, 2);
    await eventually(() => seen.length === 4);
    expect(seen).toEqual([
      [1, false],
      [1, true],
      [1, true],
      [2, false],
    ]);
    const [message] = await given.broker.takeMessages(dead, 1);
    expect(message).toMatchObject({ body: 1, headers: { 'x-death': [{ queue: name, reason: 'rejected', count: 1 }] } });
    expect(queue.metrics).toMatchObject({
      delivered: 4,
      redelivered: 2,
      requeued: 1,
      released: 1,
      rejected: 1,
      acked: 1,
    });
  });

  it('a consumer never has more unsettled deliveries than its prefetch', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const [one, other] = [0, 1].map(() => collect(queue.consume<number>({ queue: name, prefetch: 2 })));
    await until(queue.health$, ({ consumers }) => consumers.filter(({ status }) => status === 'attached').length === 2);
    await sent(name, 1, 2, 3, 4, 5);
    await eventually(() => one!.values.length === 2 && other!.values.length === 2);
    expect((await given.broker.count(name)).ready).toBe(1);
    one!.values[0]?.ack();
    await eventually(() => one!.values.length === 3);
  });

  it('messages go to the consumers of a queue in turn', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const [one, other] = [0, 1].map(() => collect(queue.consume<number>({ queue: name })));
    await until(queue.health$, ({ consumers }) => consumers.filter(({ status }) => status === 'attached').length === 2);
    await sent(name, 1, 2, 3, 4);
    await eventually(() => one!.values.length === 2 && other!.values.length === 2);
    expect(one!.values.map(({ body }) => body % 2)).toEqual([one!.values[0]!.body % 2, one!.values[0]!.body % 2]);
  });

  it('a message whose handler fails is requeued once, then rejected', async () => {
    const dead = await given.broker.declareQueue();
    const name = await given.broker.declareQueue({ deadLetter: { queue: dead } });
    const queue = given.broker.newClient();
    const work = ({ body }: Message<number>): number => {
      if (body === 1) throw new RangeError('one');
      return body * 10;
    };
    const handled = collect(queue.consume<number>({ queue: name, prefetch: 1 }).pipe(handle(work)));
    await sent(name, 1, 2);
    await eventually(() => handled.values.length === 3);
    expect(handled.values.map(({ settlement, value }) => [settlement, value])).toEqual([
      ['requeue', undefined],
      ['reject', undefined],
      ['ack', 20],
    ]);
    expect(await given.broker.takeMessages(dead, 1)).toMatchObject([{ body: 1 }]);
  });

  it('a message that cannot be decoded emits `undecodable`, is rejected, and never reaches the stream', async () => {
    const dead = await given.broker.declareQueue();
    const name = await given.broker.declareQueue({ deadLetter: { queue: dead } });
    const queue = given.broker.newClient();
    const consumer = queue.consumer<number>({ queue: name });
    const events: [string, ConsumerError][] = [];
    consumer.on('undecodable', ({ content }, cause) => events.push([content.toString(), cause]));
    const bodies: number[] = [];
    consumer.deliveries$.subscribe((delivery) => {
      bodies.push(delivery.body);
      delivery.ack();
    });
    await given.broker.put(name, Buffer.from('{broken'), 'application/json');
    await sent(name, 2);
    await eventually(() => bodies.length === 1);
    expect(bodies).toEqual([2]);
    expect(events).toMatchObject([['{broken', { code: 'UNDECODABLE' }]]);
    await eventually(async () => (await given.broker.count(dead)).ready === 1);
    expect(queue.metrics).toMatchObject({ undecodable: 1, delivered: 1 });
  });

  it('with noAck a message has left the queue when it is delivered', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    await given.broker.put(name, Buffer.from('plain'), 'text/plain');
    const message = await until(queue.consume({ queue: name, noAck: true, codec: text }), () => true);
    expect(message).toMatchObject({ body: 'plain', queue: name });
    expect(message).not.toHaveProperty('ack');
    await queue.close();
    expect((await given.broker.count(name)).ready).toBe(0);
  });

  it('with noAck a message that arrives after the unsubscribe was not delivered', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const got: unknown[] = [];
    const subscription = queue.consume({ queue: name, noAck: true }).subscribe(({ body }) => got.push(body));
    await sent(name, 1);
    await eventually(() => got.length === 1);
    given.broker.hold();
    await sent(name, 2);
    await eventually(async () => (await given.broker.count(name)).ready === 0);
    subscription.unsubscribe();
    given.broker.release();
    await queue.close();
    expect([got, queue.metrics.delivered]).toEqual([[1], 1]);
  });

  it('when the connection is lost, work on a delivery is aborted, and the message is redelivered', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const runs: { body: number; redelivered: boolean; aborted: boolean }[] = [];
    let go = (): void => undefined;
    const work = ({ body, redelivered }: Message<number>, { signal }: { signal: AbortSignal }): Promise<void> =>
      new Promise((resolve) => {
        const run = { body, redelivered, aborted: false };
        runs.push(run);
        signal.addEventListener('abort', () => (run.aborted = true));
        if (redelivered) resolve();
        else go = resolve;
      });
    const handled = collect(queue.consume<number>({ queue: name }).pipe(handle(work)));
    await sent(name, 1);
    await eventually(() => runs.length === 1);
    await given.broker.disconnect();
    await eventually(() => runs[0]?.aborted);
    go();
    await given.broker.reconnect();
    await eventually(() => handled.values.length === 2);
    expect(runs).toEqual([
      { body: 1, redelivered: false, aborted: true },
      { body: 1, redelivered: true, aborted: false },
    ]);
    expect(handled.values.map(({ sent: accepted }) => accepted)).toEqual([false, true]);
    expect(queue.metrics).toMatchObject({ lost: 1, redelivered: 1, acked: 1 });
  });

  it('a consumer whose queue is deleted attaches to a new one', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const consumer = queue.consumer<number>({ queue: name });
    const statuses: string[] = [];
    consumer.state$.subscribe(({ status }) => {
      if (statuses.at(-1) !== status) statuses.push(status);
    });
    const deliveries = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await given.broker.deleteQueue(name);
    await until(consumer.state$, () => statuses.filter((status) => status === 'attached').length === 2);
    await queue.send({ queue: name, body: 1 });
    await eventually(() => deliveries.values.length === 1);
    expect(statuses).toEqual(['detached', 'attached', 'detached', 'attached']);
  });

  it('the first attach fails if the queue exists with other arguments', async () => {
    const name = await given.broker.declareQueue({ messageTtl: 1000 });
    const queue = given.broker.newClient();
    const error = await rejection(lastValueFrom(queue.consume({ queue: { name, messageTtl: 2000 } })));
    expect(error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406 });
    expect(queue.health.status).toBe('down');
  });

  it('`until` cancels the consumer, lets running work finish, and completes', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const stop$ = new Subject<void>();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    let running = 0;
    const work = async ({ body }: Message<number>): Promise<number> => {
      running++;
      await gate;
      return body;
    };
    const done = lastValueFrom(
      queue.consume<number>({ queue: name, until: stop$ }).pipe(handle(work, { concurrency: 2 }), toArray()),
    );
    await sent(name, 1, 2, 3, 4);
    await eventually(() => running === 2 && queue.metrics.inFlight === 4);
    stop$.next();
    await eventually(async () => (await given.broker.count(name)).ready === 2);
    go();
    expect((await done).map(({ value }) => value)).toEqual([1, 2]);
    expect((await given.broker.takeMessages(name, 2)).map(({ body }) => body)).toEqual([3, 4]);
  });

  it.each(['consumer', 'queue'] as const)(
    'closing the %s from a listener of `draining` waits for what was handed out',
    async (which) => {
      const [name, other] = [await given.broker.declareQueue(), await given.broker.declareQueue()];
      const queue = given.broker.newClient();
      const until$ = new Subject<void>();
      const consumer = queue.consumer({ queue: name, until: until$ });
      let closing: Promise<CloseReport> | undefined;
      consumer.once('draining', () => {
        closing = (which === 'consumer' ? consumer : queue).close();
      });
      const { values } = collect(consumer.deliveries$);
      await sent(name, 1);
      await eventually(() => values.length === 1);
      until$.next();
      await queue.send({ queue: other, body: 'while it drains' });
      const { status } = consumer.state;
      expect([status, values[0]?.ack()]).toEqual(['draining', true]);
      await expect(closing).resolves.toEqual({ unsettled: 0, unconfirmed: 0 });
      expect((await given.broker.count(name)).ready).toBe(0);
    },
  );

  it.each(['consumer', 'queue'] as const)('a later close of the %s shortens the time that is left', async (which) => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const consumer = queue.consumer({ queue: name });
    const { values } = collect(consumer.deliveries$);
    await sent(name, 1);
    await eventually(() => values.length === 1);
    const closed = which === 'consumer' ? consumer : queue;
    const began = performance.now();
    const patient = closed.close({ drainTimeout: 20_000 });
    const report = await closed.close({ drainTimeout: 0 });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect([report, await patient]).toEqual(Array(2).fill({ unsettled: 1, unconfirmed: 0 }));
  });

  it('close stops consuming, waits for running work, and still sends what that work sends', async () => {
    const name = await given.broker.declareQueue();
    const target = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    let running = false;
    const work = async ({ body }: Message<unknown>): Promise<void> => {
      running = true;
      await gate;
      await queue.send({ queue: target, body });
    };
    queue.consume({ queue: name }).pipe(handle(work)).subscribe();
    await sent(name, 1);
    await eventually(() => running);
    const closed = queue.close();
    await until(queue.state$, ({ consumer }) => consumer.status === 'closing');
    go();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await given.broker.takeMessages(target, 1)).toMatchObject([{ body: 1 }]);
    expect((await given.broker.count(name)).ready).toBe(0);
    expect(queue.state).toEqual({ producer: { status: 'closed' }, consumer: { status: 'closed' } });
  });
}
