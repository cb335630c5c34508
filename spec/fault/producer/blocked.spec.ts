import { handle } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { numbers } from '../../support/numbers';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const given = producingFixture({ memoryAlarm: true });

test('under a memory alarm sends wait while consumers go on, and are sent when it is over', async () => {
  const { broker, bystander, newClient } = given;
  const inbound = await bystander.declareQueue();
  const outbound = await bystander.declareQueue();
  await bystander.put(inbound, ...numbers(30));
  const client = newClient();
  const events: string[] = [];
  client.on('blocked', (reason, role) => events.push(`blocked ${role} ${reason}`));
  client.on('unblocked', (role) => events.push(`unblocked ${role}`));
  await client.connect();
  await client.send({ queue: outbound, body: 'before' });

  await broker.memoryAlarm(true);
  // RabbitMQ blocks a connection at its next publish.
  const first = client.send({ queue: outbound, body: 0 });
  await until(client.health$, ({ blocked }) => blocked !== undefined);
  expect(client.health).toMatchObject({ status: 'degraded', blocked: 'low on memory' });
  expect(client.state.producer.status).toBe('connected');

  const sends = [1, 2, 3, 4, 5].map((body) => client.send({ queue: outbound, body }));
  const timedOut = await publishError(client.send({ queue: outbound, body: 'hasty' }, { timeout: 50 }));
  expect(timedOut).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
  expect(timedOut.message).toMatch(/blocks publishing/);
  expect(client.health.outbox).toMatchObject({ queued: 5, unconfirmed: 1 });

  // The consuming connection is not blocked.
  const handled: unknown[] = [];
  const consumer = client.consumer({ queue: inbound, prefetch: 5 });
  consumer.deliveries$.pipe(handle(({ body }) => handled.push(body))).subscribe();
  await eventually(() => client.metrics.acked === 30);
  await consumer.close();
  expect(await bystander.count(inbound)).toMatchObject({ ready: 0 });
  expect(handled).toHaveLength(30);

  await broker.memoryAlarm(false);
  expect(await outcomes([first, ...sends])).toEqual(Array.from({ length: 6 }, () => 'confirmed'));
  expect(bodies(await bystander.takeAll(outbound))).toEqual(['before', 0, 1, 2, 3, 4, 5]);
  expect(client.metrics).toMatchObject({ resent: 0, reconnects: 0, timedOut: 1 });
  expect(events).toEqual(['blocked producer low on memory', 'unblocked producer']);
});

test('a close while blocked ends in time, and reports the unconfirmed sends', async () => {
  const { broker, newClient, queue } = given;
  const client = newClient();
  await client.send({ queue, body: 'before' });
  await broker.memoryAlarm(true);
  const first = outcomes([client.send({ queue, body: 0 })]);
  await until(client.health$, ({ blocked }) => blocked !== undefined);
  const sends = outcomes([1, 2].map((body) => client.send({ queue, body })));
  const began = performance.now();
  expect(await client.close({ drainTimeout: 200 })).toEqual({ unsettled: 0, unconfirmed: 3 });
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(await first).toEqual(['PUBLISH_CLOSED']);
  expect(await sends).toEqual(['PUBLISH_CLOSED', 'PUBLISH_CLOSED']);
});

test('a producer that opens during an alarm waits for its end', async () => {
  const { broker, bystander, newClient, queue } = given;
  await broker.memoryAlarm(true);
  const client = newClient();
  const sends = [1, 2, 3].map((body) => client.send({ queue, body }));
  await until(client.health$, ({ blocked }) => blocked !== undefined);
  await broker.memoryAlarm(false);
  expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed', 'confirmed']);
  expect(bodies(await bystander.takeAll(queue))).toEqual([1, 2, 3]);
});
