import { Connection, Consumer, InstanceQueue, handle, type Topology } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

describe('a consumer whose broker restarts', () => {
  const broker = privateBroker();
  afterEach(closeAll);

  it('registers and declares again: durable queues with their messages, transient ones and bindings from nothing', async () => {
    const [kept, gone, exchange] = [uniqueName('kept'), uniqueName('gone'), uniqueName('exchange')];
    const topology: Topology = {
      exchanges: [{ name: exchange, type: 'topic', autoDelete: true, durable: false }],
      queues: [{ name: gone, durable: false, exclusive: true }],
      bindings: [{ exchange, queue: gone, routingKey: '#' }],
    };
    const connection = closing(new Connection({ url: broker.url, reconnect: { min: 10, max: 200 } }));
    const [one, two] = [
      new Consumer(connection, { queue: { name: kept, type: 'classic' } }),
      new Consumer(connection, { queue: gone, topology }),
    ];
    const [a, b] = [collect(one.deliveries$), collect(two.deliveries$)];
    const lost: unknown[] = [];
    one.on('lost', ({ body }) => lost.push(body));
    await Promise.all([one, two].map(({ state$ }) => until(state$, ({ status }) => status === 'attached')));
    const before = await Bystander.at(broker.url);
    await before.put(kept, 'over the restart');
    await eventually(() => a.values.length === 1);

    await broker.stopApp();
    await until(connection.state$, ({ status }) => status === 'reconnecting');
    await broker.startApp();

    await Promise.all([one, two].map(({ state$ }) => until(state$, (s) => s.status === 'attached' && s.epoch >= 2)));
    await eventually(() => a.values.length === 2);
    expect(lost).toEqual(['over the restart']);
    expect(a.values[1]).toMatchObject({ body: 'over the restart', redelivered: true });
    const after = await Bystander.at(broker.url);
    after.deletesQueue(kept);
    await after.publish(exchange, 'any', 'declared again');
    await eventually(() => b.values.length === 1);
    a.values[1]?.ack();
    await closeAll();
    await after.close();
    await before.close();
  });

  it('comes back from a killed broker, also when the queue went meanwhile', async () => {
    const name = uniqueName('named');
    const front = closing(new InstanceQueue({ url: broker.url, reconnect: { min: 10, max: 200 } }));
    const consumer = front.consumer({ queue: name });
    const { values } = collect(consumer.deliveries$.pipe(handle(({ body }) => body)));
    await until(consumer.state$, ({ status }) => status === 'attached');

    await broker.kill();
    await eventually(() => front.state.consumer.status === 'reconnecting');
    expect(consumer.state).toMatchObject({ status: 'detached', cause: { code: 'CONNECTION_LOST' } });
    await broker.start();
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch >= 2, 45_000);

    // RabbitMQ 4.3 cancels nobody whose queue is deleted before its start is complete, a moment behind its first answers.
    await broker.ctl('await_startup');
    const side = await Bystander.at(broker.url);
    // A broker that is still booting may have cost more than one attach already.
    const { reopens } = front.metrics;
    await side.deleteQueue(name);
    await eventually(() => front.metrics.reopens > reopens);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.put(side.deletesQueue(name), 'in the new queue');
    await eventually(() => values.length === 1);
    await closeAll();
    await side.close();
    // A container takes its time to be killed and to come back.
  }, 90_000);
});
