import { BehaviorSubject, NEVER, Subject, concat, firstValueFrom, of, throwError } from 'rxjs';
import { Connection, Consumer, InstanceQueue, OptionsError, consume, handle, type ConsumerState } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, until } from '../../support/waiting';

describe('pausing', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let queue: string;
  let pause: BehaviorSubject<boolean>;
  beforeEach(async () => {
    side = await Bystander.at(url);
    queue = await side.queue();
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
    pause = new BehaviorSubject(false);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const connected = (): Connection => closing(new Connection(proxy.url(url)));
  const consumers = (count: number): Promise<boolean> =>
    eventually(async () => (await side.count(queue)).consumers === count);
  const attached = (consumer: Consumer): Promise<ConsumerState> =>
    until(consumer.state$, ({ status }) => status === 'attached');

  it('cancels the consumer, and attaches again for the same subscriber', async () => {
    const consumer = closing(new Consumer<number>(connected(), { queue, pause }));
    const { values } = gather(consumer.deliveries$);
    const states = gather(consumer.state$);
    await attached(consumer);
    pause.next(true);
    expect(consumer.state).toEqual({ status: 'paused' });
    await consumers(0);
    await side.put(queue, 1, 2);
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

  it('tells of it by an event, and by health that stays up', async () => {
    const front = closing(new InstanceQueue(url));
    const told = gather(front.health$);
    const consumer = front.consumer({ queue, pause });
    const events: ConsumerState[] = [];
    consumer.on('paused', (state) => events.push(state));
    gather(consumer.deliveries$);
    await until(front.health$, ({ status }) => status === 'up');
    pause.next(true);
    expect(events).toEqual([{ status: 'paused' }]);
    expect(front.health).toMatchObject({ status: 'up', consumers: [{ status: 'paused', queueName: queue }] });
    expect(told.values.at(-1)).toMatchObject({ status: 'up' });
    expect(front.metrics).toMatchObject({ reopens: 0 });
    pause.next(false);
    await attached(consumer);
    expect(front.metrics).toMatchObject({ reopens: 0, lost: 0 });
  });

  it('leaves what was handed out valid: it is settled meanwhile, and its channel goes behind it', async () => {
    await side.put(queue, 1, 2, 3);
    const consumer = closing(new Consumer<number>(connected(), { queue, pause }));
    const { values } = gather(consumer.deliveries$);
    await eventually(() => values.length === 3);
    pause.next(true);
    await consumers(0);
    expect(values[0]?.ack()).toBe(true);
    expect(values[1]?.requeue()).toBe(true);
    await eventually(async () => (await side.count(queue)).ready === 1);
    expect(log.of('channel.open').length - log.of('channel.close').length).toBe(1);
    expect(values[2]?.ack()).toBe(true);
    await eventually(() => log.of('channel.close-ok').length === log.of('channel.open').length);
    expect(await side.count(queue)).toEqual({ ready: 1, consumers: 0 });
    expect(consumer.state).toEqual({ status: 'paused' });
  });

  it('releases what handle has not started, and goes on with it later', async () => {
    await side.put(queue, 1, 2, 3, 4);
    const gate = new Subject<void>();
    const started: number[] = [];
    const front = closing(new InstanceQueue(url));
    const work = async ({ body }: { readonly body: number }): Promise<void> => {
      started.push(body);
      if (body === 1) await firstValueFrom(gate);
    };
    const { values } = gather(front.consume<number>({ queue, pause }).pipe(handle(work, { concurrency: 1 })));
    await eventually(() => front.metrics.inFlight === 4);
    pause.next(true);
    await eventually(async () => (await side.count(queue)).ready === 3);
    expect(front.metrics).toMatchObject({ released: 3, inFlight: 1 });
    gate.next();
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ settlement: 'ack', sent: true });
    expect(started).toEqual([1]);
    pause.next(false);
    await eventually(() => values.length === 4);
    expect(started).toEqual([1, 2, 3, 4]);
  });

  it('goes on while work from before the pause still runs', async () => {
    await side.put(queue, 'slow');
    const front = closing(new InstanceQueue(url));
    const gate = new Subject<string>();
    const work = ({ body }: { readonly body: string }): Subject<string> | string => (body === 'slow' ? gate : body);
    const { values } = gather(front.consume<string>({ queue, pause }).pipe(handle(work)));
    await eventually(() => front.metrics.inFlight === 1);
    pause.next(true);
    pause.next(false);
    await side.put(queue, 'quick');
    await eventually(() => values.length === 1);
    gate.next('done');
    gate.complete();
    await eventually(() => values.length === 2);
    expect(values.map(({ value, sent }) => [value, sent])).toEqual([
      ['quick', true],
      ['done', true],
    ]);
    expect(front.metrics).toMatchObject({ lost: 0, acked: 2 });
  });

  it('can come first: nothing is attached before it is told to', async () => {
    await side.put(queue, 1);
    pause.next(true);
    const connection = connected();
    const consumer = closing(new Consumer<number>(connection, { queue, pause }));
    const { values } = gather(consumer.deliveries$);
    expect(consumer.state).toEqual({ status: 'paused' });
    await until(connection.state$, ({ status }) => status === 'connected');
    expect(log.of('basic.consume')).toHaveLength(0);
    pause.next(false);
    await eventually(() => values.length === 1);
  });

  it('is strict at the first attach, however late that comes', async () => {
    pause.next(true);
    const gathered = gather(consume(connected(), { queue: { name: side.tidies(), passive: true }, pause }));
    pause.next(false);
    await eventually(() => gathered.error !== undefined);
    expect(gathered.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
    expect(pause.observed).toBe(false);
  });

  it('waits for nobody who says nothing, and stays as it was told last', async () => {
    const silent = closing(new Consumer(connected(), { queue, pause: NEVER }));
    const told = closing(new Consumer(connected(), { queue, pause: of(true) }));
    gather(silent.deliveries$);
    gather(told.deliveries$);
    await attached(silent);
    expect(told.state).toEqual({ status: 'paused' });
  });

  it('may come and go faster than the broker answers: one consumer is left, or none', async () => {
    const connection = connected();
    await connection.connect();
    const consumer = closing(new Consumer(connection, { queue: { name: queue }, exclusive: true, pause }));
    const gathered = gather(consumer.deliveries$);
    for (let round = 0; round < 30; round++) {
      pause.next(round % 2 === 0);
      // Each time a little further on its way.
      for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    await attached(consumer);
    await side.put(queue, 1);
    await eventually(() => gathered.values.length === 1);
    await consumers(1);
    pause.next(true);
    await consumers(0);
    expect(gathered.error).toBeUndefined();
  });

  it('may be flipped by whoever hears of the state', async () => {
    const consumer = closing(new Consumer(connected(), { queue, pause }));
    let flips = 0;
    consumer.on('attached', () => {
      pause.next(++flips < 4);
    });
    consumer.on('paused', () => {
      pause.next(false);
    });
    gather(consumer.deliveries$);
    await eventually(() => flips === 4);
    await consumers(1);
    expect(consumer.state).toMatchObject({ status: 'attached' });
  });

  it.each([
    [
      'fails',
      concat(
        of(false),
        throwError(() => new Error('breaker')),
      ),
      { message: 'breaker' },
    ],
    ['says nonsense', of(JSON.parse('1') as boolean), undefined],
  ])('ends the consumer when it %s', async (_what, broken$, cause) => {
    const consumer = closing(new Consumer(connected(), { queue, pause: broken$ }));
    const gathered = gather(consumer.deliveries$);
    expect(gathered.error).toBeInstanceOf(OptionsError);
    expect(gathered.error).toMatchObject({ option: 'pause', ...(cause && { cause }) });
    await until(consumer.state$, ({ status }) => status === 'stopped');
    expect(consumer.state).toEqual({ status: 'stopped', cause: gathered.error });
  });

  it('that fails later lets what was handed out be settled', async () => {
    await side.put(queue, 1);
    const failing = new Subject<boolean>();
    const consumer = closing(new Consumer<number>(connected(), { queue, pause: failing }));
    const gathered = gather(consumer.deliveries$);
    await eventually(() => gathered.values.length === 1);
    failing.error(new Error('breaker'));
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 1 });
    expect(gathered.values[0]?.ack()).toBe(true);
    await until(consumer.state$, ({ status }) => status === 'stopped');
    expect(consumer.state).toMatchObject({ cause: { option: 'pause' } });
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
  });

  it('does not keep closing from waiting for what is still open, nor beyond its time', async () => {
    await side.put(queue, 1, 2);
    const consumer = closing(new Consumer<number>(connected(), { queue, pause }));
    const { values } = gather(consumer.deliveries$);
    await eventually(() => values.length === 2);
    pause.next(true);
    const closed = consumer.close({ drainTimeout: 10_000 });
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 2 });
    values[0]?.ack();
    values[1]?.ack();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    await side.put(queue, 3);
    const other = closing(new Consumer<number>(connected(), { queue, pause: (pause = new BehaviorSubject(false)) }));
    const late = gather(other.deliveries$);
    await eventually(() => late.values.length === 1);
    pause.next(true);
    expect(await other.close({ drainTimeout: 20 })).toEqual({ unsettled: 1, unconfirmed: 0 });
    expect(pause.observed).toBe(false);
  });
});
