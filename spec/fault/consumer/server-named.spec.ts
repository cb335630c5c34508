import { Connection, Consumer } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { channelsOf } from '../../support/amqplib/opened-channels';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually, rejection, until } from '../../support/waiting';

describe('a queue that the broker names', () => {
  const broker = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let connection: Connection;
  let consumer: Consumer;
  let exchange: string;
  const names: string[] = [];
  beforeEach(async () => {
    names.length = 0;
    side = await Bystander.at(broker.url);
    proxy = closing(await FaultProxy.before(broker.url));
    connection = closing(new Connection({ url: proxy.url(broker.url), reconnect: { min: 5, max: 50 } }));
    exchange = side.freeExchangeName();
    const topology = {
      exchanges: [{ name: exchange, type: 'topic' }],
      bindings: [{ exchange, queue: '', routingKey: 'for.us' }],
    };
    consumer = new Consumer(connection, { queue: { name: '' }, topology });
    consumer.on('attached', ({ queue }) => names.push(queue));
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const isGone = async (name: string | undefined): Promise<void> => {
    await eventually(async () => {
      const refused = await rejection(side.onChannel((channel) => channel.checkQueue(name ?? ''))).catch(
        () => undefined,
      );
      // 405 would be: it is there, and somebody's own.
      return refused instanceof Error && 'code' in refused && refused.code === 404;
    });
  };

  it('has a new name with each connection, which the state tells, and its bindings', async () => {
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.publish(exchange, 'for.us', 1);
    (await eventually(() => values[0])).ack();
    proxy.cut();
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch === 2);
    await side.publish(exchange, 'for.us', 2);
    await eventually(() => values.length === 2);
    expect(new Set(names).size).toBe(2);
    expect(values.map(({ body, queue }) => [body, queue])).toEqual([
      [1, names[0]],
      [2, names[1]],
    ]);
    expect(consumer.state).toMatchObject({ queue: names[1] });
    await isGone(names[0]);
  });

  it('does not outlive its consumer on a connection that goes on', async () => {
    const { subscription } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    subscription.unsubscribe();
    await until(consumer.state$, ({ status }) => status === 'detached');
    expect(connection.state.status).toBe('connected');
    await isGone(names[0]);
  });

  it('is made anew after an exception on its channel, and the old one is not left bound', async () => {
    await connection.connect();
    const channels = channelsOf(connection);
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    for (const channel of channels) channel.checkQueue('no such queue').catch(() => undefined);
    await eventually(() => names.length === 2);
    await side.publish(exchange, 'for.us', 'here');
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ body: 'here', queue: names[1] });
    await isGone(names[0]);
    expect(connection.state).toMatchObject({ epoch: 1 });
  });
});
