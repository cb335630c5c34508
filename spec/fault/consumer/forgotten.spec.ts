import { Connection, Consumer, type ConsumeOptions, type ConsumerState } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

/**
 * As RabbitMQ 4.3 does it to a queue that is deleted while the broker still starts ("is down. Forcing queue deletion"): its
 * files and what is known of it go, its process stays, with the consumers; nobody is cancelled.
 */
const forget = (...queues: string[]): string => `
  [begin
    {ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, Name)),
    rabbit_classic_queue:delete_crashed_internal(Q, <<"guest">>)
  end || Name <- [${queues.map((name) => `<<"${name}">>`).join(', ')}]].`;

describe('a consumer whose queue the broker forgot', () => {
  const broker = privateBroker();
  let side: Bystander;
  let name: string;
  beforeEach(async () => {
    side = await Bystander.at(broker.url);
    name = side.freeQueueName();
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });

  async function attached(options: Omit<ConsumeOptions, 'queue'>) {
    const proxy = closing(await FaultProxy.before(broker.url));
    const log = new FrameLog(proxy);
    const connection = closing(new Connection({ url: proxy.url(broker.url), reopen: { min: 5, max: 20 } }));
    const consumer = closing(new Consumer(connection, { queue: name, ...options }));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const looks = () => log.of('queue.declare').filter(({ fields }) => fields['passive'] === true).length;
    return { connection, consumer, states, values, log, looks };
  }

  it('finds out, is told why, declares the queue again and attaches to it', async () => {
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
          message: expect.stringContaining('did not say so') as unknown,
        },
        retryIn: 0,
      },
      { status: 'attached' },
    ]);
    await side.put(name, 'in the new queue');
    (await eventually(() => values[0])).ack();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(connection.core.counters).toMatchObject({ reopens: 1 });
  });

  it('leaves no channel behind for having looked', async () => {
    const { log, looks, states } = await attached({ checkAfter: 10 });
    const before = looks();
    await eventually(() => looks() >= before + 10);
    await eventually(() => log.of('channel.open').length === log.of('channel.close-ok').length + 1);
    expect(states).toHaveLength(1);
  });

  it('closes while it looks: at once, with nothing left', async () => {
    const { connection, consumer, log, looks } = await attached({ checkAfter: 1 });
    const before = looks();
    await eventually(() => looks() > before);
    await broker.ctl('eval', forget(name));
    expect(await connection.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(consumer.state).toEqual({ status: 'stopped' });
    const after = log.methods('toBroker').length;
    await side.hasQueue(name);
    expect(log.methods('toBroker')).toHaveLength(after);
  });

  it('is one of fifty, all forgotten at once: each comes back, on the same connection', async () => {
    const connection = closing(new Connection(broker.url));
    const names = Array.from({ length: 50 }, () => side.freeQueueName());
    const consumers = names.map((queue) => closing(new Consumer(connection, { queue, checkAfter: 50 })));
    for (const { deliveries$ } of consumers) collect(deliveries$);
    await Promise.all(consumers.map(({ state$ }) => until(state$, ({ status }) => status === 'attached')));
    await broker.ctl('eval', forget(...names));
    await eventually(() => connection.core.counters.reopens >= 50);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });

  it.each([
    ['nobody may look', { declare: false, checkAfter: 10 }],
    ['nobody shall look', { checkAfter: 0 }],
  ])('does not find out where %s', async (_why, options) => {
    await side.declareQueue({}, name);
    const { states, looks } = await attached(options);
    const before = looks();
    const looking = await attached({ checkAfter: 50 });
    await broker.ctl('eval', forget(name));
    await eventually(() => looking.states.length === 3);
    expect(looks()).toBe(before);
    expect(states).toHaveLength(1);
  });
});
