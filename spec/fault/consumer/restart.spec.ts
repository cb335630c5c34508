import { Consumer, handle, type Topology } from 'instance-queue';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

describe('a consumer whose broker restarts', () => {
  const given = rabbitmqFixture({ private: true });
  const { broker } = given;

  it('attaches and declares again: durable queues keep their messages, transient queues and bindings are declared anew', async () => {
    const [kept, gone, exchange] = [uniqueName('kept'), uniqueName('gone'), uniqueName('exchange')];
    const topology: Topology = {
      exchanges: [{ name: exchange, type: 'topic', autoDelete: true, durable: false }],
      queues: [{ name: gone, durable: false, exclusive: true }],
      bindings: [{ exchange, queue: gone, routingKey: '#' }],
    };
    const { bystander, newConnection } = given;
    const connection = newConnection({ reconnect: { min: 10, max: 200 } });
    const [one, two] = [
      new Consumer(connection, { queue: { name: kept, type: 'classic' } }),
      new Consumer(connection, { queue: gone, topology }),
    ];
    const [a, b] = [collect(one.deliveries$), collect(two.deliveries$)];
    const lost: unknown[] = [];
    one.on('lost', ({ body }) => lost.push(body));
    await Promise.all([one, two].map(({ state$ }) => until(state$, ({ status }) => status === 'attached')));
    await bystander.put(kept, 'over the restart');
    await eventually(() => a.values.length === 1);

    await broker.stopApp();
    await until(connection.state$, ({ status }) => status === 'reconnecting');
    await broker.startApp();

    await Promise.all([one, two].map(({ state$ }) => until(state$, (s) => s.status === 'attached' && s.epoch >= 2)));
    await eventually(() => a.values.length === 2);
    expect(lost).toEqual(['over the restart']);
    expect(a.values[1]).toMatchObject({ body: 'over the restart', redelivered: true });
    bystander.deletesQueue(kept);
    await bystander.publish(exchange, 'any', 'declared again');
    await eventually(() => b.values.length === 1);
    a.values[1]?.ack();
  });

  it('attaches after the broker was killed, even if its queue is deleted afterwards', async () => {
    const name = uniqueName('named');
    const { bystander, newClient } = given;
    const client = newClient({ reconnect: { min: 10, max: 200 } });
    const consumer = client.consumer({ queue: name });
    const { values } = collect(consumer.deliveries$.pipe(handle(({ body }) => body)));
    await until(consumer.state$, ({ status }) => status === 'attached');

    await broker.kill();
    await eventually(() => client.state.consumer.status === 'reconnecting');
    expect(consumer.state).toMatchObject({ status: 'detached', cause: { code: 'CONNECTION_LOST' } });
    await broker.start();
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch >= 2, 45_000);

    // RabbitMQ 4.3 cancels no consumer whose queue is deleted before its start is complete, shortly after its first answers.
    await broker.ctl('await_startup');
    // A broker that is still booting may have cost more than one attach already.
    const { reopens } = client.metrics;
    await bystander.deleteQueue(name);
    await eventually(() => client.metrics.reopens > reopens);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.put(bystander.deletesQueue(name), 'in the new queue');
    await eventually(() => values.length === 1);
    // A container takes a while to be killed and to come back.
  }, 90_000);
});
