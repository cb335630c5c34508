import { Connection, Consumer, type ConsumerState } from 'instance-queue';
import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

const REFUSED = "COMMAND_INVALID - invalid exchange type 'x-delayed-message'";
const attached = ({ status }: ConsumerState): boolean => status === 'attached';

/**
 * What a broker took once, and then answers by closing the whole connection: an exchange whose plugin is missing after an
 * upgrade. https://www.rabbitmq.com/docs/channels#error-handling
 */
describe.each([503, 530, 541])('a topology that turns bad, refused by closing the connection with %s', (replyCode) => {
  afterEach(closeAll);

  it('keeps its own consumer waiting, and every other one attached', async () => {
    let bad = false;
    const broker = closing(
      await FakeBroker.start((client) => {
        client.onMethod('exchange.declare', () => {
          if (!bad) return 'default';
          client.closeConnection(replyCode, REFUSED);
          return undefined;
        });
      }),
    );
    const backoff = { min: 5, max: 40 };
    const connection = closing(new Connection({ url: broker.url, reconnect: backoff, reopen: backoff }));
    const topology = { exchanges: [{ name: 'late', type: 'x-delayed-message' }] };
    const guilty = closing(new Consumer(connection, { queue: { name: 'guilty' }, topology }));
    const others = ['a', 'b', 'c', 'd'].map((name) => closing(new Consumer(connection, { queue: { name } })));
    const collected = [guilty, ...others].map(({ deliveries$ }) => collect(deliveries$));
    for (const consumer of [guilty, ...others]) await until(consumer.state$, attached);

    bad = true;
    connection.reconnect();
    const waiting = (state: ConsumerState): boolean =>
      state.status === 'detached' && state.cause?.replyCode === replyCode && state.retryIn !== undefined;
    await until(guilty.state$, waiting);
    await eventually(() => others.every(({ state }) => attached(state)));
    // From here on none of them notices how often it is tried and refused.
    const seen: ConsumerState[] = [];
    others.forEach(({ state$ }) => state$.subscribe((state) => seen.push(state)));
    let refusals = 0;
    guilty.state$.subscribe((state) => {
      if (waiting(state)) refusals++;
    });
    await eventually(() => refusals > 3);
    expect(seen.filter((state) => !attached(state))).toEqual([]);

    bad = false;
    await until(guilty.state$, attached);
    expect(seen.filter((state) => !attached(state))).toEqual([]);
    expect(collected.map(({ error }) => error)).toEqual(Array(5).fill(undefined));
  });
});
