import { Consumer } from 'instance-queue';
import { channelsOf } from '../../support/amqplib/opened-channels';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, rejection, until } from '../../support/waiting';

describe('a server-named queue', () => {
  const given = consumingFixture({ connection: { reconnect: { min: 5, max: 50 } } });

  let consumer: Consumer;
  let exchange: string;
  const names: string[] = [];
  beforeEach(() => {
    names.length = 0;
    exchange = given.bystander.freeExchangeName();
    const topology = {
      exchanges: [{ name: exchange, type: 'topic' }],
      bindings: [{ exchange, queue: '', routingKey: 'for.us' }],
    };
    consumer = new Consumer(given.connection, { queue: { name: '' }, topology });
    consumer.on('attached', ({ queue }) => names.push(queue));
  });
  const untilDeleted = async (name: string | undefined): Promise<void> => {
    await eventually(async () => {
      const refused = await rejection(given.bystander.onChannel((channel) => channel.checkQueue(name ?? ''))).catch(
        () => undefined,
      );
      // 405 would mean that it exists and is exclusive to a connection.
      return refused instanceof Error && 'code' in refused && refused.code === 404;
    });
  };

  it('gets a new name with each connection, which is in the state, and its bindings again', async () => {
    const { bystander, proxy } = given;
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.publish(exchange, 'for.us', 1);
    (await eventually(() => values[0])).ack();
    proxy.cut();
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch === 2);
    await bystander.publish(exchange, 'for.us', 2);
    await eventually(() => values.length === 2);
    expect(new Set(names).size).toBe(2);
    expect(values.map(({ body, queue }) => [body, queue])).toEqual([
      [1, names[0]],
      [2, names[1]],
    ]);
    expect(consumer.state).toMatchObject({ queue: names[1] });
    await untilDeleted(names[0]);
  });

  it('is deleted with its consumer, although its connection stays', async () => {
    const { subscription } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    subscription.unsubscribe();
    await until(consumer.state$, ({ status }) => status === 'detached');
    expect(given.connection.state.status).toBe('connected');
    await untilDeleted(names[0]);
  });

  it('is declared again after an exception on its channel, and the old one is deleted', async () => {
    const { connection } = given;
    await connection.connect();
    const channels = channelsOf(connection);
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    for (const channel of channels) channel.checkQueue('no such queue').catch(() => undefined);
    await eventually(() => names.length === 2);
    await given.bystander.publish(exchange, 'for.us', 'here');
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ body: 'here', queue: names[1] });
    await untilDeleted(names[0]);
    expect(connection.state).toMatchObject({ epoch: 1 });
  });
});
