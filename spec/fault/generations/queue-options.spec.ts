import { Consumer, consume, handle, type QueueSpec } from 'instance-queue';
import { NEVER, lastValueFrom, take } from 'rxjs';
import { isAtLeast } from '../../support/brokers/version';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { eventually, rejection, until } from '../../support/waiting';

/** A message body, bytes. */
const SIZE = 1000;

// https://www.rabbitmq.com/docs/queues#optional-arguments
describe('an option of a queue', () => {
  const given = rabbitmqFixture({ private: true });
  const { broker } = given;

  it.each<[string, Omit<QueueSpec, 'name'>]>([
    ['`maxLengthBytes` deletes old segments of a stream', { segmentSize: 5 * SIZE, maxLengthBytes: 10 * SIZE }],
    ['`maxAge` deletes segments of a stream that are older', { segmentSize: 5 * SIZE, maxAge: '1s' }],
    ['`maxAge` in ms does, too', { segmentSize: 5 * SIZE, maxAge: 1000 }],
  ])('%s', async (_name, spec) => {
    const { bystander, newConnection, newClient } = given;
    const stream = { ...spec, name: bystander.freeQueueName(), type: 'stream' } as const;
    const queue = newClient({ topology: { queues: [stream] } });
    const connection = newConnection();
    const first = async (): Promise<number | undefined> =>
      (await lastValueFrom(consume(connection, { queue: stream, offset: 'first' }).pipe(take(1)))).offset;
    const body = Buffer.alloc(SIZE);
    await queue.send({ queue: stream.name, body });
    expect(await first()).toBe(0);
    // Retention is looked at when a segment is full.
    await eventually(async () => {
      for (let i = 0; i < 10; i++) await queue.send({ queue: stream.name, body });
      return Number(await first()) > 0;
    });
  });

  it('`maxLengthBytes` drops the head of a queue', async () => {
    const { bystander, newClient } = given;
    const spec = { name: bystander.freeQueueName(), maxLengthBytes: 2 * SIZE };
    const queue = newClient({ topology: { queues: [spec] } });
    for (let i = 0; i < 5; i++) await queue.send({ queue: spec.name, body: Buffer.alloc(SIZE) });
    await eventually(async () => (await bystander.count(spec.name)).ready === 2);
  });

  it('`deadLetterStrategy` keeps letters that no queue takes, or drops them', async () => {
    const { bystander, newConnection } = given;
    const connection = newConnection();
    const rejectIn = async (deadLetterStrategy: 'at-least-once' | 'at-most-once'): Promise<string> => {
      const spec = {
        name: bystander.freeQueueName(),
        type: 'quorum',
        deadLetterStrategy,
        overflow: 'reject-publish',
        deadLetter: { exchange: 'amq.direct', routingKey: 'nowhere' },
      } as const;
      const consumer = closing(new Consumer(connection, { queue: spec }));
      const rejected = collect(consumer.deliveries$);
      await until(consumer.state$, ({ status }) => status === 'attached');
      await bystander.put(spec.name, 'letter');
      (await eventually(() => rejected.values[0])).reject();
      return spec.name;
    };
    /** Dead letters on their way, as the broker counts them every few seconds. */
    const letters = async (name: string): Promise<number> => {
      const lookup = `{ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"${name}">>))`;
      const said = await broker.ctl('eval', `${lookup}, rabbit_quorum_queue:info(Queue, [messages_dlx]).`);
      return Number(/messages_dlx,(\d+)/.exec(said)?.[1] ?? 0);
    };
    const dropped = await rejectIn('at-most-once');
    const kept = await rejectIn('at-least-once');
    await eventually(async () => (await letters(kept)) === 1);
    expect(await letters(dropped)).toBe(0);
  });

  it.each<[Omit<QueueSpec, 'name'>]>([
    [{ type: 'quorum', initialGroupSize: 1, leaderLocator: 'balanced' }],
    [{ type: 'stream', initialGroupSize: 1, leaderLocator: 'client-local' }],
  ])('of a cluster is what the queue has from then on: %j', async (spec) => {
    const { bystander, newClient } = given;
    const name = bystander.freeQueueName();
    const queue = newClient();
    await queue.admin.declare({ queues: [{ ...spec, name }] });
    await queue.admin.declare({ queues: [{ ...spec, name }] });
    const argument = spec.type === 'stream' ? 'x-initial-cluster-size' : 'x-quorum-initial-group-size';
    const other = spec.leaderLocator === 'balanced' ? 'client-local' : 'balanced';
    await expect(queue.admin.declare({ queues: [{ ...spec, name, initialGroupSize: 3 }] })).rejects.toMatchObject({
      replyCode: 406,
      message: expect.stringContaining(`inequivalent arg '${argument}'`) as string,
    });
    await expect(queue.admin.declare({ queues: [{ ...spec, name, leaderLocator: other }] })).rejects.toMatchObject({
      replyCode: 406,
      message: expect.stringContaining("inequivalent arg 'x-queue-leader-locator'") as string,
    });
  });

  it('`leaderLocator` is for classic queues as well from RabbitMQ 4.0 on, and refused by earlier ones', async () => {
    const { bystander, newClient } = given;
    const spec = { name: bystander.freeQueueName(), leaderLocator: 'balanced' } as const;
    const declared = newClient().admin.declare({ queues: [spec] });
    if (isAtLeast(broker, '4.0')) await declared;
    else expect(await rejection(declared)).toMatchObject({ replyCode: 406 });
  });

  describe('`consumerTimeout`', () => {
    const setTick = (tick: number): Promise<string> =>
      broker.ctl('eval', `application:set_env(rabbit, channel_tick_interval, ${String(tick)}).`);
    // Before 4.3 the broker looks once in this time, and its channels take the interval that is set when they open.
    beforeEach(() => setTick(500));
    afterEach(() => setTick(60_000));

    it('takes back what is not settled in time (RabbitMQ 3.12), and is refused where it would be ignored', async () => {
      const { bystander, newConnection } = given;
      const queue = { name: bystander.freeQueueName(), type: 'quorum', consumerTimeout: 1000 } as const;
      const connection = newConnection({ reopen: { min: 5, max: 20 } });
      if (!isAtLeast(broker, '3.12')) {
        expect(await rejection(lastValueFrom(consume(connection, { queue })))).toMatchObject({
          retryable: false,
          message: `Cannot declare queue \`${queue.name}\`: \`consumerTimeout\` needs RabbitMQ 3.12 or later, and this broker is RabbitMQ ${broker.version}.`,
        });
        expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
        return;
      }
      const consumer = closing(new Consumer(connection, { queue }));
      const shared = collect(consumer.deliveries$);
      collect(consumer.deliveries$.pipe(handle(({ redelivered }) => (redelivered ? 'done' : NEVER))));
      await until(consumer.state$, ({ status }) => status === 'attached');
      await bystander.put(queue.name, 'slow');
      expect(await eventually(() => shared.values[1])).toMatchObject({ body: 'slow', redelivered: true });
      expect(shared.values[0]?.settled).toBe('lost');
    });
  });
});
