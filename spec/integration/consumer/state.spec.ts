import { Consumer, handle, type ConsumerState } from 'instance-queue';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { collectGarbage } from '../../support/memory';
import { eventually, until } from '../../support/waiting';

describe('the state of a consumer', () => {
  const given = consumingFixture();

  it('goes through its lifecycle in order, frozen, the same in state$ and in events, and state$ completes', async () => {
    const { bystander, queue, connection } = given;
    const consumer = new Consumer(connection, { queue, tagPrefix: 'life' });
    const events: ConsumerState[] = [];
    for (const name of ['detached', 'attached', 'draining', 'stopped'] as const) {
      consumer.on(name, (state: ConsumerState) => events.push(state));
    }
    const states = collect(consumer.state$);
    expect(states.values).toEqual([{ status: 'detached' }]);
    const { values } = collect(consumer.deliveries$);
    await bystander.put(queue, 1);
    await eventually(() => values.length === 1);
    const closed = consumer.close();
    values[0]?.ack();
    await closed;
    expect(states.completed).toBe(true);
    const statuses = states.values.map(({ status }) => status).filter((status, i, all) => status !== all[i - 1]);
    expect(statuses).toEqual(['detached', 'attached', 'draining', 'detached', 'stopped']);
    expect(states.values.find(({ status }) => status === 'attached')).toEqual({
      status: 'attached',
      tag: expect.stringMatching(/^life-/) as string,
      queue,
      epoch: 1,
    });
    expect(states.values).toContainEqual({ status: 'draining', unsettled: 1 });
    expect(states.values.every((state) => Object.isFrozen(state))).toBe(true);
    expect(events).toEqual(states.values.slice(1));
    expect(collect(consumer.state$)).toMatchObject({ values: [{ status: 'stopped' }], completed: true });
  });

  it('is counted exactly in the metrics', async () => {
    const { bystander, newClient, queue } = given;
    const client = newClient();
    const { values } = collect(client.consume<string>({ queue, prefetch: 50 }));
    await bystander.put(queue, 'ack', 'ack', 'ack', 'requeue', 'release', 'reject', 'open');
    await bystander.publishRaw('', queue, [Buffer.from('{')], { contentType: 'application/json' });
    await eventually(() => values.length === 7 && client.metrics.undecodable === 1);
    const numbers = {
      delivered: 7,
      redelivered: 0,
      acked: 0,
      requeued: 0,
      released: 0,
      rejected: 0,
      lost: 0,
      inFlight: 7,
    };
    expect(client.metrics).toMatchObject(numbers);
    for (const delivery of [...values]) {
      const { body } = delivery;
      if (body === 'ack' || body === 'requeue' || body === 'release' || body === 'reject') delivery[body]();
    }
    await eventually(() => values.length === 9);
    const settled = { acked: 3, requeued: 1, released: 1, rejected: 1, undecodable: 1, reconnects: 0, reopens: 0 };
    expect(client.metrics).toMatchObject({ ...settled, delivered: 9, redelivered: 2, lost: 0, inFlight: 3 });
    await client.close({ drainTimeout: 0 });
    expect(client.metrics).toMatchObject({ ...settled, delivered: 9, lost: 3, inFlight: 0 });
    await eventually(async () => (await bystander.count(queue)).ready === 3);
  });

  it('is garbage once the consumer is closed: its connection does not keep it', async () => {
    const { queue, connection } = given;
    await connection.connect();
    const closedConsumer = async (): Promise<WeakRef<Consumer>> => {
      const consumer = new Consumer(connection, { queue });
      collect(consumer.deliveries$.pipe(handle(() => undefined)));
      await until(consumer.state$, ({ status }) => status === 'attached');
      await consumer.close();
      return new WeakRef(consumer);
    };
    const consumer = await closedConsumer();
    await eventually(() => {
      collectGarbage();
      return consumer.deref() === undefined;
    });
    expect(connection.state.status).toBe('connected');
  });
});
