import { ChannelError, Connection, Consumer, consume, type ConsumerState } from 'instance-queue';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

/** What a real broker does rarely, or never on demand. */
describe('a consumer of a broker with moods', () => {
  afterEach(closeAll);

  async function scripted(script: (client: FakeClient, number: number) => void = () => undefined) {
    const broker = closing(await FakeBroker.start(script));
    const backoff = { min: 1, max: 5 };
    const connection = closing(new Connection({ url: broker.url, reconnect: backoff, reopen: backoff }));
    return { broker, connection };
  }
  const methods = (client: FakeClient | undefined, pattern: RegExp): string[] =>
    (client?.received ?? []).map(({ name }) => name).filter((name) => pattern.test(name));

  it('repeats every step when the queue vanishes between declare and consume', async () => {
    let refused = false;
    const { broker, connection } = await scripted((client) => {
      client.onMethod('basic.consume', (_, channel) => {
        if (refused) return 'default';
        refused = true;
        client.closeChannel(channel, 404, "NOT_FOUND - no queue 'q' in vhost '/'", 60, 20);
        return undefined;
      });
    });
    const topology = {
      exchanges: [{ name: 'x', type: 'fanout' }],
      queues: [{ name: 'q', autoDelete: true }],
      bindings: [{ exchange: 'x', queue: 'q' }],
    };
    const consumer = closing(new Consumer(connection, { queue: 'q', topology }));
    collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    const round = ['exchange.declare', 'queue.declare', 'queue.bind', 'basic.qos', 'basic.consume'];
    expect(methods(broker.clients[0], /^(exchange|queue|basic)\./)).toEqual([...round, ...round]);
    expect(connection.state).toMatchObject({ epoch: 1 });
  });

  it('comes back on a new channel when the broker closes its own for an ack that took too long', async () => {
    const { broker, connection } = await scripted();
    const consumer = closing(new Consumer(connection, { queue: 'q', declare: false }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const { values } = collect(consumer.deliveries$);
    const first = await until(consumer.state$, ({ status }) => status === 'attached');
    const [client] = broker.clients;
    const { channel } = (await client?.until('basic.consume')) ?? { channel: 0 };
    client?.deliver(channel, first.status === 'attached' ? first.tag : '', 1, 'slow');
    await eventually(() => values.length === 1);
    const text =
      'PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms.';
    client?.closeChannel(channel, 406, text);
    await eventually(() => states.filter(({ status }) => status === 'attached').length === 2);
    expect(values[0]?.settled).toBe('lost');
    expect(values[0]?.ack()).toBe(false);
    expect(states.find((state) => state.status === 'detached' && state.cause)).toMatchObject({
      cause: { code: 'CHANNEL_CLOSED', replyCode: 406, message: expect.stringContaining('timed out') as string },
      retryIn: 0,
    });
    expect(methods(client, /^basic\.(ack|nack|reject)$/)).toEqual([]);
  });

  it('settles nothing and minds no late delivery after a cancel, and uses neither the tag nor the channel again', async () => {
    const { broker, connection } = await scripted();
    const consumer = closing(new Consumer(connection, { queue: 'q', declare: false }));
    const tags: string[] = [];
    consumer.on('attached', ({ tag }) => tags.push(tag));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => tags.length === 1);
    const client = broker.clients[0];
    if (!client) throw new Error('nobody came');
    const { channel } = await client.until('basic.consume');
    const tag = tags[0] ?? '';
    client.deliver(channel, tag, 1, 'held');
    await eventually(() => values.length === 1);
    client.send(channel, 'basic.cancel', { consumerTag: tag, nowait: true });
    client.deliver(channel, tag, 2, 'too late');
    await eventually(() => tags.length === 2);
    for (const verb of ['ack', 'requeue', 'release', 'reject'] as const) expect(values[0]?.[verb]()).toBe(false);
    await client.until('channel.close', (method) => method.channel === channel);
    expect(values).toHaveLength(1);
    expect(tags[1]).not.toBe(tag);
    expect(methods(client, /^basic\.(ack|nack|reject)$/)).toEqual([]);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });

  it.each([
    [
      '541 on queue.declare',
      'queue.declare',
      541,
      'INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.',
    ],
    ['530 on basic.consume', 'basic.consume', 530, "NOT_ALLOWED - attempt to reuse consumer tag 't'"],
  ])(
    'fails its first attach when it is what closed the connection (%s); the others come back',
    async (_, method, code, text) => {
      const { connection } = await scripted((client) => {
        client.onMethod(method, ({ queue }) => {
          if (queue !== 'bad') return 'default';
          client.closeConnection(code, text);
          return undefined;
        });
      });
      const good = closing(new Consumer(connection, { queue: { name: 'good' } }));
      const neighbour = collect(good.deliveries$);
      await until(good.state$, ({ status }) => status === 'attached');
      const bad = collect(consume(connection, { queue: { name: 'bad' } }));
      await eventually(() => bad.error);
      expect(bad.error).toBeInstanceOf(ChannelError);
      expect(bad.error).toMatchObject({
        replyCode: code,
        retryable: false,
        message: expect.stringContaining(text) as string,
      });
      await until(good.state$, (state) => state.status === 'attached' && state.epoch === 2);
      expect(neighbour).toMatchObject({ error: undefined, completed: false });
    },
  );

  it('goes on trying when such a refusal comes later', async () => {
    const { connection } = await scripted((client, number) => {
      client.onMethod('queue.declare', () => {
        if (number === 1 || number > 3) return 'default';
        client.closeConnection(541, 'INTERNAL_ERROR');
        return undefined;
      });
    });
    const consumer = closing(new Consumer(connection, { queue: { name: 'q' } }));
    const collected = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    connection.reconnect();
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch === 4);
    expect(collected.error).toBeUndefined();
  });

  it('releases what still comes between cancel and cancel-ok', async () => {
    const { broker, connection } = await scripted((client) => {
      client.onMethod('basic.cancel', (fields, channel) => {
        for (const tag of [1, 2, 3]) client.deliver(channel, String(fields['consumerTag']), tag, 'late');
        return 'default';
      });
    });
    const consumer = closing(new Consumer(connection, { queue: 'q', declare: false }));
    const { values, subscription } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    subscription.unsubscribe();
    await until(consumer.state$, ({ status }) => status === 'detached');
    expect(values).toEqual([]);
    expect(methods(broker.clients[0], /^(basic|channel)\./)).toEqual([
      'channel.open',
      'basic.qos',
      'basic.consume',
      'basic.cancel',
      'basic.nack',
      'basic.nack',
      'basic.nack',
      'channel.close',
    ]);
  });

  it('is not held up for ever by a cancel that is never answered', async () => {
    const { connection } = await scripted((client) => {
      client.onMethod('basic.cancel', 'ignore');
      client.onMethod('channel.close', 'ignore');
    });
    const consumer = closing(new Consumer(connection, { queue: 'q', declare: false }));
    collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    const began = performance.now();
    expect(await consumer.close({ drainTimeout: 50 })).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
