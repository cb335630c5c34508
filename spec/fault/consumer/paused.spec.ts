import { BehaviorSubject } from 'rxjs';
import { Connection, Consumer, InstanceQueue, handle, type ConsumerState } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

describe('a consumer that is paused', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let queue: string;
  let pause: BehaviorSubject<boolean>;
  beforeEach(async () => {
    side = await Bystander.at(url);
    queue = await side.declareQueue();
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
    pause = new BehaviorSubject(false);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const backoff = { min: 5, max: 50 };
  const connected = (): Connection =>
    closing(new Connection({ url: proxy.url(url), reconnect: backoff, reopen: backoff }));
  const attached = (consumer: Consumer<number>): Promise<ConsumerState> =>
    until(consumer.state$, ({ status }) => status === 'attached');

  it('stays so over a cut, loses what was open, and attaches to the new link when it goes on', async () => {
    await side.put(queue, 1);
    const connection = connected();
    const consumer = closing(new Consumer<number>(connection, { queue, pause }));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 1);
    pause.next(true);
    await eventually(() => log.of('basic.cancel-ok').length === 1);
    proxy.cut();
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(values[0]?.settled).toBe('lost');
    expect(values[0]?.ack()).toBe(false);
    expect(consumer.state).toEqual({ status: 'paused' });
    expect((await side.count(queue)).consumers).toBe(0);
    pause.next(false);
    await eventually(() => values.length === 2);
    expect(values[1]).toMatchObject({ body: 1, redelivered: true });
    expect(consumer.state).toMatchObject({ status: 'attached', epoch: 2 });
  });

  it('that is told to go on while the link is away attaches when it is back', async () => {
    const connection = connected();
    const consumer = closing(new Consumer<number>(connection, { queue, pause }));
    collect(consumer.deliveries$);
    await attached(consumer);
    pause.next(true);
    proxy.refuse();
    proxy.cut();
    await until(connection.state$, ({ status }) => status === 'reconnecting');
    pause.next(false);
    expect(consumer.state).toEqual({ status: 'detached' });
    await proxy.restore();
    expect(await attached(consumer)).toMatchObject({ epoch: 2 });
  });

  it('finds its queue deleted meanwhile, and declares it again', async () => {
    const consumer = closing(new Consumer<number>(connected(), { queue: { name: queue }, pause }));
    const { values } = collect(consumer.deliveries$);
    await attached(consumer);
    pause.next(true);
    await eventually(() => log.of('basic.cancel-ok').length === 1);
    await side.deleteQueue(queue);
    pause.next(false);
    await attached(consumer);
    await side.put(queue, 1);
    await eventually(() => values.length === 1);
  });

  it('loses what was open with a queue that is deleted in the moment of the pause, and goes on', async () => {
    await side.put(queue, 1);
    const consumer = closing(new Consumer<number>(connected(), { queue: { name: queue }, pause }));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 1);
    proxy.hold('toClient');
    pause.next(true);
    await side.deleteQueue(queue);
    proxy.release();
    pause.next(false);
    await attached(consumer);
    await side.put(queue, 2);
    await eventually(() => values.length === 2);
    expect(values[1]?.ack()).toBe(true);
  });

  it('gives back what still came between the cancel and its answer', async () => {
    const front = closing(new InstanceQueue({ url: proxy.url(url), reconnect: backoff }));
    const consumer = front.consumer<number>({ queue, pause });
    const { values } = collect(consumer.deliveries$);
    await attached(consumer);
    proxy.hold('toClient');
    await side.put(queue, 1, 2, 3);
    await eventually(async () => (await side.count(queue)).ready === 0);
    pause.next(true);
    proxy.release();
    await eventually(async () => (await side.count(queue)).ready === 3);
    expect(values).toEqual([]);
    expect(consumer.state).toEqual({ status: 'paused' });
    pause.next(false);
    await eventually(() => values.length === 3);
    expect(values.map(({ body }) => body)).toEqual([1, 2, 3]);
  });

  it('ends with a connection that gives up meanwhile', async () => {
    const connection = closing(
      new Connection({ url: proxy.url(url), reconnect: { min: 1, max: 5, attempts: 2, initialAttempts: 5 } }),
    );
    const consumer = closing(new Consumer<number>(connection, { queue, pause }));
    const collected = collect(consumer.deliveries$);
    await attached(consumer);
    pause.next(true);
    proxy.refuse();
    proxy.cut();
    await eventually(() => collected.error !== undefined);
    expect(collected.error).toMatchObject({ code: 'CONNECT_FAILED' });
    expect(consumer.state).toMatchObject({ status: 'stopped', cause: { code: 'CONNECT_FAILED' } });
    expect(pause.observed).toBe(false);
  });

  it('loses nothing over many pauses and cuts, and repeats only what was open', async () => {
    const count = 400;
    const front = closing(new InstanceQueue({ url: proxy.url(url), reconnect: backoff, reopen: backoff }));
    const seen = new Set<number>();
    front
      .consume<number>({ queue, prefetch: 10, pause })
      .pipe(handle(async ({ body }) => void seen.add(await Promise.resolve(body))))
      .subscribe();
    for (let i = 0; i < count; i += 20) {
      pause.next(i % 40 === 0);
      await side.put(queue, ...Array.from({ length: 20 }, (_, j) => i + j));
      pause.next(i % 80 === 0);
      if (i % 60 === 0) proxy.cut();
    }
    pause.next(false);
    await eventually(async () => {
      const { ready } = await side.count(queue);
      return ready === 0 && seen.size === count && front.metrics.inFlight === 0;
    });
    await front.close();
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
    expect(front.metrics.inFlight).toBe(0);
  });
});
