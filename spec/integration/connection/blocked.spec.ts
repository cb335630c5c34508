import { InstanceQueue, Connection } from 'instance-queue';
import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { privateBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

afterEach(closeAll);

describe('a broker that blocks publishing', () => {
  const broker = privateBroker();
  afterAll(() => broker.memoryAlarm(false));

  it('is a state, events and health; consuming goes on, and what was held back is sent when it ends', async () => {
    const name = uniqueName();
    const queue = closing(new InstanceQueue(broker.url));
    const told: string[] = [];
    queue.on('blocked', (reason, role) => told.push(`blocked ${role} ${reason}`));
    queue.on('unblocked', (role) => told.push(`unblocked ${role}`));
    const consumer = queue.consumer({ queue: { name, expires: 30_000 } });
    const bodies: unknown[] = [];
    consumer.deliveries$.subscribe((delivery) => {
      bodies.push(delivery.body);
      // Later, when publishing is blocked.
      if (delivery.body === 1)
        void until(queue.health$, ({ blocked }) => blocked !== undefined).then(() => delivery.ack());
      else delivery.ack();
    });
    await queue.send({ queue: name, body: 1 });
    await broker.memoryAlarm(true);
    const held = queue.send({ queue: name, body: 2 });
    const health = await until(queue.health$, ({ blocked }) => blocked !== undefined);
    expect(health).toMatchObject({ status: 'degraded', blocked: expect.stringContaining('memory') as string });
    expect(health.connections.producer.status).toBe('connected');
    await eventually(() => queue.metrics.acked === 1);
    await broker.memoryAlarm(false);
    await held;
    expect(await until(queue.health$, ({ status }) => status === 'up')).not.toHaveProperty('blocked');
    await eventually(() => bodies.length === 2);
    expect(bodies).toEqual([1, 2]);
    expect(told).toEqual([expect.stringMatching(/^blocked producer .*memory/), 'unblocked producer']);
  });

  it('is forgotten with the connection it was said on', async () => {
    const fake = await FakeBroker.start();
    const connection = closing(new Connection({ url: fake.url, reconnect: { min: 1, max: 1 } }));
    const seen: (string | undefined)[] = [];
    const told: string[] = [];
    connection.blocked$.subscribe((reason) => seen.push(reason));
    connection.on('blocked', (reason) => told.push(reason));
    connection.on('unblocked', () => told.push('unblocked'));
    await connection.connect();
    fake.clients[0]!.send(0, 'connection.blocked', { reason: 'low on patience' });
    await until(connection.blocked$, (reason) => reason !== undefined);
    fake.clients[0]!.reset();
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(seen).toEqual([undefined, 'low on patience', undefined]);
    expect(told).toEqual(['low on patience', 'unblocked']);
    await closeAll();
    await fake.close();
  });
});
