import { InstanceQueue, Producer, Connection, type Topology } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

/**
 * RabbitMQ nacks a message if one of the queues it was routed to does not take it, whatever became of it in the others.
 * https://www.rabbitmq.com/docs/confirms#when-publishes-are-confirmed
 */
describe('a nack of an exchange with several queues', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let healthy: string;
  let full: string;
  let exchange: string;
  let topology: Topology;

  beforeEach(async () => {
    side = closing(await Bystander.at(url));
    healthy = await side.declareQueue();
    full = await side.declareQueue({ arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    await side.put(full, 'there');
    exchange = side.freeExchangeName();
    topology = {
      exchanges: [{ name: exchange, type: 'fanout' }],
      bindings: [
        { exchange, queue: healthy },
        { exchange, queue: full },
      ],
    };
  });
  afterEach(closeAll);
  const copies = async (): Promise<number> => (await side.count(healthy)).ready;

  it('is answered with few resends, whatever else is confirmed, and says that a queue may have the message', async () => {
    const connection = closing(new Connection(url));
    const producer = closing(new Producer(connection, { topology }));
    const resent: number[] = [];
    producer.on('resent', (_id, attempt) => resent.push(attempt));
    const failed = publishError(producer.send({ exchange, body: 1 }, { timeout: 30_000 }));
    // A neighbour on the same channel is confirmed all the time.
    const other = await side.declareQueue();
    let done = false;
    const settled = failed.finally(() => (done = true));
    while (!done) await producer.send({ queue: other, body: 0 });
    const error = await settled;
    expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
    expect(error.message).toMatch(/Other queues may have it/);
    expect(resent).toEqual([2, 3, 4, 5]);
    expect(await copies()).toBe(5);
  });

  it('is not answered with a resend where a message must not be repeated', async () => {
    const producer = closing(new Producer(closing(new Connection(url)), { topology, onUnknown: 'reject' }));
    const error = await publishError(producer.send({ exchange, body: 1 }));
    expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
    expect(await copies()).toBe(1);
  });

  it('is still resent to a queue until it has room, since no copy is left anywhere', async () => {
    const connection = closing(new Connection(url));
    const producer = closing(new Producer(connection, { onUnknown: 'reject' }));
    const sent = producer.send({ queue: full, body: 'later' });
    await eventually(() => connection.core.counters.nacked > 0);
    await side.purge(full);
    expect((await sent).attempts).toBeGreaterThan(1);
    expect((await side.count(full)).ready).toBe(1);
  });

  it('does not slow down a route of its own', async () => {
    const connection = closing(new Connection(url));
    const producer = closing(new Producer(connection));
    const stuck = publishError(producer.send({ queue: full, body: 1 }, { timeout: 20_000 }));
    await eventually(() => connection.core.counters.nacked > 4);
    const other = await side.declareQueue({ arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    await side.put(other, 'there');
    const second = producer.send({ queue: other, body: 2 });
    await eventually(() => producer.outbox.queued === 2);
    await side.purge(other);
    expect((await second).attempts).toBeLessThanOrEqual(4);
    await producer.close({ drainTimeout: 0 });
    expect(await stuck).toMatchObject({ code: 'PUBLISH_CLOSED' });
  });

  it('is counted as maybe delivered, too, where a header copies the message to other queues', async () => {
    const queue = closing(new InstanceQueue({ url, producer: { onNack: 'reject' } }));
    const error = await publishError(queue.send({ queue: full, body: 1, headers: { CC: [healthy] } }));
    expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
    expect(await copies()).toBe(1);
  });
});
