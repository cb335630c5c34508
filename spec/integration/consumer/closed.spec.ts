import { Connection, ConnectionError, Consumer, consume } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, rejection, until } from '../../support/waiting';

describe('consuming from what is closed', () => {
  const given = consumingFixture();

  const isClosed = (error: unknown): void => {
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: 'CONNECTION_CLOSED', retryable: false });
  };

  it('fails at once on a closed Connection', async () => {
    const { bystander, connection } = given;
    const queue = bystander.freeQueueName();
    await connection.connect();
    await connection.close();
    isClosed(await rejection(lastValueFrom(consume(connection, { queue }))));
    expect(await bystander.hasQueue(queue)).toBe(false);
  });

  it('fails at once on a Connection that was closed before it was ever opened', async () => {
    const { bystander, connection } = given;
    await connection.close();
    isClosed(await rejection(lastValueFrom(consume(connection, { queue: bystander.freeQueueName() }))));
    expect(connection.state).toEqual({ status: 'closed' });
  });

  it('fails at once on a Connection that is closing, while its other consumers drain', async () => {
    const { bystander, queue, connection } = given;
    const { values } = collect(consume(connection, { queue }));
    await bystander.put(queue, 1);
    await eventually(() => values.length === 1);
    const closed = connection.close();
    expect(connection.state.status).toBe('closing');
    isClosed(await rejection(lastValueFrom(consume(connection, { queue }))));
    values[0]?.ack();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  });

  it('fails at once on a closed InstanceQueue', async () => {
    const { bystander, newClient } = given;
    const client = newClient();
    await client.close();
    isClosed(await rejection(lastValueFrom(client.consume({ queue: bystander.freeQueueName() }))));
    isClosed(await rejection(lastValueFrom(client.consumer({ queue: bystander.freeQueueName() }).deliveries$)));
  });

  it('fails at once on a Consumer whose Connection is closed', async () => {
    const { bystander, connection } = given;
    const consumer = new Consumer(connection, { queue: bystander.freeQueueName() });
    await connection.close();
    expect(consumer.state).toEqual({ status: 'stopped' });
    isClosed(await rejection(lastValueFrom(consumer.deliveries$)));
  });

  it('completes at once on a closed Consumer, whose Connection stays open', async () => {
    const { bystander, connection } = given;
    const queue = bystander.freeQueueName();
    const consumer = new Consumer(connection, { queue });
    await connection.connect();
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(collect(consumer.deliveries$)).toMatchObject({ completed: true, values: [], error: undefined });
    expect(connection.state.status).toBe('connected');
  });

  it('completes when the Connection is closed', async () => {
    const { queue, connection } = given;
    const consumer = new Consumer(connection, { queue });
    const cold = collect(consume(connection, { queue }));
    const shared = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await connection.close();
    expect(cold).toMatchObject({ completed: true, error: undefined });
    expect(shared).toMatchObject({ completed: true, error: undefined });
    expect(consumer.state).toEqual({ status: 'stopped' });
  });

  it('errors with the cause when the Connection gives up, and the state carries that cause', async () => {
    const connection = closing(new Connection({ url: 'amqp://127.0.0.1:1', reconnect: { initialAttempts: 1 } }));
    const consumer = new Consumer(connection, { queue: 'q' });
    const cold = collect(consume(connection, { queue: 'q' }));
    const shared = collect(consumer.deliveries$);
    await until(connection.state$, ({ status }) => status === 'closed');
    expect(cold.error).toMatchObject({ code: 'CONNECT_FAILED' });
    expect(shared.error).toBe(cold.error);
    expect(consumer.state).toEqual({ status: 'stopped', cause: cold.error });
    expect(await rejection(lastValueFrom(consumer.deliveries$))).toBe(cold.error);
  });
});
