import { ChannelError, Connection, Consumer, Producer, consume } from 'instance-queue';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

const REFUSED = 'INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.';

/**
 * RabbitMQ answers some declarations by closing the whole connection, and does not say whose it was
 * (https://www.rabbitmq.com/docs/deprecated-features): everybody who was about to attach on it hears the same refusal.
 */
describe('a neighbour’s refusal that closes the connection', () => {
  afterEach(closeAll);

  /** Queues whose name begins with `bad` are refused so; on the first connection the others wait until that happens. */
  async function scripted(script: (client: FakeClient, number: number) => void = () => undefined) {
    const broker = closing(
      await FakeBroker.start((client, number) => {
        client.onMethod('queue.declare', ({ queue }) => {
          if (String(queue).startsWith('bad')) client.closeConnection(541, REFUSED);
          return number > 1 && !String(queue).startsWith('bad') ? 'default' : undefined;
        });
        script(client, number);
      }),
    );
    const backoff = { min: 1, max: 5 };
    const connection = closing(new Connection({ url: broker.url, reconnect: backoff, reopen: backoff }));
    return { broker, connection };
  }
  const waiting = (client: FakeClient | undefined, queue: string): Promise<unknown> =>
    client?.until('queue.declare', ({ fields }) => fields['queue'] === queue) ?? Promise.reject(new Error('nobody'));
  const refusal = {
    replyCode: 541,
    retryable: false,
    message: expect.stringContaining(REFUSED) as string,
  };

  it('does not end a first attach that was under way beside it', async () => {
    const { broker, connection } = await scripted();
    await connection.connect();
    const good = closing(new Consumer(connection, { queue: { name: 'good' } }));
    const innocent = collect(good.deliveries$);
    await waiting(broker.clients[0], 'good');
    const bad = collect(consume(connection, { queue: { name: 'bad' } }));
    await until(good.state$, ({ status }) => status === 'attached' || status === 'stopped');
    await eventually(() => bad.error);
    expect(bad.error).toBeInstanceOf(ChannelError);
    expect(bad.error).toMatchObject(refusal);
    // The guilty one may close the connection once more, when it is asked alone.
    await until(good.state$, (state) => state.status === 'attached' && state.epoch === broker.clients.length);
    expect(innocent).toMatchObject({ error: undefined, completed: false });
    expect(broker.clients.length).toBeLessThanOrEqual(3);
  });

  it('finds each of several guilty, and only those', async () => {
    const { broker, connection } = await scripted();
    await connection.connect();
    const all = ['bad-1', 'good-1', 'bad-2', 'good-2', 'good-3'];
    const consumers = all.map((name) => closing(new Consumer(connection, { queue: { name } })));
    const collected = consumers.map((consumer) => collect(consumer.deliveries$));
    await eventually(() => collected[0]?.error !== undefined && collected[2]?.error !== undefined);
    expect(collected[0]?.error).toMatchObject(refusal);
    expect(collected[2]?.error).toMatchObject(refusal);
    const innocents = [1, 3, 4];
    await eventually(() => innocents.every((i) => consumers[i]?.state.status === 'attached'));
    expect(innocents.map((i) => collected[i]?.error)).toEqual([undefined, undefined, undefined]);
    expect(broker.clients.length).toBeLessThanOrEqual(4);
  });

  it('does not refuse what a producer beside it was about to send', async () => {
    const { broker, connection } = await scripted();
    await connection.connect();
    const producer = closing(new Producer(connection, { topology: { queues: [{ name: 'good' }] } }));
    const sent = producer.send({ queue: 'good', body: 1 });
    sent.catch(() => undefined);
    await waiting(broker.clients[0], 'good');
    const bad = collect(consume(connection, { queue: { name: 'bad' } }));
    await eventually(() => bad.error);
    expect(bad.error).toMatchObject(refusal);
    expect(await sent).toMatchObject({ attempts: 1 });
  });

  it('refuses what a producer sends when it is its own topology that closed the connection', async () => {
    const { broker, connection } = await scripted();
    await connection.connect();
    const good = closing(new Consumer(connection, { queue: { name: 'good' } }));
    const innocent = collect(good.deliveries$);
    await waiting(broker.clients[0], 'good');
    const producer = closing(new Producer(connection, { topology: { queues: [{ name: 'bad' }] } }));
    await expect(producer.send({ queue: 'q', body: 1 })).rejects.toMatchObject({
      code: 'PUBLISH_REFUSED',
      replyCode: 541,
    });
    await producer.close({ drainTimeout: 0 });
    await until(good.state$, (state) => state.status === 'attached' && state.epoch === broker.clients.length);
    expect(innocent.error).toBeUndefined();
  });

  it('is judged alone even while the other one declares without an end', async () => {
    const { connection } = await scripted((client) => {
      // Nobody answers this one, on whatever connection.
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
