import { BehaviorSubject, NEVER, Subject, firstValueFrom, of } from 'rxjs';
import { Consumer, OptionsError, consume, handle, type ConsumerState } from 'instance-queue';
import { BROKEN_PAUSES } from '../../support/broken-pauses';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, until } from '../../support/waiting';

describe('pausing', () => {
  const given = consumingFixture();

  let pause: BehaviorSubject<boolean>;
  beforeEach(() => {
    pause = new BehaviorSubject(false);
  });
  const attached = (consumer: Consumer): Promise<ConsumerState> =>
    until(consumer.state$, ({ status }) => status === 'attached');

  it('cancels the consumer, and attaches it again afterwards for the same subscriber', async () => {
    const { bystander, newConnection, queue, log, untilConsumers } = given;
    const consumer = closing(new Consumer<number>(newConnection(), { queue, pause }));
    const { values } = collect(consumer.deliveries$);
    const states = collect(consumer.state$);
    await attached(consumer);
    pause.next(true);
    expect(consumer.state).toEqual({ status: 'paused' });
    await untilConsumers(0);
    await bystander.put(queue, 1, 2);
    pause.next(false);
    expect(consumer.state).toEqual({ status: 'detached' });
    await eventually(() => values.length === 2);
    expect(values.map(({ body, redelivered }) => [body, redelivered])).toEqual([
      [1, false],
      [2, false],
    ]);
    const statuses = states.values.map(({ status }) => status).filter((status, i, all) => status !== all[i - 1]);
    expect(statuses).toEqual(['detached', 'attached', 'paused', 'detached', 'attached']);
    const [first, second] = log.of('basic.consume');
    expect(first?.fields['consumerTag']).not.toBe(second?.fields['consumerTag']);
  });

  it('emits `paused`, and leaves health up', async () => {
    const { newClient, queue } = given;
    const client = newClient();
    const health = collect(client.health$);
    const consumer = client.consumer({ queue, pause });
    const events: ConsumerState[] = [];
    consumer.on('paused', (state) => events.push(state));
    collect(consumer.deliveries$);
    await until(client.health$, ({ status }) => status === 'up');
    pause.next(true);
    expect(events).toEqual([{ status: 'paused' }]);
    expect(client.health).toMatchObject({ status: 'up', consumers: [{ status: 'paused', queueName: queue }] });
    expect(health.values.at(-1)).toMatchObject({ status: 'up' });
    expect(client.metrics).toMatchObject({ reopens: 0 });
    pause.next(false);
    await attached(consumer);
    expect(client.metrics).toMatchObject({ reopens: 0, lost: 0 });
  });

  it('leaves deliveries valid: they are settled during the pause, and their channel closes after them', async () => {
    const { bystander, newConnection, queue, log, untilConsumers, untilChannelsClosed } = given;
    await bystander.put(queue, 1, 2, 3);
    const consumer = closing(new Consumer<number>(newConnection(), { queue, pause }));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 3);
    pause.next(true);
    await untilConsumers(0);
    expect(values[0]?.ack()).toBe(true);
    expect(values[1]?.requeue()).toBe(true);
    await eventually(async () => (await bystander.count(queue)).ready === 1);
    expect(log.of('channel.open').length - log.of('channel.close').length).toBe(1);
    expect(values[2]?.ack()).toBe(true);
    await untilChannelsClosed();
    expect(await bystander.count(queue)).toEqual({ ready: 1, consumers: 0 });
    expect(consumer.state).toEqual({ status: 'paused' });
  });

  it('releases the deliveries that handle() has not started, and handles them after the pause', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, 1, 2, 3, 4);
    const gate = new Subject<void>();
    const started: number[] = [];
    const client = newClient();
    const work = async ({ body }: { readonly body: number }): Promise<void> => {
      started.push(body);
      if (body === 1) await firstValueFrom(gate);
    };
    const { values } = collect(client.consume<number>({ queue, pause }).pipe(handle(work, { concurrency: 1 })));
    await eventually(() => client.metrics.inFlight === 4);
    pause.next(true);
    await eventually(async () => (await bystander.count(queue)).ready === 3);
    expect(client.metrics).toMatchObject({ released: 3, inFlight: 1 });
    gate.next();
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ settlement: 'ack', sent: true });
    expect(started).toEqual([1]);
    pause.next(false);
    await eventually(() => values.length === 4);
    expect(started).toEqual([1, 2, 3, 4]);
  });

  it('goes on while work from before the pause still runs', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, 'slow');
    const client = newClient();
    const gate = new Subject<string>();
    const work = ({ body }: { readonly body: string }): Subject<string> | string => (body === 'slow' ? gate : body);
    const { values } = collect(client.consume<string>({ queue, pause }).pipe(handle(work)));
    await eventually(() => client.metrics.inFlight === 1);
    pause.next(true);
    pause.next(false);
    await bystander.put(queue, 'quick');
    await eventually(() => values.length === 1);
    gate.next('done');
    gate.complete();
    await eventually(() => values.length === 2);
    expect(values.map(({ value, sent }) => [value, sent])).toEqual([
      ['quick', true],
      ['done', true],
    ]);
    expect(client.metrics).toMatchObject({ lost: 0, acked: 2 });
  });

  it('before the first attach delays it until the pause ends', async () => {
    const { bystander, queue, log, connection } = given;
    await bystander.put(queue, 1);
    pause.next(true);
    const consumer = closing(new Consumer<number>(connection, { queue, pause }));
    const { values } = collect(consumer.deliveries$);
    expect(consumer.state).toEqual({ status: 'paused' });
    await until(connection.state$, ({ status }) => status === 'connected');
    expect(log.of('basic.consume')).toHaveLength(0);
    pause.next(false);
    await eventually(() => values.length === 1);
  });

  it('does not soften the first attach: if that fails after a pause, the consumer errors', async () => {
    const { bystander, newConnection } = given;
    pause.next(true);
    const collected = collect(
      consume(newConnection(), { queue: { name: bystander.freeQueueName(), passive: true }, pause }),
    );
    pause.next(false);
    await eventually(() => collected.error !== undefined);
    expect(collected.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
    expect(pause.observed).toBe(false);
  });

  it('does not wait for a `pause` that never emits, and keeps the last value of one that has completed', async () => {
    const { newConnection, queue } = given;
    const silent = closing(new Consumer(newConnection(), { queue, pause: NEVER }));
    const paused = closing(new Consumer(newConnection(), { queue, pause: of(true) }));
    collect(silent.deliveries$);
    collect(paused.deliveries$);
    await attached(silent);
    expect(paused.state).toEqual({ status: 'paused' });
  });

  it('may toggle faster than the broker answers: exactly one consumer is left, or none', async () => {
    const { bystander, queue, connection, untilConsumers } = given;
    await connection.connect();
    const consumer = closing(new Consumer(connection, { queue: { name: queue }, exclusive: true, pause }));
    const collected = collect(consumer.deliveries$);
    for (let round = 0; round < 30; round++) {
      pause.next(round % 2 === 0);
      // Let the attach get a little further each time.
      for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    await attached(consumer);
    await bystander.put(queue, 1);
    await eventually(() => collected.values.length === 1);
    await untilConsumers(1);
    pause.next(true);
    await untilConsumers(0);
    expect(collected.error).toBeUndefined();
  });

  it('may toggle from a listener of the consumer', async () => {
    const { newConnection, queue, untilConsumers } = given;
    const consumer = closing(new Consumer(newConnection(), { queue, pause }));
    let flips = 0;
    consumer.on('attached', () => {
      pause.next(++flips < 4);
    });
    consumer.on('paused', () => {
      pause.next(false);
    });
    collect(consumer.deliveries$);
    await eventually(() => flips === 4);
    await untilConsumers(1);
    expect(consumer.state).toMatchObject({ status: 'attached' });
  });

  it.each(BROKEN_PAUSES)('ends the consumer if `pause` %s', async (_what, broken$, cause) => {
    const { newConnection, queue } = given;
    const consumer = closing(new Consumer(newConnection(), { queue, pause: broken$ }));
    const collected = collect(consumer.deliveries$);
    expect(collected.error).toBeInstanceOf(OptionsError);
    expect(collected.error).toMatchObject({ option: 'pause', ...(cause && { cause }) });
    await until(consumer.state$, ({ status }) => status === 'stopped');
    expect(consumer.state).toEqual({ status: 'stopped', cause: collected.error });
  });

  it('by a `pause` that fails later leaves the deliveries to be settled', async () => {
    const { bystander, newConnection, queue } = given;
    await bystander.put(queue, 1);
    const failing = new Subject<boolean>();
    const consumer = closing(new Consumer<number>(newConnection(), { queue, pause: failing }));
    const collected = collect(consumer.deliveries$);
    await eventually(() => collected.values.length === 1);
    failing.error(new Error('breaker'));
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 1 });
    expect(collected.values[0]?.ack()).toBe(true);
    await until(consumer.state$, ({ status }) => status === 'stopped');
    expect(consumer.state).toMatchObject({ cause: { option: 'pause' } });
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('does not keep close() from waiting for unsettled deliveries, nor does it prolong the wait', async () => {
    const { bystander, newConnection, queue } = given;
    await bystander.put(queue, 1, 2);
    const consumer = closing(new Consumer<number>(newConnection(), { queue, pause }));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 2);
    pause.next(true);
    const closed = consumer.close({ drainTimeout: 10_000 });
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 2 });
    values[0]?.ack();
    values[1]?.ack();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    await bystander.put(queue, 3);
    const other = closing(
      new Consumer<number>(newConnection(), { queue, pause: (pause = new BehaviorSubject(false)) }),
    );
    const late = collect(other.deliveries$);
    await eventually(() => late.values.length === 1);
    pause.next(true);
    expect(await other.close({ drainTimeout: 20 })).toEqual({ unsettled: 1, unconfirmed: 0 });
    expect(pause.observed).toBe(false);
  });
});
