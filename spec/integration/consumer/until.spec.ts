import { Connection, Consumer, InstanceQueue, consume, handle } from 'instance-queue';
import { EMPTY, NEVER, Subject, firstValueFrom, lastValueFrom, of, throwError } from 'rxjs';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually } from '../../support/waiting';

describe('the end of consuming', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(url);
    queue = await side.queue();
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

  it('by `until` drains and completes: lastValueFrom is a whole graceful shutdown', async () => {
    await side.put(queue, ...numbers(6));
    const [stop, gate] = [new Subject<void>(), new Subject<void>()];
    const connection = closing(new Connection(url));
    let running = 0;
    const pipeline$ = consume<number>(connection, { queue, prefetch: 6, until: stop }).pipe(
      handle(
        async ({ body }) => {
          running++;
          await firstValueFrom(gate);
          return body;
        },
        { concurrency: 2 },
      ),
    );
    const last = lastValueFrom(pipeline$);
    await eventually(() => running === 2 && connection.core.counters.inFlight === 6);
    stop.next();
    await eventually(async () => (await side.count(queue)).ready === 4);
    gate.next();
    expect(await last).toMatchObject({ value: 1, settlement: 'ack', sent: true });
    expect(running).toBe(2);
    expect(connection.core.counters).toMatchObject({ acked: 2, released: 4, inFlight: 0, lost: 0 });
    expect(connection.state.status).toBe('connected');
    expect(await side.count(queue)).toEqual({ ready: 4, consumers: 0 });
  });

  it.each([
    ['a value that is there already', of(1)],
    ['an end without a value', EMPTY],
    ['an error', throwError(() => new Error('stop'))],
    ['a promise', Promise.resolve()],
    ['an iterable', [1, 2]],
  ])('by `until` comes with %s', async (_, end) => {
    const gathered = gather(consume(closing(new Connection(url)), { queue, until: end }));
    await eventually(() => gathered.completed);
    expect(gathered.error).toBeUndefined();
    expect((await side.count(queue)).consumers).toBe(0);
  });

  it('by `until` comes before the broker does', () => {
    const stop = new Subject<void>();
    const connection = closing(new Connection('amqp://127.0.0.1:1'));
    const gathered = gather(consume(connection, { queue, until: stop }));
    stop.next();
    expect(gathered).toMatchObject({ completed: true, error: undefined });
    expect(stop.observed).toBe(false);
  });

  it('by the subscriber lets go of `until`', () => {
    const stop = new Subject<void>();
    const { subscription } = gather(consume(closing(new Connection(url)), { queue, until: stop }));
    expect(stop.observed).toBe(true);
    subscription.unsubscribe();
    expect(stop.observed).toBe(false);
  });

  it('waits no longer than the drain timeout: the work is told to stop, and its message comes again', async () => {
    await side.put(queue, 'slow', 'quick');
    const front = closing(new InstanceQueue(url));
    const reasons: unknown[] = [];
    const consumer = front.consumer<string>({ queue });
    const { values } = gather(
      consumer.deliveries$.pipe(
        handle(({ body }, { signal }) => {
          signal.addEventListener('abort', () => reasons.push(signal.reason));
          return body === 'slow' ? NEVER : 'done';
        }),
      ),
    );
    await eventually(() => values.length === 1);
    expect(await consumer.close({ drainTimeout: 50 })).toEqual({ unsettled: 1, unconfirmed: 0 });
    expect(consumer.state).toEqual({ status: 'stopped' });
    await eventually(() => values.length === 2);
    expect(values[1]).toMatchObject({ message: { body: 'slow' }, sent: false });
    expect(reasons).toEqual([expect.objectContaining({ code: 'CONSUMER_CANCELLED' })]);
    expect(await eventually(() => side.take(queue))).toEqual({ body: 'slow', redelivered: true });
    expect(await side.take(queue)).toBeUndefined();
    expect(front.metrics).toMatchObject({ acked: 1, lost: 1, inFlight: 0 });
  });

  it('by closing the Connection reports what was left, of all its consumers', async () => {
    const other = await side.queue();
    await side.put(queue, 1, 2, 3);
    await side.put(other, 4);
    const connection = closing(new Connection({ url, drainTimeout: 30 }));
    const [a, b] = [gather(consume(connection, { queue })), gather(consume(connection, { queue: other }))];
    await eventually(() => a.values.length === 3 && b.values.length === 1);
    a.values[0]?.ack();
    expect(await connection.close()).toEqual({ unsettled: 3, unconfirmed: 0 });
    expect([a.completed, b.completed]).toEqual([true, true]);
    await eventually(async () => (await side.count(queue)).ready === 2 && (await side.count(other)).ready === 1);
  });

  it('can be shortened: a close with less time ends a drain that has more', async () => {
    await side.put(queue, 1);
    const proxy = closing(await FaultProxy.before(url));
    const log = new FrameLog(proxy);
    const connection = closing(new Connection(proxy.url(url)));
    const { values, subscription } = gather(consume(connection, { queue }));
    await eventually(() => values.length === 1);
    subscription.unsubscribe();
    await eventually(() => log.of('basic.cancel-ok').length === 1);
    expect(await connection.close({ drainTimeout: 20 })).toEqual({ unsettled: 1, unconfirmed: 0 });
    expect(values[0]?.settled).toBe('lost');
  });

  it('is the same when asked for twice, and when asked for in a handler', async () => {
    await side.put(queue, 1);
    const consumer = closing(new Consumer(closing(new Connection(url)), { queue }));
    const reports: Promise<unknown>[] = [];
    const done = gather(consumer.deliveries$);
    consumer.deliveries$.subscribe((delivery) => {
      reports.push(consumer.close(), consumer.close());
      delivery.ack();
    });
    await eventually(() => reports.length === 2);
    expect(reports[0]).toBe(reports[1]);
    expect(await reports[0]).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(done.completed).toBe(true);
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('is for good: who subscribes again on completion gets nothing, and nothing is left attached', async () => {
    const consumer = closing(new Consumer(closing(new Connection(url)), { queue }));
    let again: { readonly completed: boolean } | undefined;
    consumer.deliveries$.subscribe({
      complete: () => {
        again = gather(consumer.deliveries$);
      },
    });
    consumer.once('attached', () => void consumer.close());
    await eventually(() => again);
    expect(again?.completed).toBe(true);
    await eventually(() => consumer.state.status === 'stopped');
    await eventually(async () => (await side.count(queue)).consumers === 0);
  });
});
