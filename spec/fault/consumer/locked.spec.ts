import { Consumer, type ConsumerState } from 'instance-queue';
import { Bystander } from '../../support/brokers/bystander';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

describe('an exclusive queue whose owner is still connected', () => {
  const given = proxiedFixture();
  const reopen = { min: 50, max: 200 };
  const locked = (state: ConsumerState): boolean => state.status === 'detached' && state.cause?.replyCode === 405;

  it('is tried again, with growing delays, until the broker notices that the old connection is dead', async () => {
    const name = uniqueName('exclusive');
    const { bystander, newConnection, proxy } = given;
    const connection = newConnection({ heartbeat: 1, reconnect: { min: 5, max: 5 }, reopen });
    const consumer = closing(new Consumer(connection, { queue: { name, exclusive: true } }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');

    // The old socket falls silent, so that the broker takes its connection for alive when the client is back on another.
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
    await bystander.publish('', name, 'mine again');
    await eventually(() => values.length === 1);
  });

  it('does not fail even a first attach', async () => {
    const name = uniqueName('exclusive');
    const owner = await Bystander.at(given.url);
    await owner.declareQueue({ exclusive: true }, name);
    const connection = given.newConnection({ reopen: { min: 5, max: 20 } });
    const consumer = closing(new Consumer(connection, { queue: { name, exclusive: true } }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    collect(consumer.deliveries$);
    await eventually(() => states.filter(locked).length >= 2);
    await owner.close();
    await until(consumer.state$, ({ status }) => status === 'attached');
  });
});
