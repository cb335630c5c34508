import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

describe('a broker that blocks publishing', () => {
  const given = rabbitmqFixture({ memoryAlarm: true });
  const { start } = fakeBrokerFixture();

  it('shows in events and health; consuming goes on, and held messages are sent when the block ends', async () => {
    const name = uniqueName();
    const { broker, newClient } = given;
    const client = newClient();
    const events: string[] = [];
    client.on('blocked', (reason, role) => events.push(`blocked ${role} ${reason}`));
    client.on('unblocked', (role) => events.push(`unblocked ${role}`));
    const consumer = client.consumer({ queue: { name, expires: 30_000 } });
    const bodies: unknown[] = [];
    consumer.deliveries$.subscribe((delivery) => {
      bodies.push(delivery.body);
      // The first is acked only when publishing is blocked.
      if (delivery.body === 1)
        void until(client.health$, ({ blocked }) => blocked !== undefined).then(() => delivery.ack());
      else delivery.ack();
    });
    await client.send({ queue: name, body: 1 });
    await broker.memoryAlarm(true);
    const held = client.send({ queue: name, body: 2 });
    const health = await until(client.health$, ({ blocked }) => blocked !== undefined);
    expect(health).toMatchObject({ status: 'degraded', blocked: expect.stringContaining('memory') as string });
    expect(health.connections.producer.status).toBe('connected');
    await eventually(() => client.metrics.acked === 1);
    await broker.memoryAlarm(false);
    await held;
    expect(await until(client.health$, ({ status }) => status === 'up')).not.toHaveProperty('blocked');
    await eventually(() => bodies.length === 2);
    expect(bodies).toEqual([1, 2]);
    expect(events).toEqual([expect.stringMatching(/^blocked producer .*memory/), 'unblocked producer']);
  });

  it('no longer counts when its connection is lost', async () => {
    const { fake, connection } = await start();
    const seen: (string | undefined)[] = [];
    const events: string[] = [];
    connection.blocked$.subscribe((reason) => seen.push(reason));
    connection.on('blocked', (reason) => events.push(reason));
    connection.on('unblocked', () => events.push('unblocked'));
    await connection.connect();
    fake.clients[0]!.send(0, 'connection.blocked', { reason: 'low on patience' });
    await until(connection.blocked$, (reason) => reason !== undefined);
    fake.clients[0]!.reset();
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(seen).toEqual([undefined, 'low on patience', undefined]);
    expect(events).toEqual(['low on patience', 'unblocked']);
  });
});
