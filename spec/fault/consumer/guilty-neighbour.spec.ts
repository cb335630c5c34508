import { Consumer, type ConsumerState } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { eventually, until } from '../../support/waiting';

const REFUSED = "COMMAND_INVALID - invalid exchange type 'x-delayed-message'";
const attached = ({ status }: ConsumerState): boolean => status === 'attached';

/**
 * A topology that a broker accepted once and later answers by closing the whole connection: an exchange whose plugin is
 * missing after an upgrade. https://www.rabbitmq.com/docs/channels#error-handling
 */
describe.each([503, 530, 541])(
  'a topology that the broker starts to refuse by closing the connection with %s',
  (replyCode) => {
    const { start } = fakeBrokerFixture();

    it('detaches its own consumer, and every other one stays attached', async () => {
      let bad = false;
      const backoff = { min: 5, max: 40 };
      const { connection } = await start(
        (client) => {
          client.onMethod('exchange.declare', () => {
            if (!bad) return 'default';
            client.closeConnection(replyCode, REFUSED);
            return undefined;
          });
        },
        { reconnect: backoff, reopen: backoff },
      );
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
      // From here on the others stay attached, however often it is tried and refused.
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
  },
);
