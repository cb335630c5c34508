import { Connection, Consumer, InstanceQueue, handle, type ConsumerState } from 'instance-queue';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, until } from '../../support/waiting';

describe('what a consumer tells of itself', () => {
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

  it('is its whole life in order, frozen, the same by state$ and by events, and complete in the end', async () => {
    const connection = closing(new Connection(url));
    const consumer = new Consumer(connection, { queue, tagPrefix: 'life' });
    const events: ConsumerState[] = [];
    for (const name of ['detached', 'attached', 'draining', 'stopped'] as const) {
      consumer.on(name, (state: ConsumerState) => events.push(state));
    }
    const states = gather(consumer.state$);
    expect(states.values).toEqual([{ status: 'detached' }]);
    const { values } = gather(consumer.deliveries$);
    await side.put(queue, 1);
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
    expect(gather(consumer.state$)).toMatchObject({ values: [{ status: 'stopped' }], completed: true });
  });

  it('is exact in numbers', async () => {
    const front = closing(new InstanceQueue(url));
    const { values } = gather(front.consume<string>({ queue, prefetch: 50 }));
    await side.put(queue, 'ack', 'ack', 'ack', 'requeue', 'release', 'reject', 'open');
    await side.raw('', queue, [Buffer.from('{')], { contentType: 'application/json' });
    await eventually(() => values.length === 7 && front.metrics.undecodable === 1);
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
    expect(front.metrics).toMatchObject(numbers);
    for (const delivery of [...values]) {
      const { body } = delivery;
      if (body === 'ack' || body === 'requeue' || body === 'release' || body === 'reject') delivery[body]();
    }
    await eventually(() => values.length === 9);
    const settled = { acked: 3, requeued: 1, released: 1, rejected: 1, undecodable: 1, reconnects: 0, reopens: 0 };
    expect(front.metrics).toMatchObject({ ...settled, delivered: 9, redelivered: 2, lost: 0, inFlight: 3 });
    await front.close({ drainTimeout: 0 });
    expect(front.metrics).toMatchObject({ ...settled, delivered: 9, lost: 3, inFlight: 0 });
    await eventually(async () => (await side.count(queue)).ready === 3);
  });

  it('is not held by its connection any longer when it is closed', async () => {
    const connection = closing(new Connection(url));
    await connection.connect();
    const once = async (): Promise<WeakRef<Consumer>> => {
      const consumer = new Consumer(connection, { queue });
      gather(consumer.deliveries$.pipe(handle(() => undefined)));
      await until(consumer.state$, ({ status }) => status === 'attached');
      await consumer.close();
      return new WeakRef(consumer);
    };
    const consumer = await once();
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    await eventually(() => {
      collect();
      return consumer.deref() === undefined;
    });
    expect(connection.state.status).toBe('connected');
  });
});
