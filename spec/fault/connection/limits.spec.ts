import { Connection, Consumer, type ConsumerState } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

const attached = ({ status }: ConsumerState): boolean => status === 'attached';

/** Each test has its own virtual host and user, whose limits affect no other test. */
describe('a limit of the broker', () => {
  const broker = privateBroker();
  let vhost: string;
  let user: string;
  const url = (): string => {
    const mine = new URL(broker.url);
    [mine.username, mine.password, mine.pathname] = [user, 'secret', `/${vhost}`];
    return mine.href;
  };
  beforeEach(async () => {
    [vhost, user] = [uniqueName('vhost'), uniqueName('user')];
    await broker.ctl('add_vhost', vhost);
    await broker.ctl('add_user', user, 'secret');
    await broker.ctl('set_permissions', '-p', vhost, user, '.*', '.*', '.*');
  });
  afterEach(async () => {
    await closeAll();
    await broker.ctl('delete_user', user);
    await broker.ctl('delete_vhost', vhost);
  });
  /** How many were refused by themselves, and wait for their next attempt. */
  const refused = (consumers: readonly Consumer[]): number =>
    consumers.filter(({ state }) => state.status === 'detached' && state.retryIn !== undefined).length;
  /** Waits until the waiting consumers were refused `times` more, and expects the attached ones to stay attached. */
  async function staysWhileOthersWait(consumers: readonly Consumer[], times: number): Promise<void> {
    const stable = consumers.filter(({ state }) => attached(state));
    const others = consumers.filter(({ state }) => !attached(state));
    let refusals = 0;
    const seen: ConsumerState[] = [];
    for (const { state$ } of stable) state$.subscribe((state) => seen.push(state));
    for (const { state$ } of others) {
      state$.subscribe((state) => {
        if (state.status === 'detached' && state.retryIn !== undefined) refusals++;
      });
    }
    await eventually(() => refusals > times);
    expect(seen.filter((state) => !attached(state))).toEqual([]);
  }

  const quick = { reconnect: { min: 20, max: 100 }, reopen: { min: 20, max: 200 } };

  it('on connections delays even the first connection, with the message of the broker in its state', async () => {
    await broker.ctl('set_vhost_limits', '-p', vhost, '{"max-connections": 1}');
    const taken = await Bystander.at(url());
    const connection = closing(new Connection({ url: url(), ...quick }));
    const connected = connection.connect();
    const state = await until(
      connection.state$,
      ({ status, ...rest }) => status === 'reconnecting' && 'attempt' in rest,
    );
    const cause = 'cause' in state ? state.cause : undefined;
    expect(cause).toMatchObject({ code: 'CONNECT_FAILED', replyCode: 530, retryable: true });
    expect(cause?.message).toMatch(/connection limit \(1\) is reached/);
    await taken.close();
    await connected;
  });

  it('of a user on connections delays a connection, too', async () => {
    await broker.ctl('set_user_limits', user, '{"max-connections": 1}');
    const taken = await Bystander.at(url());
    const connection = closing(new Connection({ url: url(), ...quick }));
    const connected = connection.connect();
    await until(connection.state$, (state) => state.status === 'reconnecting' && state.attempt > 2);
    await taken.close();
    await connected;
  });

  it('on channels lets as many consumers attach as it allows, and the others later', async () => {
    await broker.ctl('set_user_limits', user, '{"max-channels": 3}');
    const connection = closing(new Connection({ url: url(), ...quick }));
    const consumers = Array.from({ length: 5 }, (_, i) =>
      closing(new Consumer(connection, { queue: `q${String(i)}` })),
    );
    const collected = consumers.map(({ deliveries$ }) => collect(deliveries$));
    const count = (): number => consumers.filter(({ state }) => attached(state)).length;
    // The broker does not say which channel was one too many: each such consumer costs the connection once, and then waits.
    await eventually(() => count() === 3 && refused(consumers) === 2);
    await staysWhileOthersWait(consumers, 4);
    const waiting = consumers.map(({ state }) => state).filter((state) => !attached(state));
    expect(waiting).toHaveLength(2);
    for (const state of waiting) {
      expect(state).toMatchObject({ status: 'detached', cause: { replyCode: 530, retryable: true } });
    }
    expect(collected.map(({ error }) => error)).toEqual(Array(5).fill(undefined));
    await broker.ctl('clear_user_limits', user, 'max-channels');
    await eventually(() => count() === 5);
  });

  it('on channels that is lowered costs one connection, and the remaining consumers stay attached', async () => {
    const connection = closing(new Connection({ url: url(), ...quick }));
    const consumers = Array.from({ length: 4 }, (_, i) =>
      closing(new Consumer(connection, { queue: `q${String(i)}` })),
    );
    consumers.forEach(({ deliveries$ }) => collect(deliveries$));
    await Promise.all(consumers.map(({ state$ }) => until(state$, attached)));
    await broker.ctl('set_user_limits', user, '{"max-channels": 3}');
    connection.reconnect();
    const count = (): number => consumers.filter(({ state }) => attached(state)).length;
    await eventually(() => {
      const connected = connection.state.status === 'connected';
      // RabbitMQ 4 counts channels a moment late, and may allow four that are opened at once.
      if (connected && count() === 4) connection.reconnect();
      return connected && count() === 3 && refused(consumers) === 1;
    });
    await staysWhileOthersWait(consumers, 3);
  });
});
