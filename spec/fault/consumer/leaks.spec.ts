import { modelOf } from '../../support/amqplib/opened-channels';
import { Connection, Consumer, InstanceQueue, consume, type ConsumerState } from 'instance-queue';
import type { Subscription } from 'rxjs';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

describe('nothing is left behind', () => {
  const broker = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(broker.url);
    queue = await side.declareQueue();
    proxy = closing(await FaultProxy.before(broker.url));
    log = new FrameLog(proxy);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const backoff = { min: 1, max: 10 };
  const options = () => ({ url: proxy.url(broker.url), reconnect: backoff, reopen: backoff });

  it('at the broker nor in listeners by a hundred cuts', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    const name = uniqueName('flapping');
    const connection = closing(new Connection({ ...options(), name }));
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
  ])('by unsubscribing in the moment of %s', async (step) => {
    await side.put(queue, 'stays');
    const connection = closing(new Connection(options()));
    await connection.connect();
    const subscriptions: Subscription[] = [];
    proxy.onBytes(() => {
      if (log.of(step).length > 0) for (const subscription of subscriptions) subscription.unsubscribe();
    });
    const consumption = collect(consume(connection, { queue: { name: queue } }));
    subscriptions.push(consumption.subscription);
    await eventually(() => consumption.subscription.closed);
    await eventually(() => log.of('channel.open').length === log.of('channel.close-ok').length);
    await eventually(async () => (await side.count(queue)).consumers === 0);
    for (const delivery of consumption.values) delivery.release();
    expect(await eventually(() => side.take(queue))).toMatchObject({ body: 'stays' });
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });

  it('by fifty consumers that are cut off and come back together', async () => {
    const count = 50;
    const front = closing(new InstanceQueue(options()));
    const numbers = Array.from({ length: count }, (_, i) => i);
    const all = numbers.map(() => collect(front.consume({ queue, prefetch: 1 })));
    // Seen from here: the broker knows of a consumer before its consume-ok has arrived.
    await eventually(() => front.health.consumers.filter(({ status }) => status === 'attached').length === count);
    proxy.cut();
    await eventually(() => front.metrics.reopens === count);
    await eventually(async () => (await side.count(queue)).consumers === count);
    await side.put(queue, ...numbers);
    await eventually(() => all.every(({ values }) => values.length === 1));
    for (const { values } of all) values[0]?.ack();
    await eventually(() => front.metrics.acked === count);
    for (const { subscription } of all) subscription.unsubscribe();
    await eventually(async () => (await side.count(queue)).consumers === 0);
    expect(front.metrics).toMatchObject({ delivered: count, redelivered: 0, lost: 0, inFlight: 0, reconnects: 1 });
    await eventually(() => front.health.consumers.length === 0);
  });

  it('of a consumer that finds no channel free: it waits for one, and the connection goes on', async () => {
    const connection = closing(new Connection({ ...options(), url: `${proxy.url(broker.url)}?channelMax=3` }));
    const three = [1, 2, 3].map(() => new Consumer(connection, { queue, declare: false }));
    const first = three.map(({ deliveries$ }) => collect(deliveries$));
    for (const { state$ } of three) await until(state$, ({ status }) => status === 'attached');
    const fourth = new Consumer(connection, { queue, declare: false });
    const collected = collect(fourth.deliveries$);
    const waiting = await until(fourth.state$, (state) => state.status === 'detached' && state.retryIn !== undefined);
    expect(waiting).toMatchObject({ cause: { code: 'CHANNEL_CLOSED', retryable: true } });
    expect(String(waiting.status === 'detached' && waiting.cause)).toContain('No channels left');
    first[0]?.subscription.unsubscribe();
    await until(fourth.state$, ({ status }) => status === 'attached');
    expect(collected.error).toBeUndefined();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });
});
