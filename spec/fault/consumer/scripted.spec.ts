import { ChannelError, Consumer, consume, type ConsumerState } from 'instance-queue';
import { type FakeClient } from '../../support/fake-broker/fake-broker';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { eventually, until } from '../../support/waiting';

/** What a real broker does rarely, or never on demand. */
describe('a consumer of a scripted broker', () => {
  const { start } = fakeBrokerFixture();

  const methods = (client: FakeClient | undefined, pattern: RegExp): string[] =>
    (client?.received ?? []).map(({ name }) => name).filter((name) => pattern.test(name));

  it('repeats every step of attaching if the queue is deleted between declare and consume', async () => {
    let refused = false;
    const { fake, connection } = await start((client) => {
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
    expect(methods(fake.clients[0], /^(exchange|queue|basic)\./)).toEqual([...round, ...round]);
    expect(connection.state).toMatchObject({ epoch: 1 });
  });

  it('attaches on a new channel if the broker closes its channel because an ack took too long', async () => {
    const { fake, connection } = await start();
    const consumer = closing(new Consumer(connection, { queue: 'q', declare: false }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const { values } = collect(consumer.deliveries$);
    const first = await until(consumer.state$, ({ status }) => status === 'attached');
    const [client] = fake.clients;
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

  it('settles nothing and ignores late deliveries after a cancel by the broker, and reuses neither the tag nor the channel', async () => {
    const { fake, connection } = await start();
    const consumer = closing(new Consumer(connection, { queue: 'q', declare: false }));
    const tags: string[] = [];
    consumer.on('attached', ({ tag }) => tags.push(tag));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => tags.length === 1);
    const client = fake.clients[0];
    if (!client) throw new Error('Expected a client.');
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
    'fails its first attach if its request closes the connection (%s), and other consumers attach again',
    async (_, method, code, text) => {
      const { connection } = await start((client) => {
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

  it('attaches at its second attempt if a process of the broker crashed over the first', async () => {
    // RabbitMQ 3.10 closes one of two connections that declare the same new quorum queue at once, and gives no reason.
    const { connection } = await start((client, number) => {
      client.onMethod('queue.declare', () => {
        if (number > 1) return 'default';
        client.closeConnection(541, 'INTERNAL_ERROR');
        return undefined;
      });
    });
    const consumer = closing(new Consumer(connection, { queue: { name: 'q' } }));
    const collected = collect(consumer.deliveries$);
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch === 2);
    expect(collected.error).toBeUndefined();
  });

  it('fails its first attach if a process of the broker crashes over it each time', async () => {
    const { connection } = await start((client) => {
      client.onMethod('queue.declare', () => {
        client.closeConnection(541, 'INTERNAL_ERROR');
        return undefined;
      });
    });
    const collected = collect(consume(connection, { queue: { name: 'q' } }));
    await eventually(() => collected.error);
    expect(collected.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 541, retryable: false });
  });

  it('keeps trying if such a refusal comes after its first attach', async () => {
    const { connection } = await start((client, number) => {
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

  it('releases the deliveries that arrive between cancel and cancel-ok', async () => {
    const { fake, connection } = await start((client) => {
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
    expect(methods(fake.clients[0], /^(basic|channel)\./)).toEqual([
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

  it('closes although its cancel is never answered', async () => {
    const { connection } = await start((client) => {
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
