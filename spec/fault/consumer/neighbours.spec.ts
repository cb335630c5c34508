import { ChannelError, Consumer, Producer, consume } from 'instance-queue';
import { type FakeClient } from '../../support/fake-broker/fake-broker';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { fakeBrokerFixture, type Scripted } from '../../support/fixtures/fake-broker';
import { eventually, until } from '../../support/waiting';

const REFUSED = 'INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.';

/**
 * RabbitMQ answers some declarations by closing the whole connection, without saying which channel asked
 * (https://www.rabbitmq.com/docs/deprecated-features): every consumer that is attaching on it sees the same refusal.
 */
describe('a refusal that closes the connection', () => {
  const { start } = fakeBrokerFixture();

  /** Refuses queues whose name begins with `bad`. On the first connection it does not answer for other queues. */
  const scripted = (script: (client: FakeClient, number: number) => void = () => undefined): Promise<Scripted> =>
    start((client, number) => {
      client.onMethod('queue.declare', ({ queue }) => {
        if (String(queue).startsWith('bad')) client.closeConnection(541, REFUSED);
        return number > 1 && !String(queue).startsWith('bad') ? 'default' : undefined;
      });
      script(client, number);
    });
  const waiting = (client: FakeClient | undefined, queue: string): Promise<unknown> =>
    client?.until('queue.declare', ({ fields }) => fields['queue'] === queue) ??
    Promise.reject(new Error('Expected a client.'));
  const refusal = {
    replyCode: 541,
    retryable: false,
    message: expect.stringContaining(REFUSED) as string,
  };

  it('does not fail the first attach of another consumer', async () => {
    const { fake, connection } = await scripted();
    await connection.connect();
    const good = closing(new Consumer(connection, { queue: { name: 'good' } }));
    const neighbour = collect(good.deliveries$);
    await waiting(fake.clients[0], 'good');
    const bad = collect(consume(connection, { queue: { name: 'bad' } }));
    await until(good.state$, ({ status }) => status === 'attached' || status === 'stopped');
    await eventually(() => bad.error);
    expect(bad.error).toBeInstanceOf(ChannelError);
    expect(bad.error).toMatchObject(refusal);
    // The refused declaration may close the connection once more, when it is tried alone.
    await until(good.state$, (state) => state.status === 'attached' && state.epoch === fake.clients.length);
    expect(neighbour).toMatchObject({ error: undefined, completed: false });
    expect(fake.clients.length).toBeLessThanOrEqual(3);
  });

  it('is attributed to each of several refused consumers, and to no other', async () => {
    const { fake, connection } = await scripted();
    await connection.connect();
    const all = ['bad-1', 'good-1', 'bad-2', 'good-2', 'good-3'];
    const consumers = all.map((name) => closing(new Consumer(connection, { queue: { name } })));
    const collected = consumers.map((consumer) => collect(consumer.deliveries$));
    await eventually(() => collected[0]?.error !== undefined && collected[2]?.error !== undefined);
    expect(collected[0]?.error).toMatchObject(refusal);
    expect(collected[2]?.error).toMatchObject(refusal);
    const neighbours = [1, 3, 4];
    await eventually(() => neighbours.every((i) => consumers[i]?.state.status === 'attached'));
    expect(neighbours.map((i) => collected[i]?.error)).toEqual([undefined, undefined, undefined]);
    expect(fake.clients.length).toBeLessThanOrEqual(4);
  });

  it('does not refuse the sends of a producer on the same connection', async () => {
    const { fake, connection } = await scripted();
    await connection.connect();
    const producer = closing(new Producer(connection, { topology: { queues: [{ name: 'good' }] } }));
    const sent = producer.send({ queue: 'good', body: 1 });
    sent.catch(() => undefined);
    await waiting(fake.clients[0], 'good');
    const bad = collect(consume(connection, { queue: { name: 'bad' } }));
    await eventually(() => bad.error);
    expect(bad.error).toMatchObject(refusal);
    expect(await sent).toMatchObject({ attempts: 1 });
  });

  it('refuses the sends of a producer whose own topology closes the connection', async () => {
    const { fake, connection } = await scripted();
    await connection.connect();
    const good = closing(new Consumer(connection, { queue: { name: 'good' } }));
    const neighbour = collect(good.deliveries$);
    await waiting(fake.clients[0], 'good');
    const producer = closing(new Producer(connection, { topology: { queues: [{ name: 'bad' }] } }));
    await expect(producer.send({ queue: 'q', body: 1 })).rejects.toMatchObject({
      code: 'PUBLISH_REFUSED',
      replyCode: 541,
    });
    await producer.close({ drainTimeout: 0 });
    await until(good.state$, (state) => state.status === 'attached' && state.epoch === fake.clients.length);
    expect(neighbour.error).toBeUndefined();
  });

  it('is not attributed to a consumer whose own declaration is never answered', async () => {
    const { connection } = await scripted((client) => {
      // The declaration of `slow` is never answered, on any connection.
      const declare = (queue: unknown): unknown => {
        if (String(queue).startsWith('bad')) client.closeConnection(541, REFUSED);
        return undefined;
      };
      client.onMethod('queue.declare', ({ queue }) => declare(queue));
    });
    await connection.connect();
    const slow = collect(consume(connection, { queue: { name: 'slow' } }));
    const bad = collect(consume(connection, { queue: { name: 'bad' } }));
    await eventually(() => bad.error ?? slow.error);
    expect(slow.error).toBeUndefined();
  });
});
