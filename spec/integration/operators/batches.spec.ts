import { Subject, concatMap, tap } from 'rxjs';
import { batch, type Batch } from 'instance-queue';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

describe('batches', () => {
  const given = consumingFixture();

  it('are acked in one frame each, and are full while enough messages are there', async () => {
    const { bystander, newClient, queue, log } = given;
    await bystander.put(queue, ...numbers(25));
    const client = newClient({ reconnect: { min: 5, max: 50 } });
    const { values } = collect(
      client.consume<number>({ queue, prefetch: 20 }).pipe(
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
    await client.close();
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
    for (const { fields } of log.of('basic.ack')) expect(fields).toMatchObject({ multiple: true });
  });

  it('can be settled one delivery at a time, and the rest together', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, ...numbers(4));
    const client = newClient({ reconnect: { min: 5, max: 50 } });
    const { values } = collect(client.consume<number>({ queue }).pipe(batch({ size: 4, within: 1000 })));
    const [first] = await eventually(() => (values.length === 1 ? values : undefined));
    first?.deliveries[1]?.reject();
    first?.deliveries[2]?.requeue();
    expect(first?.ack()).toBe(2);
    expect(client.metrics).toMatchObject({ acked: 2, rejected: 1, requeued: 1 });
    await client.close({ drainTimeout: 0 });
    expect(await eventually(() => bystander.take(queue))).toEqual({ body: 2, redelivered: true });
    expect(await bystander.take(queue)).toBeUndefined();
  });

  it('leave out deliveries lost before they were emitted; redelivered, these are in a later batch', async () => {
    const { bystander, newClient, proxy, queue } = given;
    const client = newClient({ reconnect: { min: 5, max: 50 } });
    const { values } = collect(client.consume<number>({ queue }).pipe(batch({ size: 4, within: 600_000 })));
    await bystander.put(queue, 0, 1);
    await eventually(() => client.metrics.inFlight === 2);
    proxy.cut();
    await eventually(() => client.metrics.lost === 2);
    await eventually(() => client.metrics.inFlight === 2);
    await bystander.put(queue, 2, 3);
    await eventually(() => values.length === 1);
    expect(values[0]?.bodies).toEqual([0, 1, 2, 3]);
    expect(values[0]?.deliveries.map(({ redelivered }) => redelivered)).toEqual([true, true, false, false]);
    expect(values[0]?.ack()).toBe(4);
  });

  it('that were lost after they were emitted count no acks', async () => {
    const { bystander, newClient, proxy, queue } = given;
    await bystander.put(queue, 0, 1);
    const client = newClient({ reconnect: { min: 5, max: 50 } });
    const { values } = collect(client.consume<number>({ queue }).pipe(batch({ size: 2, within: 1000 })));
    await eventually(() => values.length === 1);
    proxy.cut();
    await eventually(() => values.length === 2);
    expect(values.map((one) => one.ack())).toEqual([0, 2]);
  });

  it('that are not full are released at once when the consumer drains, which does not wait for them', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, ...numbers(5));
    const client = newClient({ reconnect: { min: 5, max: 50 } });
    const stop = new Subject<void>();
    const got: Batch<number>[] = [];
    const collected = collect(
      client.consume<number>({ queue, until: stop }).pipe(
        batch({ size: 3, within: 600_000 }),
        tap((one) => got.push(one)),
      ),
    );
    await eventually(() => client.metrics.inFlight === 5);
    stop.next();
    await eventually(() => client.metrics.released === 2);
    expect(collected.completed).toBe(false);
    expect(got[0]?.ack()).toBe(3);
    await eventually(() => collected.completed);
    expect(got).toHaveLength(1);
    expect(await bystander.count(queue)).toEqual({ ready: 2, consumers: 0 });
  });
});
