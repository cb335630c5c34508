import { modelOf } from '../../support/amqplib/opened-channels';
import { Connection, Consumer, consume, type ConsumerState } from 'instance-queue';
import type { Subscription } from 'rxjs';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

const backoff = { min: 1, max: 10 };

describe('no consumer, channel or listener is left', () => {
  const given = consumingFixture({ connection: { reconnect: backoff, reopen: backoff } });

  it('by a connection that is lost a hundred times', async () => {
    const { broker, newConnection, proxy, queue } = given;
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    const name = uniqueName('flapping');
    const connection = newConnection({ reconnect: backoff, reopen: backoff, name });
    const consumer = closing(new Consumer(connection, { queue }));
    collect(consumer.deliveries$);
    const attached = (epoch: number) => (state: ConsumerState) => state.status === 'attached' && state.epoch === epoch;
    const listeners = (): number => {
      const model = modelOf(connection);
      return model.listenerCount('close') + model.listenerCount('error');
    };
    await until(consumer.state$, attached(1));
    const before = listeners();
    for (let epoch = 2; epoch <= 101; epoch++) {
      proxy.cut();
      await until(consumer.state$, attached(epoch));
    }
    expect(listeners()).toBe(before);
    expect(connection.core.counters).toMatchObject({ reconnects: 100, reopens: 100 });
    const mine = (row: { readonly connection: string }): boolean => row.connection === name;
    await eventually(async () => (await broker.channels()).filter(mine).length === 1);
    expect((await broker.consumers()).filter(mine)).toHaveLength(1);
    expect((await broker.connections()).filter((row) => row.name === name)).toHaveLength(1);
    process.off('warning', warned);
    expect(warnings).toEqual([]);
  });

  it.each([
    'channel.open',
    'channel.open-ok',
    'queue.declare',
    'queue.declare-ok',
    'basic.qos',
    'basic.qos-ok',
    'basic.consume',
    'basic.consume-ok',
    'basic.deliver',
  ])('by unsubscribing at the moment of %s', async (step) => {
    const { bystander, proxy, queue, log, connection, untilConsumers, untilChannelsClosed } = given;
    await bystander.put(queue, 'stays');
    await connection.connect();
    const subscriptions: Subscription[] = [];
    proxy.onBytes(() => {
      if (log.of(step).length > 0) for (const subscription of subscriptions) subscription.unsubscribe();
    });
    const consumption = collect(consume(connection, { queue: { name: queue } }));
    subscriptions.push(consumption.subscription);
    await eventually(() => consumption.subscription.closed);
    await untilChannelsClosed();
    await untilConsumers(0);
    for (const delivery of consumption.values) delivery.release();
    expect(await eventually(() => bystander.take(queue))).toMatchObject({ body: 'stays' });
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });

  it('by fifty consumers that lose their connection and come back together', async () => {
    const { bystander, newClient, proxy, queue, untilConsumers } = given;
    const count = 50;
    const client = newClient({ reconnect: backoff, reopen: backoff });
    const all = numbers(count).map(() => collect(client.consume({ queue, prefetch: 1 })));
    // Asks the client: the broker counts a consumer before its consume-ok has arrived.
    await eventually(() => client.health.consumers.filter(({ status }) => status === 'attached').length === count);
    proxy.cut();
    await eventually(() => client.metrics.reopens === count);
    await eventually(async () => (await bystander.count(queue)).consumers === count);
    await bystander.put(queue, ...numbers(count));
    await eventually(() => all.every(({ values }) => values.length === 1));
    for (const { values } of all) values[0]?.ack();
    await eventually(() => client.metrics.acked === count);
    for (const { subscription } of all) subscription.unsubscribe();
    await untilConsumers(0);
    expect(client.metrics).toMatchObject({ delivered: count, redelivered: 0, lost: 0, inFlight: 0, reconnects: 1 });
    await eventually(() => client.health.consumers.length === 0);
  });

  it('by a consumer that finds no free channel: it waits for one, and the connection stays', async () => {
    const { url, proxy, queue } = given;
    const connection = closing(
      new Connection({ url: `${proxy.url(url)}?channelMax=3`, reconnect: backoff, reopen: backoff }),
    );
    const three = [1, 2, 3].map(() => new Consumer(connection, { queue, declare: false }));
    const first = three.map(({ deliveries$ }) => collect(deliveries$));
    for (const { state$ } of three) await until(state$, ({ status }) => status === 'attached');
    const fourth = new Consumer(connection, { queue, declare: false });
    const collected = collect(fourth.deliveries$);
    const waiting = await until(fourth.state$, (state) => state.status === 'detached' && state.retryIn !== undefined);
    expect(waiting).toMatchObject({ cause: { code: 'CHANNEL_CLOSED', retryable: true } });
    expect(String(waiting.status === 'detached' && waiting.cause)).toMatch(/No channels left.*`channel_max`/);
    first[0]?.subscription.unsubscribe();
    await until(fourth.state$, ({ status }) => status === 'attached');
    expect(collected.error).toBeUndefined();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });
});
