import { Connection, Consumer, InstanceQueue, consume, handle, type ConsumerState } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { channelsOf, provokeException } from '../../support/amqplib/opened-channels';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

describe('a consumer whose link comes and goes', () => {
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
  const backoff = { min: 5, max: 50 };
  const options = () => ({ url: proxy.url(broker.url), reconnect: backoff, reopen: backoff });

  it('attaches when the broker comes, however often it was refused before', async () => {
    proxy.refuse();
    const connection = closing(new Connection(options()));
    const consumer = closing(new Consumer(connection, { queue }));
    const { values } = collect(consumer.deliveries$);
    await until(connection.state$, (state) => state.status === 'reconnecting' && state.attempt > 3);
    expect(consumer.state).toEqual({ status: 'detached' });
    await side.put(queue, 'early');
    await proxy.restore();
    await eventually(() => values.length === 1);
    expect(consumer.state).toMatchObject({ status: 'attached', queue, epoch: 1 });
  });

  it.each(['cut', 'finish'] as const)(
    'registers again after a drop (%s), and gets what was open once more',
    async (drop) => {
      const connection = closing(new Connection(options()));
      const consumer = closing(new Consumer(connection, { queue }));
      const { values } = collect(consumer.deliveries$);
      await side.put(queue, 'open');
      await eventually(() => values.length === 1);
      proxy[drop]();
      await eventually(() => values.length === 2);
      expect(values[0]).toMatchObject({ settled: 'lost', redelivered: false });
      expect(values[1]).toMatchObject({ body: 'open', redelivered: true, settled: undefined });
      expect(consumer.state).toMatchObject({ status: 'attached', epoch: 2 });
      expect(values[1]?.ack()).toBe(true);
      await consumer.close();
      expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
    },
  );

  it('registers again when the broker closes its connection', async () => {
    const name = `closed-${queue}`;
    const connection = closing(new Connection({ ...options(), name }));
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

  it('registers again after an exception on its channel, on a new one of the same connection', async () => {
    const connection = closing(new Connection(options()));
    await connection.connect();
    const channels = channelsOf(connection);
    const consumer = closing(new Consumer(connection, { queue, declare: false }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const { values } = collect(consumer.deliveries$);
    await side.put(queue, 'open');
    await eventually(() => values.length === 1);
    provokeException(channels[0], queue);
    await eventually(() => values.length === 2);
    expect(values.map(({ settled }) => settled)).toEqual(['lost', undefined]);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(connection.core.counters).toMatchObject({ reconnects: 0, reopens: 1, lost: 1, inFlight: 1 });
    const told = states.find((state) => state.status === 'detached' && state.cause !== undefined);
    expect(told).toMatchObject({ cause: { code: 'CHANNEL_CLOSED', replyCode: 406 }, retryIn: 0 });
    expect(log.of('basic.consume')).toHaveLength(2);
  });

  it('leaves its neighbours alone when its channel fails', async () => {
    const other = await side.declareQueue();
    const connection = closing(new Connection(options()));
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
    await side.put(other, 1);
    await eventually(() => values.length === 1);
    provokeException(channels[0], queue);
    await eventually(() => connection.core.counters.reopens === 1);
    await until(mine.state$, ({ status }) => status === 'attached');
    expect(tags).toHaveLength(1);
    expect(values[0]?.ack()).toBe(true);
  });

  it('loses nothing and repeats only what was open, over many cuts', async () => {
    const count = 300;
    const front = closing(new InstanceQueue(options()));
    const seen = new Map<number, number>();
    front
      .consume<number>({ queue, prefetch: 10 })
      .pipe(handle(({ body }) => void seen.set(body, (seen.get(body) ?? 0) + 1)))
      .subscribe();
    for (let i = 0; i < count; i += 30) {
      await side.put(queue, ...Array.from({ length: 30 }, (_, j) => i + j));
      await eventually(() => seen.has(i));
      proxy.cut();
    }
    // What was open at the last cut comes once more: the queue itself says when all is done.
    await eventually(async () =>
      (await broker.queues()).some(({ name, messages }) => name === queue && messages === 0),
    );
    expect(seen.size).toBe(count);
    const times = [...seen.values()].reduce((sum, n) => sum + n, 0);
    expect(front.metrics.delivered).toBe(times);
    await front.close();
    await eventually(() => proxy.links === 0);
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('survives a link that dies in the moment it is up', async () => {
    const connection = closing(new Connection(options()));
    let cuts = 0;
    connection.on('connected', () => {
      if (++cuts <= 5) proxy.cut();
    });
    const { values } = collect(consume(connection, { queue }));
    await side.put(queue, 'at last');
    await eventually(() => values.length > 0);
    expect(values[0]?.body).toBe('at last');
    expect(cuts).toBe(6);
    expect((await side.count(queue)).consumers).toBe(1);
  });

  it('survives a link that dies at every step of attaching', async () => {
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
    const connection = closing(new Connection(options()));
    const collected = collect(consume(connection, { queue: spec }));
    await eventually(() => cut.size === steps.length);
    await side.put(queue, 'through');
    await eventually(() => collected.values.some(({ settled }) => settled === undefined));
    expect(collected.error).toBeUndefined();
    await eventually(async () => (await side.count(queue)).consumers === 1);
  });
});
