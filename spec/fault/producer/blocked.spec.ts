import { InstanceQueue, handle } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const broker = privateBroker();
afterEach(async () => {
  await broker.memoryAlarm(false);
  await closeAll();
});

test('under a memory alarm sends wait, consumers go on, and all is sent when it is over', async () => {
  const bystander = closing(await Bystander.at(broker.url));
  const inbound = await bystander.declareQueue();
  const outbound = await bystander.declareQueue();
  await bystander.put(inbound, ...Array.from({ length: 30 }, (_, i) => i));
  const front = closing(new InstanceQueue(broker.url));
  const events: string[] = [];
  front.on('blocked', (reason, role) => events.push(`blocked ${role} ${reason}`));
  front.on('unblocked', (role) => events.push(`unblocked ${role}`));
  await front.connect();
  await front.send({ queue: outbound, body: 'before' });

  await broker.memoryAlarm(true);
  // RabbitMQ blocks a connection at its next publish.
  const first = front.send({ queue: outbound, body: 0 });
  await until(front.health$, ({ blocked }) => blocked !== undefined);
  expect(front.health).toMatchObject({ status: 'degraded', blocked: 'low on memory' });
  expect(front.state.producer.status).toBe('connected');

  const sends = [1, 2, 3, 4, 5].map((body) => front.send({ queue: outbound, body }));
  const hasty = await publishError(front.send({ queue: outbound, body: 'hasty' }, { timeout: 50 }));
  expect(hasty).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
  expect(hasty.message).toMatch(/blocks publishing/);
  expect(front.health.outbox).toMatchObject({ queued: 5, unconfirmed: 1 });

  // The other connection consumes and acks all the while.
  const handled: unknown[] = [];
  const consumer = front.consumer({ queue: inbound, prefetch: 5 });
  consumer.deliveries$.pipe(handle(({ body }) => handled.push(body))).subscribe();
  await eventually(() => front.metrics.acked === 30);
  await consumer.close();
  expect(await bystander.count(inbound)).toMatchObject({ ready: 0 });
  expect(handled).toHaveLength(30);

  await broker.memoryAlarm(false);
  expect(await outcomes([first, ...sends])).toEqual(Array.from({ length: 6 }, () => 'confirmed'));
  expect(bodies(await bystander.takeAll(outbound))).toEqual(['before', 0, 1, 2, 3, 4, 5]);
  expect(front.metrics).toMatchObject({ resent: 0, reconnects: 0, timedOut: 1 });
  expect(events).toEqual(['blocked producer low on memory', 'unblocked producer']);
});

test('a close while blocked ends in time, and says what it left', async () => {
  const bystander = closing(await Bystander.at(broker.url));
  const queue = await bystander.declareQueue();
  const front = closing(new InstanceQueue(broker.url));
  await front.send({ queue, body: 'before' });
  await broker.memoryAlarm(true);
  const first = outcomes([front.send({ queue, body: 0 })]);
  await until(front.health$, ({ blocked }) => blocked !== undefined);
  const sends = outcomes([1, 2].map((body) => front.send({ queue, body })));
  const began = performance.now();
  expect(await front.close({ drainTimeout: 200 })).toEqual({ unsettled: 0, unconfirmed: 3 });
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(await first).toEqual(['PUBLISH_CLOSED']);
  expect(await sends).toEqual(['PUBLISH_CLOSED', 'PUBLISH_CLOSED']);
});

test('a producer that opens during an alarm waits for its end', async () => {
  const bystander = closing(await Bystander.at(broker.url));
  const queue = await bystander.declareQueue();
  await broker.memoryAlarm(true);
  const front = closing(new InstanceQueue(broker.url));
  const sends = [1, 2, 3].map((body) => front.send({ queue, body }));
  await until(front.health$, ({ blocked }) => blocked !== undefined);
  await broker.memoryAlarm(false);
  expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed', 'confirmed']);
  expect(bodies(await bystander.takeAll(queue))).toEqual([1, 2, 3]);
});
