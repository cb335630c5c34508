import { Subject, concatMap, tap } from 'rxjs';
import { InstanceQueue, batch, type Batch } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually } from '../../support/waiting';

describe('batches', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(url);
    queue = await side.declareQueue();
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const opened = (): InstanceQueue =>
    closing(new InstanceQueue({ url: proxy.url(url), reconnect: { min: 5, max: 50 } }));

  it('are acked in one frame each, and are full while enough messages are there', async () => {
    await side.put(queue, ...numbers(25));
    const front = opened();
    const { values } = collect(
      front.consume<number>({ queue, prefetch: 20 }).pipe(
        batch({ size: 10, within: 1000 }),
        concatMap(async (one) => {
          await Promise.resolve();
          return { bodies: one.bodies, acked: one.ack() };
        }),
      ),
    );
    await eventually(() => values.length === 3);
    expect(values).toEqual([
      { bodies: numbers(10), acked: 10 },
      { bodies: numbers(20).slice(10), acked: 10 },
      { bodies: numbers(25).slice(20), acked: 5 },
    ]);
    await front.close();
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
    for (const { fields } of log.of('basic.ack')) expect(fields).toMatchObject({ multiple: true });
  });

  it('can be settled one delivery at a time, and the rest together', async () => {
    await side.put(queue, ...numbers(4));
    const front = opened();
    const { values } = collect(front.consume<number>({ queue }).pipe(batch({ size: 4, within: 1000 })));
    const [first] = await eventually(() => (values.length === 1 ? values : undefined));
    first?.deliveries[1]?.reject();
    first?.deliveries[2]?.requeue();
    expect(first?.ack()).toBe(2);
    expect(front.metrics).toMatchObject({ acked: 2, rejected: 1, requeued: 1 });
    await front.close({ drainTimeout: 0 });
    expect(await eventually(() => side.take(queue))).toEqual({ body: 2, redelivered: true });
    expect(await side.take(queue)).toBeUndefined();
  });

  it('leave out deliveries lost before they were emitted; redelivered, these are in a later batch', async () => {
    const front = opened();
    const { values } = collect(front.consume<number>({ queue }).pipe(batch({ size: 4, within: 600_000 })));
    await side.put(queue, 0, 1);
    await eventually(() => front.metrics.inFlight === 2);
    proxy.cut();
    await eventually(() => front.metrics.lost === 2);
    await eventually(() => front.metrics.inFlight === 2);
    await side.put(queue, 2, 3);
    await eventually(() => values.length === 1);
    expect(values[0]?.bodies).toEqual([0, 1, 2, 3]);
    expect(values[0]?.deliveries.map(({ redelivered }) => redelivered)).toEqual([true, true, false, false]);
    expect(values[0]?.ack()).toBe(4);
  });

  it('that were lost after they were emitted count no acks', async () => {
    await side.put(queue, 0, 1);
    const front = opened();
    const { values } = collect(front.consume<number>({ queue }).pipe(batch({ size: 2, within: 1000 })));
    await eventually(() => values.length === 1);
    proxy.cut();
    await eventually(() => values.length === 2);
    expect(values.map((one) => one.ack())).toEqual([0, 2]);
  });

  it('that are not full are released at once when the consumer drains, which does not wait for them', async () => {
    await side.put(queue, ...numbers(5));
    const front = opened();
    const stop = new Subject<void>();
    const got: Batch<number>[] = [];
    const collected = collect(
      front.consume<number>({ queue, until: stop }).pipe(
        batch({ size: 3, within: 600_000 }),
        tap((one) => got.push(one)),
      ),
    );
    await eventually(() => front.metrics.inFlight === 5);
    stop.next();
    await eventually(() => front.metrics.released === 2);
    expect(collected.completed).toBe(false);
    expect(got[0]?.ack()).toBe(3);
    await eventually(() => collected.completed);
    expect(got).toHaveLength(1);
    expect(await side.count(queue)).toEqual({ ready: 2, consumers: 0 });
  });
});
