import { Consumer, consume, handle, type ConsumerState } from 'instance-queue';
import { channelsOf, provokeException } from '../../support/amqplib/opened-channels';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, until } from '../../support/waiting';

const backoff = { min: 5, max: 50 };

describe('a consumer that loses its connection', () => {
  const given = consumingFixture({ connection: { reconnect: backoff, reopen: backoff } });

  it('attaches when the broker is up, however often the connection was refused before', async () => {
    const { bystander, proxy, queue, connection } = given;
    proxy.refuse();
    const consumer = closing(new Consumer(connection, { queue }));
    const { values } = collect(consumer.deliveries$);
    await until(connection.state$, (state) => state.status === 'reconnecting' && state.attempt > 3);
    expect(consumer.state).toEqual({ status: 'detached' });
    await bystander.put(queue, 'early');
    await proxy.restore();
    await eventually(() => values.length === 1);
    expect(consumer.state).toMatchObject({ status: 'attached', queue, epoch: 1 });
  });

  it.each(['cut', 'finish'] as const)(
    'attaches again after a drop (%s), and gets its unsettled messages again',
    async (drop) => {
      const { bystander, proxy, queue, connection } = given;
      const consumer = closing(new Consumer(connection, { queue }));
      const { values } = collect(consumer.deliveries$);
      await bystander.put(queue, 'open');
      await eventually(() => values.length === 1);
      proxy[drop]();
      await eventually(() => values.length === 2);
      expect(values[0]).toMatchObject({ settled: 'lost', redelivered: false });
      expect(values[1]).toMatchObject({ body: 'open', redelivered: true, settled: undefined });
      expect(consumer.state).toMatchObject({ status: 'attached', epoch: 2 });
      expect(values[1]?.ack()).toBe(true);
      await consumer.close();
      expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
    },
  );

  it('attaches again if the broker closes its connection', async () => {
    const { broker, newConnection, queue } = given;
    const name = `closed-${queue}`;
    const connection = newConnection({ reconnect: backoff, reopen: backoff, name });
    const consumer = closing(new Consumer(connection, { queue }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await broker.closeConnection(name);
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch === 2);
    expect(states.map(({ status }) => status)).toEqual(['detached', 'detached', 'attached', 'detached', 'attached']);
    expect(states[3]).toMatchObject({ cause: { code: 'CONNECTION_LOST', replyCode: 320 } });
    expect(states[3]).not.toHaveProperty('retryIn');
  });

  it('attaches again after an exception on its channel, on a new channel of the same connection', async () => {
    const { bystander, queue, log, connection } = given;
    await connection.connect();
    const channels = channelsOf(connection);
    const consumer = closing(new Consumer(connection, { queue, declare: false }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const { values } = collect(consumer.deliveries$);
    await bystander.put(queue, 'open');
    await eventually(() => values.length === 1);
    provokeException(channels[0], queue);
    await eventually(() => values.length === 2);
    expect(values.map(({ settled }) => settled)).toEqual(['lost', undefined]);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(connection.core.counters).toMatchObject({ reconnects: 0, reopens: 1, lost: 1, inFlight: 1 });
    const detached = states.find((state) => state.status === 'detached' && state.cause !== undefined);
    expect(detached).toMatchObject({ cause: { code: 'CHANNEL_CLOSED', replyCode: 406 }, retryIn: 0 });
    expect(log.of('basic.consume')).toHaveLength(2);
  });

  it('leaves other consumers alone if its channel fails', async () => {
    const { bystander, queue, connection } = given;
    const other = await bystander.declareQueue();
    await connection.connect();
    const channels = channelsOf(connection);
    const [mine, neighbour] = [
      new Consumer(connection, { queue, declare: false }),
      new Consumer(connection, { queue: other }),
    ];
    const tags: string[] = [];
    neighbour.on('attached', ({ tag }) => tags.push(tag));
    collect(mine.deliveries$);
    await until(mine.state$, ({ status }) => status === 'attached');
    const { values } = collect(neighbour.deliveries$);
    await bystander.put(other, 1);
    await eventually(() => values.length === 1);
    provokeException(channels[0], queue);
    await eventually(() => connection.core.counters.reopens === 1);
    await until(mine.state$, ({ status }) => status === 'attached');
    expect(tags).toHaveLength(1);
    expect(values[0]?.ack()).toBe(true);
  });

  it('loses no message, and repeats only unsettled ones, over many lost connections', async () => {
    const { broker, bystander, newClient, proxy, queue } = given;
    const count = 300;
    const client = newClient({ reconnect: backoff, reopen: backoff });
    const seen = new Map<number, number>();
    client
      .consume<number>({ queue, prefetch: 10 })
      .pipe(handle(({ body }) => void seen.set(body, (seen.get(body) ?? 0) + 1)))
      .subscribe();
    for (let i = 0; i < count; i += 30) {
      await bystander.put(queue, ...Array.from({ length: 30 }, (_, j) => i + j));
      await eventually(() => seen.has(i));
      proxy.cut();
    }
    // Messages that were unsettled at the last cut are redelivered: only the queue shows when all are done.
    await eventually(async () =>
      (await broker.queues()).some(({ name, messages }) => name === queue && messages === 0),
    );
    expect(seen.size).toBe(count);
    const times = [...seen.values()].reduce((sum, n) => sum + n, 0);
    expect(client.metrics.delivered).toBe(times);
    await client.close();
    await eventually(() => proxy.links === 0);
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('survives a connection that is lost as soon as it is up', async () => {
    const { bystander, proxy, queue, connection } = given;
    let cuts = 0;
    connection.on('connected', () => {
      if (++cuts <= 5) proxy.cut();
    });
    const { values } = collect(consume(connection, { queue }));
    await bystander.put(queue, 'at last');
    await eventually(() => values.length > 0);
    expect(values[0]?.body).toBe('at last');
    expect(cuts).toBe(6);
    expect((await bystander.count(queue)).consumers).toBe(1);
  });

  it('survives a connection that is lost at any step of attaching', async () => {
    const { bystander, proxy, queue, log, connection, untilConsumers } = given;
    const spec = { name: queue };
    const steps = [
      'channel.open',
      'queue.declare',
      'basic.qos',
      'basic.consume',
      'channel.open-ok',
      'queue.declare-ok',
      'basic.consume-ok',
    ];
    const cut = new Set<string>();
    proxy.onBytes(() => {
      const last = log.frames.at(-1);
      const step = steps.find(
        (name) => !cut.has(name) && log.frames.some((frame) => frame.name === name && frame.link === last?.link),
      );
      if (step === undefined) return;
      cut.add(step);
      proxy.cut();
    });
    const collected = collect(consume(connection, { queue: spec }));
    await eventually(() => cut.size === steps.length);
    await bystander.put(queue, 'through');
    await eventually(() => collected.values.some(({ settled }) => settled === undefined));
    expect(collected.error).toBeUndefined();
    await untilConsumers(1);
  });
});
