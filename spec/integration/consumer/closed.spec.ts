import { Connection, ConnectionError, Consumer, InstanceQueue, consume } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, rejection, until } from '../../support/waiting';

describe('consuming when it is too late', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  beforeEach(async () => {
    side = await Bystander.at(url);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });

  const isClosed = (error: unknown): void => {
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: 'CONNECTION_CLOSED', retryable: false });
  };

  it('fails at once on a closed Connection', async () => {
    const queue = side.tidies();
    const connection = closing(new Connection(url));
    await connection.connect();
    await connection.close();
    isClosed(await rejection(lastValueFrom(consume(connection, { queue }))));
    expect(await side.has(queue)).toBe(false);
  });

  it('fails at once on a Connection that was closed before it was ever opened', async () => {
    const connection = closing(new Connection(url));
    await connection.close();
    isClosed(await rejection(lastValueFrom(consume(connection, { queue: side.tidies() }))));
    expect(connection.state).toEqual({ status: 'closed' });
  });

  it('fails at once on a Connection that is closing, while others still drain', async () => {
    const queue = await side.queue();
    const connection = closing(new Connection(url));
    const { values } = gather(consume(connection, { queue }));
    await side.put(queue, 1);
    await eventually(() => values.length === 1);
    const closed = connection.close();
    expect(connection.state.status).toBe('closing');
    isClosed(await rejection(lastValueFrom(consume(connection, { queue }))));
    values[0]?.ack();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  });

  it('fails at once on a closed InstanceQueue', async () => {
    const queue = closing(new InstanceQueue(url));
    await queue.close();
    isClosed(await rejection(lastValueFrom(queue.consume({ queue: side.tidies() }))));
    isClosed(await rejection(lastValueFrom(queue.consumer({ queue: side.tidies() }).deliveries$)));
  });

  it('fails at once on a Consumer whose Connection is closed', async () => {
    const connection = closing(new Connection(url));
    const consumer = new Consumer(connection, { queue: side.tidies() });
    await connection.close();
    expect(consumer.state).toEqual({ status: 'stopped' });
    isClosed(await rejection(lastValueFrom(consumer.deliveries$)));
  });

  it('completes at once on a closed Consumer, whose Connection goes on', async () => {
    const queue = side.tidies();
    const connection = closing(new Connection(url));
    const consumer = new Consumer(connection, { queue });
    await connection.connect();
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(gather(consumer.deliveries$)).toMatchObject({ completed: true, values: [], error: undefined });
    expect(connection.state.status).toBe('connected');
  });

  it('completes what was being consumed when its Connection is closed', async () => {
    const queue = await side.queue();
    const connection = closing(new Connection(url));
    const consumer = new Consumer(connection, { queue });
    const cold = gather(consume(connection, { queue }));
    const shared = gather(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await connection.close();
    expect(cold).toMatchObject({ completed: true, error: undefined });
    expect(shared).toMatchObject({ completed: true, error: undefined });
    expect(consumer.state).toEqual({ status: 'stopped' });
  });

  it('ends with the cause when the Connection gave up, in the stream and in the state', async () => {
    const connection = closing(new Connection({ url: 'amqp://127.0.0.1:1', reconnect: { initialAttempts: 1 } }));
    const consumer = new Consumer(connection, { queue: 'q' });
    const cold = gather(consume(connection, { queue: 'q' }));
    const shared = gather(consumer.deliveries$);
    await until(connection.state$, ({ status }) => status === 'closed');
    expect(cold.error).toMatchObject({ code: 'CONNECT_FAILED' });
    expect(shared.error).toBe(cold.error);
    expect(consumer.state).toEqual({ status: 'stopped', cause: cold.error });
    expect(await rejection(lastValueFrom(consumer.deliveries$))).toBe(cold.error);
  });
});
