import { ChannelError, Consumer, consume } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, rejection, until } from '../../support/waiting';

describe('the first attach', () => {
  const given = consumingFixture();

  it('fails with 406 if the queue exists with other properties, and no other consumer is affected', async () => {
    const { bystander, connection } = given;
    const queue = await bystander.declareQueue({ arguments: { 'x-max-length': 5 } });
    const other = await bystander.declareQueue();
    const neighbour = closing(new Consumer(connection, { queue: other }));
    const { values } = collect(neighbour.deliveries$);
    await until(neighbour.state$, ({ status }) => status === 'attached');

    const error = await rejection(lastValueFrom(consume(connection, { queue: { name: queue, maxLength: 6 } })));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406, retryable: false });
    expect(String(error)).toContain(`Cannot declare queue \`${queue}\`: 406 PRECONDITION_FAILED`);

    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(neighbour.state.status).toBe('attached');
    await bystander.put(other, 'still here');
    await eventually(() => values.length === 1);
  });

  it('stops a Consumer for good if it is refused, and later subscribers get the same error', async () => {
    const { bystander, newConnection } = given;
    const queue = await bystander.declareQueue({ arguments: { 'x-max-length': 5 } });
    const consumer = new Consumer(newConnection(), { queue: { name: queue } });
    const error = await rejection(lastValueFrom(consumer.deliveries$));
    expect(error).toMatchObject({ replyCode: 406 });
    expect(consumer.state).toEqual({ status: 'stopped', cause: error });
    expect(await rejection(lastValueFrom(consumer.deliveries$))).toBe(error);
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  });

  it('fails with 404 if a passive queue is missing, and does not declare it', async () => {
    const { bystander, connection } = given;
    const queue = bystander.freeQueueName();
    const error = await rejection(lastValueFrom(consume(connection, { queue: { name: queue, passive: true } })));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({ replyCode: 404 });
    expect(await bystander.hasQueue(queue)).toBe(false);
  });

  it('waits with 403 while another consumer has exclusive access, and leaves that one alone', async () => {
    const { queue, connection } = given;
    const first = closing(new Consumer(connection, { queue, exclusive: true }));
    collect(first.deliveries$);
    await until(first.state$, ({ status }) => status === 'attached');
    const second = closing(new Consumer(connection, { queue }));
    const { values } = collect(second.deliveries$);
    const refused = await until(second.state$, (state) => state.status === 'detached' && state.cause !== undefined);
    expect(refused).toMatchObject({ cause: { code: 'CHANNEL_CLOSED', replyCode: 403, retryable: true } });
    expect(first.state.status).toBe('attached');
    expect(values).toEqual([]);
  });

  it('fails with 406 if an exchange of the topology exists with another type', async () => {
    const { bystander, newConnection } = given;
    const name = bystander.freeExchangeName();
    await bystander.onChannel((channel) => channel.assertExchange(name, 'fanout'));
    const queue = bystander.freeQueueName();
    const topology = { exchanges: [{ name, type: 'topic' }], bindings: [{ exchange: name, queue }] };
    const error = await rejection(lastValueFrom(consume(newConnection(), { queue: { name: queue }, topology })));
    expect(error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406 });
  });

  it('with `declare: false` waits for a queue that does not exist yet', async () => {
    const { bystander, newConnection } = given;
    const queue = bystander.freeQueueName();
    const connection = newConnection({ reopen: { min: 10, max: 50 } });
    const consumer = closing(new Consumer(connection, { queue, declare: false }));
    const { values } = collect(consumer.deliveries$);
    const refused = await until(consumer.state$, (state) => state.status === 'detached' && state.cause !== undefined);
    expect(refused).toMatchObject({ cause: { code: 'CHANNEL_CLOSED', replyCode: 404 } });
    await bystander.declareQueue({}, queue);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.put(queue, 1);
    await eventually(() => values.length === 1);
  });

  it('fails after `reopen.initialAttempts`, and leaves no channel open', async () => {
    const { bystander, newConnection, log, untilChannelsClosed } = given;
    const reopen = { min: 1, max: 1, initialAttempts: 3 };
    const connection = newConnection({ reopen });
    const error = await rejection(
      lastValueFrom(consume(connection, { queue: bystander.freeQueueName(), declare: false })),
    );
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({
      replyCode: 404,
      message: expect.stringContaining('after 3 failed attempts') as string,
    });
    expect(log.of('basic.consume')).toHaveLength(3);
    await untilChannelsClosed();
    expect(connection.state.status).toBe('connected');
  });
});
