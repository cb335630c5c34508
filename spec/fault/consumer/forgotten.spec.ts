import { Connection, Consumer, type ConsumeOptions, type ConsumerState } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { FrameLog } from '../../support/frames/frames';
import { eventually, until } from '../../support/waiting';

/**
 * What RabbitMQ 4.3 does to a queue that is deleted while the broker still starts ("is down. Forcing queue deletion"): its
 * files and its record are deleted, but its process stays, with its consumers, and none of them is cancelled.
 */
const forget = (...queues: string[]): string => `
  [begin
    {ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, Name)),
    rabbit_classic_queue:delete_crashed_internal(Q, <<"guest">>)
  end || Name <- [${queues.map((name) => `<<"${name}">>`).join(', ')}]].`;

describe('a consumer whose queue the broker has forgotten', () => {
  const given = rabbitmqFixture({ private: true });

  let name: string;
  beforeEach(() => {
    name = given.bystander.freeQueueName();
  });

  async function attached(options: Omit<ConsumeOptions, 'queue'>) {
    // A proxy for each consumer, to tell their frames apart.
    const proxy = closing(await FaultProxy.before(given.url));
    const log = new FrameLog(proxy);
    const connection = closing(new Connection({ url: proxy.url(given.url), reopen: { min: 5, max: 20 } }));
    const consumer = closing(new Consumer(connection, { queue: name, ...options }));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const checks = () => log.of('queue.declare').filter(({ fields }) => fields['passive'] === true).length;
    return { connection, consumer, states, values, log, checks };
  }

  it('notices, reports the cause, declares the queue again and attaches to it', async () => {
    const { broker, bystander } = given;
    const { connection, states, values } = await attached({ checkAfter: 50 });
    await broker.ctl('eval', forget(name));
    await eventually(() => states.length === 3);
    expect(states).toMatchObject([
      { status: 'attached' },
      {
        status: 'detached',
        cause: {
          code: 'CONSUMER_CANCELLED',
          queue: name,
          message: expect.stringContaining('the broker did not cancel its consumer') as unknown,
        },
        retryIn: 0,
      },
      { status: 'attached' },
    ]);
    await bystander.put(name, 'in the new queue');
    (await eventually(() => values[0])).ack();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(connection.core.counters).toMatchObject({ reopens: 1 });
  });

  it('leaves no channel of its checks open', async () => {
    const { log, checks, states } = await attached({ checkAfter: 10 });
    const before = checks();
    await eventually(() => checks() >= before + 10);
    await eventually(() => log.of('channel.open').length === log.of('channel.close-ok').length + 1);
    expect(states).toHaveLength(1);
  });

  it('closes at once during a check, and sends nothing afterwards', async () => {
    const { broker, bystander } = given;
    const { connection, consumer, log, checks } = await attached({ checkAfter: 1 });
    const before = checks();
    await eventually(() => checks() > before);
    await broker.ctl('eval', forget(name));
    expect(await connection.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(consumer.state).toEqual({ status: 'stopped' });
    const after = log.methods('toBroker').length;
    await bystander.hasQueue(name);
    expect(log.methods('toBroker')).toHaveLength(after);
  });

  it('comes back on the same connection even if fifty queues are forgotten at once', async () => {
    const { broker, bystander, newConnection } = given;
    const connection = newConnection();
    const names = Array.from({ length: 50 }, () => bystander.freeQueueName());
    const consumers = names.map((queue) => closing(new Consumer(connection, { queue, checkAfter: 50 })));
    for (const { deliveries$ } of consumers) collect(deliveries$);
    await Promise.all(consumers.map(({ state$ }) => until(state$, ({ status }) => status === 'attached')));
    await broker.ctl('eval', forget(...names));
    await eventually(() => connection.core.counters.reopens >= 50);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });

  it.each([
    ['`declare: false`', { declare: false, checkAfter: 10 }],
    ['`checkAfter: 0`', { checkAfter: 0 }],
  ])('does not notice with %s', async (_why, options) => {
    const { broker, bystander } = given;
    await bystander.declareQueue({}, name);
    const { states, checks } = await attached(options);
    const before = checks();
    const checking = await attached({ checkAfter: 50 });
    await broker.ctl('eval', forget(name));
    await eventually(() => checking.states.length === 3);
    expect(checks()).toBe(before);
    expect(states).toHaveLength(1);
  });
});
