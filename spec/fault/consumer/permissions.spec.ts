import { ChannelError, Connection, Consumer, consume, type ConsumerState } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { uniqueName } from '../../support/unique-name';
import { eventually, rejection, until } from '../../support/waiting';

describe('a consumer without permission', () => {
  const given = consumingFixture({ private: true });

  const user = uniqueName('user');
  const asUser = (url: string): string => {
    const other = new URL(url);
    [other.username, other.password] = [user, 'secret'];
    return other.href;
  };
  const permit = (configure: string, write: string, read: string): Promise<string> =>
    given.broker.ctl('set_permissions', '-p', '/', user, configure, write, read);
  beforeAll(async () => {
    await given.broker.ctl('add_user', user, 'secret');
  });
  afterAll(async () => {
    await given.broker.ctl('delete_user', user);
  });
  const none = '^$';

  it('fails its first attach with 403, with a name or a spec as its queue, and the connection stays', async () => {
    const { bystander, queue } = given;
    await permit(none, none, none);
    const connection = closing(new Connection(asUser(given.url)));
    for (const wanted of [queue, { name: queue }, bystander.freeQueueName()]) {
      const error = await rejection(lastValueFrom(consume(connection, { queue: wanted })));
      expect(error).toBeInstanceOf(ChannelError);
      expect(error).toMatchObject({ replyCode: 403, retryable: false });
    }
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });

  it('needs only the read permission for a queue that exists, by name or with `declare: false`', async () => {
    const { url, bystander, proxy, queue, log } = given;
    await permit(none, none, '.*');
    const connection = closing(new Connection(asUser(proxy.url(url))));
    // RabbitMQ 4.2.6 and later refuse the check for the queue, which an idle consumer makes after `checkAfter`.
    for (const options of [
      { queue, checkAfter: 1 },
      { queue: { name: queue }, declare: false },
    ]) {
      const consumer = closing(new Consumer(connection, options));
      const { values } = collect(consumer.deliveries$);
      await until(consumer.state$, ({ status }) => status === 'attached');
      if ('checkAfter' in options) await eventually(() => log.of('queue.declare').length >= 2);
      await bystander.put(queue, 'readable');
      (await eventually(() => values[0])).ack();
      await consumer.close();
    }
    expect(connection.core.counters).toMatchObject({ reopens: 0, reconnects: 0 });
  });

  it('tries again slowly, with the cause in its state, if the permission is revoked later, and attaches when it is granted again', async () => {
    const { bystander, queue } = given;
    await permit('.*', '.*', '.*');
    const name = uniqueName('revoked');
    const reopen = { min: 20, max: 200, factor: 1 };
    const connection = closing(
      new Connection({ url: asUser(given.url), name, reconnect: { min: 5, max: 20 }, reopen }),
    );
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
    await bystander.put(queue, 'back');
    await eventually(() => values.length === 1);
    expect(connection.state).toMatchObject({ epoch: 2 });
  });
});
