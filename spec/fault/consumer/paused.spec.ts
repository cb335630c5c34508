import { BehaviorSubject } from 'rxjs';
import { Consumer, handle, type ConsumerState } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, until } from '../../support/waiting';

const backoff = { min: 5, max: 50 };

describe('a consumer that is paused', () => {
  const given = consumingFixture({ connection: { reconnect: backoff, reopen: backoff } });

  let pause: BehaviorSubject<boolean>;
  beforeEach(() => {
    pause = new BehaviorSubject(false);
  });
  const attached = (consumer: Consumer<number>): Promise<ConsumerState> =>
    until(consumer.state$, ({ status }) => status === 'attached');

  it('stays paused over a lost connection, loses its unsettled deliveries, and attaches to the new connection later', async () => {
    const { bystander, proxy, queue, log, connection } = given;
    await bystander.put(queue, 1);
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
    expect((await bystander.count(queue)).consumers).toBe(0);
    pause.next(false);
    await eventually(() => values.length === 2);
    expect(values[1]).toMatchObject({ body: 1, redelivered: true });
    expect(consumer.state).toMatchObject({ status: 'attached', epoch: 2 });
  });

  it('that is resumed while the connection is down attaches when it is back', async () => {
    const { proxy, queue, connection } = given;
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

  it('declares its queue again if it was deleted during the pause', async () => {
    const { bystander, queue, log } = given;
    const consumer = closing(new Consumer<number>(given.connection, { queue: { name: queue }, pause }));
    const { values } = collect(consumer.deliveries$);
    await attached(consumer);
    pause.next(true);
    await eventually(() => log.of('basic.cancel-ok').length === 1);
    await bystander.deleteQueue(queue);
    pause.next(false);
    await attached(consumer);
    await bystander.put(queue, 1);
    await eventually(() => values.length === 1);
  });

  it('survives the deletion of its queue at the moment of the pause', async () => {
    const { bystander, proxy, queue } = given;
    await bystander.put(queue, 1);
    const consumer = closing(new Consumer<number>(given.connection, { queue: { name: queue }, pause }));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 1);
    proxy.hold('toClient');
    pause.next(true);
    await bystander.deleteQueue(queue);
    proxy.release();
    pause.next(false);
    await attached(consumer);
    await bystander.put(queue, 2);
    await eventually(() => values.length === 2);
    expect(values[1]?.ack()).toBe(true);
  });

  it('returns the messages that arrive between the cancel and its answer', async () => {
    const { bystander, newClient, proxy, queue } = given;
    const client = newClient({ reconnect: backoff });
    const consumer = client.consumer<number>({ queue, pause });
    const { values } = collect(consumer.deliveries$);
    await attached(consumer);
    proxy.hold('toClient');
    await bystander.put(queue, 1, 2, 3);
    await eventually(async () => (await bystander.count(queue)).ready === 0);
    pause.next(true);
    proxy.release();
    await eventually(async () => (await bystander.count(queue)).ready === 3);
    expect(values).toEqual([]);
    expect(consumer.state).toEqual({ status: 'paused' });
    pause.next(false);
    await eventually(() => values.length === 3);
    expect(values.map(({ body }) => body)).toEqual([1, 2, 3]);
  });

  it('ends if its connection gives up during the pause', async () => {
    const { newConnection, proxy, queue } = given;
    const connection = newConnection({ reconnect: { min: 1, max: 5, attempts: 2, initialAttempts: 5 } });
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

  it('loses no message over many pauses and lost connections', async () => {
    const { bystander, newClient, proxy, queue } = given;
    const count = 400;
    const client = newClient({ reconnect: backoff, reopen: backoff });
    const seen = new Set<number>();
    client
      .consume<number>({ queue, prefetch: 10, pause })
      .pipe(handle(async ({ body }) => void seen.add(await Promise.resolve(body))))
      .subscribe();
    for (let i = 0; i < count; i += 20) {
      pause.next(i % 40 === 0);
      await bystander.put(queue, ...Array.from({ length: 20 }, (_, j) => i + j));
      pause.next(i % 80 === 0);
      if (i % 60 === 0) proxy.cut();
    }
    pause.next(false);
    await eventually(async () => {
      const { ready } = await bystander.count(queue);
      return ready === 0 && seen.size === count && client.metrics.inFlight === 0;
    });
    await client.close();
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
    expect(client.metrics.inFlight).toBe(0);
  });
});
