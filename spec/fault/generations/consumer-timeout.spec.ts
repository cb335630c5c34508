import { Consumer, handle, type ConsumerState } from 'instance-queue';
import { NEVER } from 'rxjs';
import { isAtLeast } from '../../support/brokers/version';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { eventually, until } from '../../support/waiting';

/** The broker takes a delivery back after this time, in ms; it checks once a second. */
const TIMEOUT = 1000;

// https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout
describe('a delivery that is not settled within the timeout of the broker', () => {
  const given = rabbitmqFixture({ private: true });
  const { broker } = given;
  const setAll = (consumerTimeout: string, tick: string): Promise<string> =>
    broker.ctl(
      'eval',
      `application:set_env(rabbit, consumer_timeout, ${consumerTimeout}), application:set_env(rabbit, channel_tick_interval, ${tick}).`,
    );
  beforeEach(async () => {
    // Before 4.0 only the broker as a whole has a timeout; a channel takes the one that is set when it opens.
    await setAll(String(TIMEOUT), '1000');
  });
  afterEach(async () => {
    await setAll('1800000', '60000');
  });

  it('is lost: its work is aborted, a late ack does nothing, the message is redelivered, and the connection stays', async () => {
    const { bystander, newConnection } = given;
    const name = bystander.freeQueueName();
    const connection = newConnection({ reopen: { min: 5, max: 20 } });
    const consumer = closing(
      new Consumer(connection, { queue: { name, type: 'quorum', arguments: { 'x-consumer-timeout': TIMEOUT } } }),
    );
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const shared = collect(consumer.deliveries$);
    const reasons: unknown[] = [];
    collect(
      consumer.deliveries$.pipe(
        handle(({ redelivered }, { signal }) => {
          if (redelivered) return 'done';
          signal.addEventListener('abort', () => reasons.push(signal.reason));
          return NEVER;
        }),
      ),
    );
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.put(name, 'slow');

    const again = await eventually(() => shared.values[1]);
    expect(again).toMatchObject({ body: 'slow', redelivered: true, deliveryCount: 1 });
    expect(shared.values[0]?.settled).toBe('lost');
    expect(shared.values[0]?.ack()).toBe(false);
    // RabbitMQ 4.3 cancels the consumer and keeps the channel; earlier versions close the channel.
    const cause = isAtLeast(broker, '4.3')
      ? { code: 'CONSUMER_CANCELLED', queue: name }
      : { code: 'CHANNEL_CLOSED', replyCode: 406, message: expect.stringContaining('timed out') as string };
    expect(reasons).toMatchObject([cause]);
    expect(states.filter((state) => state.status === 'detached' && state.cause !== undefined)).toMatchObject([
      { cause },
    ]);
    await eventually(async () => (await broker.queues()).some((q) => q.name === name && q.messages === 0));
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });
});
