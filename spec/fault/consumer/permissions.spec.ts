import { ChannelError, Connection, Consumer, consume, type ConsumerState } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { collect } from '../../support/collect';
import { eventually, rejection, until } from '../../support/waiting';

describe('a consumer without permission', () => {
  const broker = privateBroker();
  const user = uniqueName('user');
  const url = (): string => {
    const other = new URL(broker.url);
    [other.username, other.password] = [user, 'secret'];
    return other.href;
  };
  const permit = (configure: string, write: string, read: string): Promise<string> =>
    broker.ctl('set_permissions', '-p', '/', user, configure, write, read);
  let side: Bystander;
  let queue: string;
  beforeAll(async () => {
    await broker.ctl('add_user', user, 'secret');
  });
  afterAll(async () => {
    await broker.ctl('delete_user', user);
  });
  beforeEach(async () => {
    side = await Bystander.at(broker.url);
    queue = await side.declareQueue();
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const none = '^$';

  it('fails its first attach with 403, by name and by spec, and the connection stays', async () => {
    await permit(none, none, none);
    const connection = closing(new Connection(url()));
    for (const wanted of [queue, { name: queue }, side.freeQueueName()]) {
      const error = await rejection(lastValueFrom(consume(connection, { queue: wanted })));
      expect(error).toBeInstanceOf(ChannelError);
      expect(error).toMatchObject({ replyCode: 403, retryable: false });
    }
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });

  it('needs only the one to read for a queue that is there, by name or trusted', async () => {
    await permit(none, none, '.*');
    const proxy = closing(await FaultProxy.before(broker.url));
    const log = new FrameLog(proxy);
    const connection = closing(new Connection(proxy.url(url())));
    // RabbitMQ 4.2.6 and later do not let it look for the queue, which it does as long as it hears nothing.
    for (const options of [
      { queue, checkAfter: 1 },
      { queue: { name: queue }, declare: false },
    ]) {
      const consumer = closing(new Consumer(connection, options));
      const { values } = collect(consumer.deliveries$);
      await until(consumer.state$, ({ status }) => status === 'attached');
      if ('checkAfter' in options) await eventually(() => log.of('queue.declare').length >= 2);
      await side.put(queue, 'readable');
      (await eventually(() => values[0])).ack();
      await consumer.close();
    }
    expect(connection.core.counters).toMatchObject({ reopens: 0, reconnects: 0 });
  });

  it('goes on asking, slowly and visibly, when it was taken away later, and comes back when it is given back', async () => {
    await permit('.*', '.*', '.*');
    const name = uniqueName('revoked');
    const reopen = { min: 20, max: 200, factor: 1 };
    const connection = closing(new Connection({ url: url(), name, reconnect: { min: 5, max: 20 }, reopen }));
    const consumer = closing(new Consumer(connection, { queue }));
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');

    await permit(none, none, none);
    connection.reconnect();
    const refused = (state: ConsumerState): boolean => state.status === 'detached' && state.cause?.replyCode === 403;
    await eventually(() => states.filter(refused).length >= 3);
    for (const state of states.filter(refused)) {
      // Ten times `min`, of which half is random.
      expect(state.status === 'detached' ? state.retryIn : 0).toBeGreaterThanOrEqual(100);
    }
    await permit('.*', '.*', '.*');
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.put(queue, 'back');
    await eventually(() => values.length === 1);
    expect(connection.state).toMatchObject({ epoch: 2 });
  });
});
