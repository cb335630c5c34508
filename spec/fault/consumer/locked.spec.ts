import { Connection, Consumer, type ConsumerState } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

describe('an exclusive queue whose owner is still there', () => {
  const broker = sharedBroker();
  afterEach(closeAll);
  const reopen = { min: 50, max: 200 };
  const locked = (state: ConsumerState): boolean => state.status === 'detached' && state.cause?.replyCode === 405;

  it('is asked for again, with growing delays, until the broker notices that the old connection died', async () => {
    const name = uniqueName('exclusive');
    const proxy = closing(await FaultProxy.before(broker.url));
    const connection = closing(
      new Connection({ url: proxy.url(broker.url), heartbeat: 1, reconnect: { min: 5, max: 5 }, reopen }),
    );
    const consumer = closing(new Consumer(connection, { queue: { name, exclusive: true } }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');

    // The old socket falls silent, and the broker is not told that we are back on another one.
    proxy.blackHole();
    connection.reconnect();
    await proxy.restore({ reset: false });
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    await eventually(() => states.filter(locked).length >= 3);
    const back = await until(consumer.state$, ({ status }) => status === 'attached');
    expect(back).toMatchObject({ queue: name, epoch: 2 });
    expect(connection.state).toMatchObject({ epoch: 2 });
    const delays = states.filter(locked).map((state) => (state.status === 'detached' ? state.retryIn : undefined));
    expect(delays.length).toBeLessThan(100);
    const side = await Bystander.at(broker.url);
    await side.publish('', name, 'mine again');
    await eventually(() => values.length === 1);
    await side.close();
  });

  it('does not fail even the first attach', async () => {
    const name = uniqueName('exclusive');
    const owner = await Bystander.at(broker.url);
    await owner.declareQueue({ exclusive: true }, name);
    const connection = closing(new Connection({ url: broker.url, reopen: { min: 5, max: 20 } }));
    const consumer = closing(new Consumer(connection, { queue: { name, exclusive: true } }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    collect(consumer.deliveries$);
    await eventually(() => states.filter(locked).length >= 2);
    await owner.close();
    await until(consumer.state$, ({ status }) => status === 'attached');
  });
});
