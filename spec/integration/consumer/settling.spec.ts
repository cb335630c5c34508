import { consume, type Delivery } from 'instance-queue';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

describe('settling a delivery', () => {
  const given = consumingFixture();
  const settlements = (): string[] =>
    given.log.methods('toBroker').filter((name) => /^basic\.(ack|nack|reject)$/.test(name));

  async function delivered(count = 1): Promise<readonly Delivery<unknown>[]> {
    await given.bystander.put(given.queue, ...numbers(count));
    const { values } = collect(consume(given.connection, { queue: given.queue }));
    await eventually(() => values.length === count);
    return values;
  }

  it.each([
    ['ack', 'basic.ack', { multiple: true }, 0],
    ['requeue', 'basic.reject', { requeue: true }, 1],
    ['release', 'basic.nack', { requeue: true, multiple: false }, 1],
    ['reject', 'basic.reject', { requeue: false }, 0],
  ] as const)('by %s() sends one %s', async (verb, method, fields, comesAgain) => {
    const { bystander, queue, log, connection, untilConsumers } = given;
    const { values, subscription } = collect(consume(connection, { queue, prefetch: 1 }));
    await bystander.put(queue, 'x');
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
    await untilConsumers(0);
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('takes effect once: later calls return false and send nothing', async () => {
    const { bystander, queue, log, connection } = given;
    const [delivery] = await delivered();
    expect(delivery?.ack()).toBe(true);
    for (const verb of ['ack', 'requeue', 'release', 'reject'] as const) expect(delivery?.[verb]()).toBe(false);
    expect(delivery?.settled).toBe('ack');
    await eventually(() => settlements().length === 1);
    await bystander.put(queue, 'still attached');
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

  it('returns false and does not throw after the connection is closed; the message is redelivered', async () => {
    const { bystander, proxy, queue, connection } = given;
    const [delivery] = await delivered();
    if (!delivery) throw new Error('Expected a delivery.');
    await connection.close({ drainTimeout: 0 });
    await eventually(() => proxy.links === 0);
    expect(delivery.settled).toBe('lost');
    for (const verb of ['ack', 'requeue', 'release', 'reject'] as const) expect(delivery[verb]()).toBe(false);
    expect(delivery.settled).toBe('lost');
    expect(await eventually(() => bystander.take(queue))).toEqual({ body: 0, redelivered: true });
  });

  it('by requeue ends nothing where a quorum queue is to have no delivery limit', async () => {
    const { bystander, log, connection } = given;
    const name = bystander.freeQueueName();
    const spec = { name, type: 'quorum', deliveryLimit: -1 } as const;
    const runs: number[] = [];
    consume(connection, { queue: spec }).subscribe((delivery) => {
      runs.push(delivery.deliveryCount);
      if (runs.length < 25) delivery.requeue();
      else delivery.ack();
    });
    await eventually(() => log.of('basic.consume-ok').length === 1);
    await bystander.put(name, 'patience');
    await eventually(() => runs.length === 25);
  });

  it('by requeue counts towards the delivery limit of a quorum queue', async () => {
    const { bystander, log, connection } = given;
    const [dead, name] = [bystander.freeQueueName(), bystander.freeQueueName()];
    const spec = { name, type: 'quorum', deliveryLimit: 2, deadLetter: { queue: dead } } as const;
    await bystander.declareQueue({}, dead);
    const { values } = collect(consume(connection, { queue: spec }));
    await eventually(() => log.of('basic.consume-ok').length === 1);
    await bystander.put(name, 'poison');
    for (let i = 0; i < 3; i++) {
      const delivery = await eventually(() => values[i]);
      expect(delivery.deliveryCount).toBe(i);
      expect(delivery.redelivered).toBe(i > 0);
      delivery.requeue();
    }
    expect(await eventually(() => bystander.take(dead))).toMatchObject({ body: 'poison' });
    expect(values).toHaveLength(3);
  });
});
