import { Connection, Consumer, consume, handle } from 'instance-queue';
import { EMPTY, NEVER, Subject, firstValueFrom, lastValueFrom, of, throwError } from 'rxjs';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

describe('the end of consuming', () => {
  const given = consumingFixture();

  it('by `until` drains and completes, so that lastValueFrom waits for a graceful shutdown', async () => {
    const { bystander, queue, connection } = given;
    await bystander.put(queue, ...numbers(6));
    const [stop, gate] = [new Subject<void>(), new Subject<void>()];
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
    await eventually(async () => (await bystander.count(queue)).ready === 4);
    gate.next();
    expect(await last).toMatchObject({ value: 1, settlement: 'ack', sent: true });
    expect(running).toBe(2);
    expect(connection.core.counters).toMatchObject({ acked: 2, released: 4, inFlight: 0, lost: 0 });
    expect(connection.state.status).toBe('connected');
    expect(await bystander.count(queue)).toEqual({ ready: 4, consumers: 0 });
  });

  it.each([
    ['a value emitted on subscription', of(1)],
    ['completion without a value', EMPTY],
    ['an error', throwError(() => new Error('stop'))],
    ['a promise', Promise.resolve()],
    ['an iterable', [1, 2]],
  ])('by `until` is triggered by %s', async (_, end) => {
    const { bystander, newConnection, queue } = given;
    const collected = collect(consume(newConnection(), { queue, until: end }));
    await eventually(() => collected.completed);
    expect(collected.error).toBeUndefined();
    expect((await bystander.count(queue)).consumers).toBe(0);
  });

  it('by `until` may come before the connection is open', () => {
    const stop = new Subject<void>();
    const connection = closing(new Connection('amqp://127.0.0.1:1'));
    const collected = collect(consume(connection, { queue: given.queue, until: stop }));
    stop.next();
    expect(collected).toMatchObject({ completed: true, error: undefined });
    expect(stop.observed).toBe(false);
  });

  it('by unsubscribing unsubscribes from `until`', () => {
    const { newConnection, queue } = given;
    const stop = new Subject<void>();
    const { subscription } = collect(consume(newConnection(), { queue, until: stop }));
    expect(stop.observed).toBe(true);
    subscription.unsubscribe();
    expect(stop.observed).toBe(false);
  });

  it('waits no longer than the drain timeout: then running work is aborted, and its message is redelivered', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, 'slow', 'quick');
    const client = newClient();
    const reasons: unknown[] = [];
    const consumer = client.consumer<string>({ queue });
    const { values } = collect(
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
    expect(await eventually(() => bystander.take(queue))).toEqual({ body: 'slow', redelivered: true });
    expect(await bystander.take(queue)).toBeUndefined();
    expect(client.metrics).toMatchObject({ acked: 1, lost: 1, inFlight: 0 });
  });

  it('by closing the Connection reports the unsettled deliveries of all its consumers', async () => {
    const { bystander, newConnection, queue } = given;
    const other = await bystander.declareQueue();
    await bystander.put(queue, 1, 2, 3);
    await bystander.put(other, 4);
    const connection = newConnection({ drainTimeout: 30 });
    const [a, b] = [collect(consume(connection, { queue })), collect(consume(connection, { queue: other }))];
    await eventually(() => a.values.length === 3 && b.values.length === 1);
    a.values[0]?.ack();
    expect(await connection.close()).toEqual({ unsettled: 3, unconfirmed: 0 });
    expect([a.completed, b.completed]).toEqual([true, true]);
    await eventually(
      async () => (await bystander.count(queue)).ready === 2 && (await bystander.count(other)).ready === 1,
    );
  });

  it('can be brought forward: a close with a shorter timeout ends a longer drain', async () => {
    const { bystander, queue, log, connection } = given;
    await bystander.put(queue, 1);
    const { values, subscription } = collect(consume(connection, { queue }));
    await eventually(() => values.length === 1);
    subscription.unsubscribe();
    await eventually(() => log.of('basic.cancel-ok').length === 1);
    expect(await connection.close({ drainTimeout: 20 })).toEqual({ unsettled: 1, unconfirmed: 0 });
    expect(values[0]?.settled).toBe('lost');
  });

  it('by close() is the same promise for a second call, and may be called while a delivery is emitted', async () => {
    const { bystander, newConnection, queue } = given;
    await bystander.put(queue, 1);
    const consumer = closing(new Consumer(newConnection(), { queue }));
    const reports: Promise<unknown>[] = [];
    const done = collect(consumer.deliveries$);
    consumer.deliveries$.subscribe((delivery) => {
      reports.push(consumer.close(), consumer.close());
      delivery.ack();
    });
    await eventually(() => reports.length === 2);
    expect(reports[0]).toBe(reports[1]);
    expect(await reports[0]).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(done.completed).toBe(true);
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('by close() is final: who subscribes again on completion gets no delivery, and no consumer is left', async () => {
    const { newConnection, queue, untilConsumers } = given;
    const consumer = closing(new Consumer(newConnection(), { queue }));
    let again: { readonly completed: boolean } | undefined;
    consumer.deliveries$.subscribe({
      complete: () => {
        again = collect(consumer.deliveries$);
      },
    });
    consumer.once('attached', () => void consumer.close());
    await eventually(() => again);
    expect(again?.completed).toBe(true);
    await eventually(() => consumer.state.status === 'stopped');
    await untilConsumers(0);
  });
});
