import { Connection, Consumer, handle, type ConsumerState } from 'instance-queue';
import { NEVER } from 'rxjs';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { isAtLeast } from '../../support/brokers/version';
import { eventually, until } from '../../support/waiting';

/** Held longer than this, ms, a delivery is taken back; the broker looks once a second. */
const TIMEOUT = 1000;

// https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout
describe('a delivery held for longer than the broker waits', () => {
  const broker = privateBroker();
  const setAll = (consumerTimeout: string, tick: string): Promise<string> =>
    broker.ctl(
      'eval',
      `application:set_env(rabbit, consumer_timeout, ${consumerTimeout}), application:set_env(rabbit, channel_tick_interval, ${tick}).`,
    );
  let side: Bystander;
  beforeEach(async () => {
    // Before 4.0 only the whole broker has a timeout; a channel takes it along when it opens.
    await setAll(String(TIMEOUT), '1000');
    side = await Bystander.at(broker.url);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
    await setAll('1800000', '60000');
  });

  it('is lost: the work is told, its late ack goes nowhere, the message comes again, the connection stays', async () => {
    const name = side.freeQueueName();
    const connection = closing(new Connection({ url: broker.url, reopen: { min: 5, max: 20 } }));
    const consumer = closing(
      new Consumer(connection, { queue: { name, type: 'quorum', arguments: { 'x-consumer-timeout': TIMEOUT } } }),
    );
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const shared = collect(consumer.deliveries$);
    const told: unknown[] = [];
    collect(
      consumer.deliveries$.pipe(
        handle(({ redelivered }, { signal }) => {
          if (redelivered) return 'done';
          signal.addEventListener('abort', () => told.push(signal.reason));
          return NEVER;
        }),
      ),
    );
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.put(name, 'slow');

    const again = await eventually(() => shared.values[1]);
    expect(again).toMatchObject({ body: 'slow', redelivered: true, deliveryCount: 1 });
    expect(shared.values[0]?.settled).toBe('lost');
    expect(shared.values[0]?.ack()).toBe(false);
    // 4.3 cancels the consumer and keeps the channel; before it the broker closed the channel.
    const cause = isAtLeast(broker, '4.3')
      ? { code: 'CONSUMER_CANCELLED', queue: name }
      : { code: 'CHANNEL_CLOSED', replyCode: 406, message: expect.stringContaining('timed out') as string };
    expect(told).toMatchObject([cause]);
    expect(states.filter((state) => state.status === 'detached' && state.cause !== undefined)).toMatchObject([
      { cause },
    ]);
    await eventually(async () => (await broker.queues()).some((q) => q.name === name && q.messages === 0));
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });
});
