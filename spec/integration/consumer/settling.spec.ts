import { Connection, consume, type Delivery } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually } from '../../support/waiting';

describe('settling a delivery', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let connection: Connection;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(url);
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
    connection = closing(new Connection(proxy.url(url)));
    queue = await side.queue();
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const settlements = (): string[] => log.methods('toBroker').filter((name) => /^basic\.(ack|nack|reject)$/.test(name));

  async function delivered(count = 1): Promise<readonly Delivery<unknown>[]> {
    await side.put(queue, ...Array.from({ length: count }, (_, i) => i));
    const { values } = gather(consume(connection, { queue }));
    await eventually(() => values.length === count);
    return values;
  }

  it.each([
    ['ack', 'basic.ack', { multiple: true }, 0],
    ['requeue', 'basic.reject', { requeue: true }, 1],
    ['release', 'basic.nack', { requeue: true, multiple: false }, 1],
    ['reject', 'basic.reject', { requeue: false }, 0],
  ] as const)('by %s() sends one %s', async (verb, method, fields, comesAgain) => {
    const { values, subscription } = gather(consume(connection, { queue, prefetch: 1 }));
    await side.put(queue, 'x');
    const delivery = await eventually(() => values[0]);
    expect(delivery.settled).toBeUndefined();
    expect(delivery[verb]()).toBe(true);
    expect(delivery.settled).toBe(verb);
    await eventually(() => log.of(method).length === 1);
    expect(log.of(method)[0]?.fields).toMatchObject({ deliveryTag: 1, ...fields });
    if (comesAgain > 0) {
      await eventually(() => values.length === 2);
      expect(values[1]).toMatchObject({ body: 'x', redelivered: true, deliveryCount: 1, settled: undefined });
      values[1]?.ack();
    }
    subscription.unsubscribe();
    await eventually(async () => (await side.count(queue)).consumers === 0);
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('counts once: whatever comes later is false and sends nothing', async () => {
    const [delivery] = await delivered();
    expect(delivery?.ack()).toBe(true);
    for (const verb of ['ack', 'requeue', 'release', 'reject'] as const) expect(delivery?.[verb]()).toBe(false);
    expect(delivery?.settled).toBe('ack');
    await eventually(() => settlements().length === 1);
    await side.put(queue, 'still attached');
    await eventually(() => log.of('basic.deliver').length === 2);
    expect(settlements()).toEqual(['basic.ack']);
    expect(log.methods('toClient')).not.toContain('channel.close');
    expect(connection.core.counters).toMatchObject({ acked: 1, requeued: 0, released: 0, rejected: 0 });
  });

  it('keeps the order in which different verbs were called', async () => {
    const [a, b, c] = await delivered(3);
    b?.reject();
    c?.release();
    a?.requeue();
    await eventually(() => settlements().length === 3);
    expect(settlements()).toEqual(['basic.reject', 'basic.nack', 'basic.reject']);
  });

  it('is false and throws nothing when the connection is closed; the message comes again', async () => {
    const [delivery] = await delivered();
    if (!delivery) throw new Error('nothing came');
    await connection.close({ drainTimeout: 0 });
    await eventually(() => proxy.links === 0);
    expect(delivery.settled).toBe('lost');
    for (const verb of ['ack', 'requeue', 'release', 'reject'] as const) expect(delivery[verb]()).toBe(false);
    expect(delivery.settled).toBe('lost');
    expect(await eventually(() => side.take(queue))).toEqual({ body: 0, redelivered: true });
  });

  it('counts earlier deliveries on a quorum queue by requeue, so that the delivery limit holds', async () => {
    const [dead, name] = [side.tidies(), side.tidies()];
    const spec = { name, type: 'quorum', deliveryLimit: 2, deadLetter: { queue: dead } } as const;
    await side.queue({}, dead);
    const { values } = gather(consume(connection, { queue: spec }));
    await eventually(() => log.of('basic.consume-ok').length === 1);
    await side.put(name, 'poison');
    for (let i = 0; i < 3; i++) {
      const delivery = await eventually(() => values[i]);
      expect(delivery.deliveryCount).toBe(i);
      expect(delivery.redelivered).toBe(i > 0);
      delivery.requeue();
    }
    expect(await eventually(() => side.take(dead))).toMatchObject({ body: 'poison' });
    expect(values).toHaveLength(3);
  });
});
