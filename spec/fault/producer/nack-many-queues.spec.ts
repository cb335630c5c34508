import type { Topology } from 'instance-queue';
import { producingFixture } from '../../support/fixtures/producing';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

/**
 * RabbitMQ nacks a message if one of the queues it was routed to rejects it, even if the others have it.
 * https://www.rabbitmq.com/docs/confirms#when-publishes-are-confirmed
 */
describe('a nack from an exchange with several queues', () => {
  const given = producingFixture();
  let healthy: string;
  let full: string;
  let exchange: string;
  let topology: Topology;

  beforeEach(async () => {
    const { bystander } = given;
    healthy = given.queue;
    full = await bystander.declareQueue({ arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    await bystander.put(full, 'fills it');
    exchange = bystander.freeExchangeName();
    topology = {
      exchanges: [{ name: exchange, type: 'fanout' }],
      bindings: [
        { exchange, queue: healthy },
        { exchange, queue: full },
      ],
    };
  });
  const copies = async (): Promise<number> => (await given.bystander.count(healthy)).ready;

  it('leads to a few resends only, and the error says that a queue may have the message', async () => {
    const { bystander, newProducer } = given;
    const producer = newProducer({ topology });
    const resent: number[] = [];
    producer.on('resent', (_id, attempt) => resent.push(attempt));
    const failed = publishError(producer.send({ exchange, body: 1 }, { timeout: 30_000 }));
    // Other messages on the same channel are confirmed all the time.
    const other = await bystander.declareQueue();
    const progress = { done: false };
    const settled = failed.finally(() => (progress.done = true));
    while (!progress.done) await producer.send({ queue: other, body: 0 });
    const error = await settled;
    expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
    expect(error.message).toMatch(/Other queues may have it/);
    expect(resent).toEqual([2, 3, 4, 5]);
    expect(await copies()).toBe(5);
  });

  it('leads to no resend if messages must not be repeated', async () => {
    const producer = given.newProducer({ topology, onUnknown: 'reject' });
    const error = await publishError(producer.send({ exchange, body: 1 }));
    expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
    expect(await copies()).toBe(1);
  });

  it('of a single full queue leads to resends until it has room, since there is no copy anywhere', async () => {
    const { bystander, connection, newProducer } = given;
    const producer = newProducer({ onUnknown: 'reject' });
    const sent = producer.send({ queue: full, body: 'later' });
    await eventually(() => connection.core.counters.nacked > 0);
    await bystander.purge(full);
    expect((await sent).attempts).toBeGreaterThan(1);
    expect((await bystander.count(full)).ready).toBe(1);
  });

  it('does not slow down the resends of another route', async () => {
    const { bystander, connection, newProducer } = given;
    const producer = newProducer();
    const stuck = publishError(producer.send({ queue: full, body: 1 }, { timeout: 20_000 }));
    await eventually(() => connection.core.counters.nacked > 4);
    const other = await bystander.declareQueue({ arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    await bystander.put(other, 'fills it');
    const second = producer.send({ queue: other, body: 2 });
    await eventually(() => producer.outbox.queued === 2);
    await bystander.purge(other);
    expect((await second).attempts).toBeLessThanOrEqual(4);
    await producer.close({ drainTimeout: 0 });
    expect(await stuck).toMatchObject({ code: 'PUBLISH_CLOSED' });
  });

  it('is maybe delivered, too, if a CC header copies the message to other queues', async () => {
    const client = given.newClient({ producer: { onNack: 'reject' } });
    const error = await publishError(client.send({ queue: full, body: 1, headers: { CC: [healthy] } }));
    expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
    expect(await copies()).toBe(1);
  });
});
