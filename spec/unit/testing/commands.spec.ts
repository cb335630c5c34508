import { handle, InstanceQueue, type Message } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

afterEach(closeAll);

describe('a FakeInstanceQueue', () => {
  it('is an InstanceQueue, and refuses what one refuses', () => {
    const queue: InstanceQueue = closing(new FakeInstanceQueue({ name: 'app', consumer: { prefetch: 5 } }));
    expect(queue).toBeInstanceOf(InstanceQueue);
    expect(() => new FakeInstanceQueue({ consumer: { prefetch: 0 } })).toThrow('`consumer.prefetch`');
    expect(() => queue.consume({ queue: { name: '', type: 'quorum' } })).toThrow('quorum');
  });

  it('shares a broker with others, as services do', async () => {
    const broker = new MemoryBroker();
    const [shop, store] = [closing(new FakeInstanceQueue({ broker })), closing(new FakeInstanceQueue({ broker }))];
    const bodies = collect(store.consume({ queue: 'orders' }));
    await shop.send({ queue: 'orders', body: 1 });
    await eventually(() => bodies.values.length === 1);
    expect(new FakeInstanceQueue().broker).not.toBe(broker);
  });

  it('is at rest when all is sent, delivered and settled; until then it says what is under way', async () => {
    const queue = closing(new FakeInstanceQueue());
    await queue.rest();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const work = async ({ body }: Message<unknown>): Promise<void> => {
      begin();
      await gate;
      await queue.send({ queue: 'done', body });
    };
    queue.consume({ queue: 'orders' }).pipe(handle(work)).subscribe();
    void queue.send({ queue: 'orders', body: 1 });
    await begun;
    await expect(queue.rest(20)).rejects.toThrow('Not at rest within 20 ms: work on 1 message under way.');
    go();
    await queue.rest();
    expect(queue.broker.messages('done').map(({ body }) => body)).toEqual([1]);
    queue.broker.disconnect();
    const waiting = queue.send({ queue: 'done', body: 2 });
    await expect(queue.rest(20)).rejects.toThrow('Not at rest within 20 ms: sending 1 message under way.');
    queue.broker.reconnect();
    await Promise.all([waiting, queue.rest()]);
  });

  it('says why a consumer does not attach, when it is not at rest', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.declare({ name: 'orders', exclusive: true });
    queue.consume({ queue: 'orders' }).subscribe();
    await until(queue.health$, ({ consumers }) => consumers.some((one) => one.status === 'detached' && one.cause));
    await expect(queue.rest(20)).rejects.toThrow(/attaching the consumer of `orders` \(.*405 RESOURCE_LOCKED/);
  });
});

describe('a MemoryBroker', () => {
  it('shows what was published and what lies where', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.consume({ queue: 'held', prefetch: 1 }).subscribe();
    for (const body of [1, 2]) await queue.send({ queue: 'held', body, headers: { n: body } });
    await eventually(() => queue.metrics.inFlight === 1);
    expect(queue.broker.published).toMatchObject([
      { body: 1, exchange: '', routingKey: 'held', properties: { headers: { n: 1 }, contentType: 'application/json' } },
      { body: 2 },
    ]);
    expect(queue.broker.queues).toMatchObject([{ name: 'held', messages: [{ body: 2 }], unsettled: 1, consumers: 1 }]);
    queue.broker.purge('held');
    expect(queue.broker.messages('held')).toEqual([]);
    expect(queue.broker.messages('no such queue')).toEqual([]);
  });

  it('puts what no `send` would write, also through an exchange', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.put({ queue: 'orders', body: Buffer.from('{'), contentType: 'application/json' });
    expect(queue.broker.messages('orders')).toMatchObject([{ body: undefined, content: Buffer.from('{') }]);
    queue.broker.put({ exchange: 'amq.topic', routingKey: 'nobody', body: 1 });
    expect(() => {
      queue.broker.put({ exchange: 'missing', body: 1 });
    }).toThrow("NOT_FOUND - no exchange 'missing' in vhost '/'. Wait until the app has declared it (`rest()`)");
    expect(queue.broker.published).toEqual([]);
    await queue.rest();
  });

  it('puts a message whose members are getters of its class whole', () => {
    class Order {
      readonly #id = 7;
      readonly queue = 'orders';
      get body(): number {
        return this.#id;
      }
      get type(): string {
        return `order ${String(this.#id)}`;
      }
    }
    const broker = new MemoryBroker();
    broker.put(new Order());
    expect(broker.messages('orders')).toMatchObject([{ body: 7, properties: { type: 'order 7' } }]);
  });

  it('says whether a queue took what was put', () => {
    const broker = new MemoryBroker();
    broker.declare({ name: 'short', maxLength: 1, overflow: 'reject-publish' });
    expect(broker.queues).toMatchObject([
      { name: 'short', arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } },
    ]);
    expect(broker.put({ exchange: 'amq.direct', routingKey: 'short', body: 0 })).toBe(false);
    expect([1, 2].map((body) => broker.put({ queue: 'short', body }))).toEqual([true, false]);
  });

  it('puts bodies as `send` would encode them', () => {
    const broker = new MemoryBroker();
    const bodies = [{ a: 1 }, 'text', new TextEncoder().encode('bytes'), Buffer.from('{')];
    for (const body of bodies) broker.put({ queue: 'q', body });
    broker.put({ queue: 'q', body: 'plain', contentType: 'text/plain' });
    expect(broker.messages('q').map(({ content, properties }) => [content.toString(), properties])).toEqual([
      ['{"a":1}', { contentType: 'application/json', headers: {} }],
      ['"text"', { contentType: 'application/json', headers: {} }],
      ['bytes', { headers: {} }],
      ['{', { headers: {} }],
      ['plain', { contentType: 'text/plain', headers: {} }],
    ]);
  });

  it.each(['before', 'after'])('keeps what is put into a queue that the app declares: %s its consume', async (when) => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.declare({ name: 'dead' });
    const put = (): void => {
      for (const body of [1, 2]) queue.broker.put({ queue: 'orders', body });
    };
    if (when === 'before') put();
    const spec = { name: 'orders', maxLength: 1, deadLetter: { queue: 'dead' } };
    const deliveries = collect(queue.consume({ queue: spec, prefetch: 1 }));
    if (when === 'after') put();
    await eventually(() => deliveries.values.length === 1);
    // Under the arguments of the declaration.
    expect(deliveries.error).toBeUndefined();
    expect(deliveries.values[0]?.body).toBe(2);
    expect(queue.broker.messages('dead')).toMatchObject([{ body: 1 }]);
  });

  it('takes a queue that was put into for a plain one as soon as a client uses it by its name alone', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.put({ queue: 'orders', body: 1 });
    await queue.send({ queue: 'orders', body: 2 });
    expect(queue.broker.messages('orders').map(({ body }) => body)).toEqual([1, 2]);
    const refused = collect(queue.consume({ queue: { name: 'orders', messageTtl: 5000 } }));
    await eventually(() => refused.error);
    expect(refused.error).toMatchObject({ replyCode: 406 });
  });

  it('shows what was put into a queue that is not declared, and lets it expire', () => {
    const broker = new MemoryBroker();
    broker.put({ queue: 'orders', body: 1 });
    broker.put({ queue: 'orders', body: 2, expiration: 0 });
    expect(broker.queues).toMatchObject([{ name: 'orders', messages: [{ body: 1 }, { body: 2 }], consumers: 0 }]);
    broker.purge('orders');
    broker.put({ queue: 'orders', body: 3, expiration: 0 });
    expect(broker.messages('orders')).toEqual([]);
    broker.deleteQueue('orders');
    expect(broker.queues).toEqual([]);
  });

  it('declares what another client declared: a topology, or a queue that is locked', async () => {
    const queue = closing(new FakeInstanceQueue({ reopen: { initialAttempts: 1 } }));
    queue.broker.declare({
      exchanges: [{ name: 'events', type: 'topic' }],
      queues: [{ name: 'paid' }],
      bindings: [{ exchange: 'events', queue: 'paid', routingKey: 'order.paid' }],
    });
    await queue.send({ exchange: 'events', routingKey: 'order.paid', body: 1 });
    expect(queue.broker.messages('paid')).toMatchObject([{ body: 1, exchange: 'events' }]);
    queue.broker.declare({ name: 'theirs', exclusive: true });
    const refused = collect(queue.consume({ queue: 'theirs' }));
    await eventually(() => refused.error);
    expect(refused.error).toMatchObject({ replyCode: 405 });
    queue.broker.deleteExchange('events');
    const gone = await publishError(queue.send({ exchange: 'events', routingKey: 'order.paid', body: 2 }));
    expect(gone).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404 });
  });

  it('refuses to declare what no client could', () => {
    const broker = new MemoryBroker();
    expect(() => {
      broker.declare({ name: 'q', messageTtl: -1 });
    }).toThrow('`spec.messageTtl`');
    expect(() => {
      broker.declare({ exchanges: [{ name: 'e', type: 'direct', durable: 1 } as never] });
    }).toThrow('`topology.exchanges[0].durable`');
    broker.declare({ name: 'q' });
    expect(() => {
      broker.declare({ name: 'q', maxLength: 5 });
    }).toThrow("PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/'");
  });

  it('returns on command', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.declare({ name: 'orders' });
    queue.broker.returnNext();
    const send = queue.send({ exchange: '', routingKey: 'orders', body: 1 });
    expect(await publishError(send)).toMatchObject({ code: 'PUBLISH_RETURNED', replyCode: 312 });
    queue.broker.returnNext(2);
    expect(await publishError(queue.send({ queue: 'orders', body: 2 }))).toMatchObject({ code: 'PUBLISH_RETURNED' });
    await queue.send({ queue: 'orders', body: 3 });
    expect(queue.broker.messages('orders').map(({ body }) => body)).toEqual([3]);
  });

  it('nacks on command', async () => {
    const queue = closing(new FakeInstanceQueue({ producer: { onNack: 'reject' } }));
    queue.broker.nackNext();
    expect(await publishError(queue.send({ queue: 'orders', body: 1 }))).toMatchObject({ code: 'PUBLISH_NACKED' });
    await queue.send({ queue: 'orders', body: 2 });
    expect(queue.broker.messages('orders').map(({ body }) => body)).toEqual([2]);
  });

  it('cancels consumers on command: what is out is lost, and comes again', async () => {
    const queue = closing(new FakeInstanceQueue());
    const consumer = queue.consumer<number>({ queue: 'orders' });
    const lost: unknown[] = [];
    consumer.on('lost', ({ body }) => lost.push(body));
    const deliveries = collect(consumer.deliveries$);
    await queue.send({ queue: 'orders', body: 1 });
    await eventually(() => deliveries.values.length === 1);
    queue.broker.cancelConsumers('orders');
    await eventually(() => deliveries.values.length === 2);
    expect(lost).toEqual([1]);
    expect(deliveries.values.map(({ settled, redelivered }) => [settled, redelivered])).toEqual([
      ['lost', false],
      [undefined, true],
    ]);
  });

  it('reads nothing from the moment of `disconnect` on', async () => {
    const queue = closing(new FakeInstanceQueue());
    await queue.send({ queue: 'orders', body: 1 });
    queue.broker.disconnect();
    const sent = queue.send({ queue: 'orders', body: 2 });
    await until(queue.state$, ({ producer }) => producer.status === 'reconnecting');
    expect(queue.broker.published).toHaveLength(1);
    queue.broker.reconnect();
    expect(await sent).toMatchObject({ epoch: 2 });
    expect(queue.broker.messages('orders').map(({ body }) => body)).toEqual([1, 2]);
  });

  it('delivers what a `disconnect` returned once more, however many consumers lost their connections', async () => {
    const broker = new MemoryBroker();
    broker.declare({ name: 'orders', type: 'quorum' });
    const clients = [0, 1, 2].map(() => closing(new FakeInstanceQueue({ broker })));
    const seen: number[] = [];
    for (const client of clients)
      client.consume({ queue: 'orders' }).subscribe(({ deliveryCount }) => seen.push(deliveryCount));
    await Promise.all(clients.map((client) => until(client.health$, ({ status }) => status === 'up')));
    broker.put({ queue: 'orders', body: 1 });
    await eventually(() => seen.length === 1);
    broker.disconnect();
    await Promise.all(clients.map((client) => until(client.health$, ({ status }) => status === 'degraded')));
    broker.reconnect();
    await eventually(() => seen.length === 2);
    // Each loss counts as a failed delivery, as by RabbitMQ; there was one.
    expect(seen).toEqual([0, 1]);
  });

  it('comes back at once when it is told to, however long the next attempt would have waited', async () => {
    const queue = closing(new FakeInstanceQueue({ reconnect: { min: 60_000, max: 60_000, jitter: 0 } }));
    await queue.connect();
    queue.broker.disconnect();
    const { producer } = await until(queue.state$, (state) => state.producer.status === 'reconnecting');
    expect(producer).toMatchObject({ delay: 60_000, cause: { code: 'CONNECTION_LOST' } });
    await expect(queue.rest(10)).resolves.toBeUndefined();
    queue.broker.reconnect();
    await until(
      queue.state$,
      (state) => state.producer.status === 'connected' && state.consumer.status === 'connected',
      1000,
    );
    queue.broker.disconnect();
    queue.broker.reconnect();
    await until(queue.state$, (state) => state.producer.status === 'connected' && state.producer.epoch === 3, 1000);
  });

  it('filters what a stream holds, and rests when its consumers have read it', async () => {
    const queue = closing(new FakeInstanceQueue());
    const spec = { name: 'log', type: 'stream' } as const;
    for (const filter of ['a', 'b', undefined, 'a']) {
      const headers = filter === undefined ? {} : { 'x-stream-filter-value': filter };
      queue.broker.put({ queue: 'log', body: filter ?? 'none', headers });
    }
    const read = async (args: Record<string, unknown>): Promise<unknown[]> => {
      const deliveries = collect(queue.consume({ queue: spec, offset: 'first', arguments: args }));
      await eventually(() => queue.health.status === 'up');
      await queue.rest(50).catch(() => undefined);
      for (const delivery of deliveries.values) delivery.ack();
      await queue.rest();
      deliveries.subscription.unsubscribe();
      return deliveries.values.map(({ body }) => body);
    };
    expect(await read({ 'x-stream-filter': 'a' })).toEqual(['a', 'a']);
    expect(await read({ 'x-stream-filter': ['a', 'b'] })).toEqual(['a', 'b', 'a']);
    expect(await read({ 'x-stream-filter': 'b', 'x-stream-match-unfiltered': true })).toEqual(['b', 'none']);
    expect(queue.broker.messages('log')).toHaveLength(4);
  });

  it('purges a stream as its retention would: what comes then has the next offset', async () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.declare({ name: 'log', type: 'stream' });
    for (const body of [1, 2]) queue.broker.put({ queue: 'log', body });
    queue.broker.purge('log');
    queue.broker.put({ queue: 'log', body: 3 });
    const deliveries = collect(queue.consume({ queue: 'log', offset: 'first' }));
    await eventually(() => deliveries.values.length === 1);
    expect(deliveries.values[0]).toMatchObject({ body: 3, offset: 2 });
  });

  it('counts the failures of quorum queues, and keeps their delivery limit', async () => {
    const queue = closing(new FakeInstanceQueue());
    const spec = { name: 'q', type: 'quorum', deliveryLimit: 2, deadLetter: { queue: 'dead' } } as const;
    queue.broker.declare({ name: 'dead' });
    const counts: number[] = [];
    queue.consume({ queue: spec }).subscribe((delivery) => {
      counts.push(delivery.deliveryCount);
      delivery.requeue();
    });
    await queue.send({ queue: 'q', body: 1 });
    await eventually(() => queue.broker.messages('dead').length === 1);
    expect(counts).toEqual([0, 1, 2]);
    const [letter] = queue.broker.messages('dead');
    expect(letter?.properties.headers?.['x-death']).toMatchObject([{ reason: 'delivery_limit', queue: 'q' }]);
  });

  it('hands messages to the first consumers of the highest priority', async () => {
    const queue = closing(new FakeInstanceQueue());
    const low = collect(queue.consume({ queue: 'q', priority: 1 }));
    const high = collect(queue.consume({ queue: 'q', priority: 2, prefetch: 2 }));
    await queue.rest();
    for (const body of [1, 2, 3]) await queue.send({ queue: 'q', body });
    await eventually(() => queue.metrics.inFlight === 3);
    expect([high.values.length, low.values.length]).toEqual([2, 1]);
  });

  it('is not brought to a stop by messages that go in circles', async () => {
    const queue = closing(new FakeInstanceQueue());
    const work = (): never => {
      throw new Error('never');
    };
    queue
      .consume({ queue: 'q', prefetch: 1 })
      .pipe(handle(work, { onError: 'requeue' }))
      .subscribe();
    await queue.send({ queue: 'q', body: 1 });
    await new Promise((resolve) => setTimeout(resolve, 1));
    await eventually(() => queue.metrics.requeued > 2000);
  });
});
