import { Consumer, handle, type ConsumerState } from 'instance-queue';
import { NEVER } from 'rxjs';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, until } from '../../support/waiting';

describe('a consumer that the broker cancels', () => {
  const given = consumingFixture({ connection: { reopen: { min: 5, max: 20 } } });

  it('declares its queue again and attaches with a new tag, on the same connection', async () => {
    const { bystander, log, connection } = given;
    const name = bystander.freeQueueName();
    const consumer = closing(new Consumer(connection, { queue: { name, maxLength: 100 } }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.deleteQueue(name);
    await eventually(() => states.filter(({ status }) => status === 'attached').length === 2);
    await bystander.put(name, 'again');
    await eventually(() => values.length === 1);
    expect(states.at(-2)).toMatchObject({
      status: 'detached',
      cause: { code: 'CONSUMER_CANCELLED', queue: name },
      retryIn: 0,
    });
    const [before, after] = log.of('basic.consume');
    expect(after?.fields['consumerTag']).not.toBe(before?.fields['consumerTag']);
    expect(log.of('queue.declare').filter(({ fields }) => fields['queue'] === name)).toHaveLength(2);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(connection.core.counters).toMatchObject({ reopens: 1, reconnects: 0 });
  });

  it('cannot settle its deliveries any more: the calls return false, nothing is sent, and work is aborted', async () => {
    const { bystander, log, connection } = given;
    const name = bystander.freeQueueName();
    const consumer = closing(new Consumer(connection, { queue: name }));
    const lost: unknown[] = [];
    consumer.on('lost', ({ body }) => lost.push(body));
    const aborted: unknown[] = [];
    const shared = collect(consumer.deliveries$);
    const { values } = collect(
      consumer.deliveries$.pipe(
        handle((_, { signal }) => {
          signal.addEventListener('abort', () => aborted.push(signal.reason));
          return NEVER;
        }),
      ),
    );
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.put(name, 'mine');
    await eventually(() => shared.values.length === 1);
    await bystander.deleteQueue(name);
    await eventually(() => aborted.length === 1);
    for (const verb of ['ack', 'requeue', 'release', 'reject'] as const) expect(shared.values[0]?.[verb]()).toBe(false);
    expect(shared.values[0]?.settled).toBe('lost');
    expect(lost).toEqual(['mine']);
    expect(aborted).toEqual([expect.objectContaining({ code: 'CONSUMER_CANCELLED' })]);
    expect(values).toEqual([expect.objectContaining({ sent: false })]);
    await until(consumer.state$, ({ status }) => status === 'attached');
    expect(log.methods('toBroker').filter((method) => /^basic\.(ack|nack|reject)$/.test(method))).toEqual([]);
  });

  it('gives up after `reopen.attempts`', async () => {
    const { bystander, newConnection } = given;
    const name = bystander.freeQueueName();
    const strict = newConnection({ reopen: { attempts: 0 } });
    const consumer = new Consumer(strict, { queue: name });
    const collected = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.deleteQueue(name);
    await eventually(() => collected.error);
    expect(collected.error).toMatchObject({ code: 'CHANNEL_CLOSED', cause: { code: 'CONSUMER_CANCELLED' } });
    expect(consumer.state).toEqual({ status: 'stopped', cause: collected.error });
    expect(strict.state.status).toBe('connected');
  });

  it('waits with growing delays for a passive queue that was deleted, and attaches when it is back', async () => {
    const { bystander, connection } = given;
    const name = await bystander.declareQueue();
    const consumer = closing(new Consumer(connection, { queue: { name, passive: true } }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.deleteQueue(name);
    const missing = (state: ConsumerState): boolean => state.status === 'detached' && state.cause?.replyCode === 404;
    await eventually(() => states.filter(missing).length >= 3);
    await bystander.declareQueue({}, name);
    await until(consumer.state$, ({ status }) => status === 'attached');
  });

  it('leaves no channel open, however often it is cancelled', async () => {
    const { bystander, log, connection } = given;
    const name = bystander.freeQueueName();
    const consumer = closing(new Consumer(connection, { queue: name }));
    collect(consumer.deliveries$);
    for (let i = 0; i < 10; i++) {
      await until(consumer.state$, ({ status }) => status === 'attached');
      await eventually(() => connection.core.counters.reopens === i);
      await bystander.deleteQueue(name);
      await eventually(() => connection.core.counters.reopens === i + 1);
    }
    const closed = (): number => log.of('channel.close-ok').length + 1;
    await eventually(() => log.of('channel.open').length === closed());
  });
});
