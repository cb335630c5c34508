import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type ConsumerState, type LogEntry } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { BehaviorSubject, NEVER, Observable, of, Subject } from 'rxjs';
import { MemoryInboundChannel } from '../../../lib/testing/memory/memory-channel';
import { MemoryLink } from '../../../lib/testing/memory/memory-link';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();
afterEach(() => {
  jest.restoreAllMocks();
});

let broker: MemoryBroker;
let queue: FakeInstanceQueue;
let lines: LogEntry[];
beforeEach(() => {
  broker = new MemoryBroker();
  lines = [];
  queue = closing(new FakeInstanceQueue({ broker, logger: (line) => lines.push(line) }));
});
const put = (...bodies: readonly unknown[]): void => {
  for (const body of bodies) broker.put({ queue: 'orders', body });
};
/** The lines of the log about consumers, without their facts. */
const logged = (): readonly string[] =>
  lines.filter(({ message }) => message.startsWith('consumer')).map(({ level, message }) => `${level}: ${message}`);

describe('a consumer that the broker cancels', () => {
  it('loses what it had, says so, and attaches again with another tag', async () => {
    put(1, 2);
    const consumer = queue.consumer({ queue: 'orders' });
    const states = collect(consumer.state$).values;
    const lost: unknown[] = [];
    consumer.on('lost', ({ body }) => lost.push(body));
    const { values } = collect(consumer.deliveries$);
    await later();
    values[1]!.ack();
    await later();
    broker.cancelConsumers('orders');
    await later();
    expect(values.map(({ body, redelivered }) => [body, redelivered])).toEqual([
      [1, false],
      [2, false],
      [1, true],
    ]);
    expect(lost).toEqual([1]);
    expect(states.slice(-3)).toMatchObject([
      { status: 'attached', epoch: 1 },
      { status: 'detached', cause: { code: 'CONSUMER_CANCELLED' }, retryIn: 0 },
      { status: 'attached', epoch: 1 },
    ]);
    const tags = states.flatMap((state) => (state.status === 'attached' ? [state.tag] : []));
    expect(new Set(tags).size).toBe(2);
    expect(queue.metrics).toMatchObject({ reopens: 1, lost: 1 });
    expect(logged()).toEqual(['info: consumer attached', 'warn: consumer detached', 'info: consumer attached']);
    expect(lines.find(({ message }) => message === 'consumer detached')?.fields).toMatchObject({
      queue: 'orders',
      retryIn: 0,
    });
  });

  it('counts as attached again, but not when it attaches after a pause', async () => {
    const pause = new BehaviorSubject(false);
    collect(queue.consume({ queue: 'orders', pause }));
    await later();
    pause.next(true);
    await later();
    pause.next(false);
    await later();
    expect(queue.metrics.reopens).toBe(0);
    broker.cancelConsumers('orders');
    await later();
    expect(queue.metrics.reopens).toBe(1);
  });
});

describe('a consumer that loses its connection', () => {
  it('says so in its state, and leaves the log to the connection', async () => {
    const consumer = queue.consumer({ queue: 'orders' });
    collect(consumer.deliveries$);
    await later();
    broker.disconnect();
    await later();
    expect(consumer.state).toMatchObject({ status: 'detached', cause: { code: 'CONNECTION_LOST' } });
    expect(consumer.state).not.toHaveProperty('retryIn');
    expect(logged()).toEqual(['info: consumer attached']);
  });
});

describe('the events of a consumer', () => {
  it('tell of each state, also that it is paused', async () => {
    const pause = new BehaviorSubject(false);
    const consumer = queue.consumer({ queue: 'orders', pause });
    const seen: unknown[] = [];
    for (const name of ['attached', 'paused', 'draining', 'stopped'] as const)
      consumer.on(name, (state: ConsumerState) => seen.push([name, state.status]));
    collect(consumer.deliveries$);
    await later();
    pause.next(true);
    await later();
    await Promise.all([consumer.close(), later()]);
    expect(seen).toEqual(['attached', 'paused', 'stopped'].map((name) => [name, name]));
  });
});

describe('a consumer that is told again not to pause', () => {
  it('stays as it is', async () => {
    const pause = new Subject<boolean>();
    const consumer = queue.consumer({ queue: 'orders', pause });
    collect(consumer.deliveries$);
    await later();
    const attached = consumer.state;
    pause.next(false);
    await later();
    expect([consumer.state, broker.queues[0]?.consumers]).toEqual([attached, 1]);
  });
});

describe('the states of a consumer', () => {
  it('are told on a diagnostics channel, from the first to the last', async () => {
    const told: unknown[] = [];
    const listener = (event: unknown): void => void told.push(event);
    subscribe('instance-queue:state', listener);
    const { subscription } = collect(queue.consume({ queue: 'orders' }));
    await later();
    subscription.unsubscribe();
    await later();
    unsubscribe('instance-queue:state', listener);
    const ofConsumers = told.filter((event) => (event as { readonly of: string }).of === 'consumer');
    const of = { of: 'consumer', connection: 'instance-queue.consumer', queue: 'orders' };
    expect(ofConsumers).toMatchObject([
      { ...of, state: { status: 'detached' } },
      { ...of, state: { status: 'attached' } },
      { ...of, state: { status: 'draining', unsettled: 0 } },
      { ...of, state: { status: 'stopped' } },
    ]);
  });
});

describe('a consumer whose broker ignores the prefetch', () => {
  it('attaches again, before the process is out of memory', async () => {
    const { consume } = MemoryInboundChannel.prototype;
    jest.spyOn(MemoryInboundChannel.prototype, 'consume').mockImplementationOnce(function (
      this: MemoryInboundChannel,
      request,
      listener,
    ) {
      return consume.call(this, { ...request, prefetch: 1000 }, listener);
    });
    put(1, 2, 3, 4, 5);
    const consumer = queue.consumer({ queue: 'orders', prefetch: 2 });
    const causes: unknown[] = [];
    consumer.on('detached', ({ cause }) => cause && causes.push(cause.message));
    const { values } = collect(consumer.deliveries$);
    await later();
    expect(causes).toEqual(['The broker ignores the prefetch of 2: 4 messages of queue `orders` are unsettled.']);
    expect(values.map(({ body }) => body)).toEqual([1, 2, 3, 4, 1, 2]);
  });
});

describe('a consumer that hears nothing', () => {
  const check = (presence: 'there' | 'missing') =>
    jest.spyOn(MemoryLink.prototype, 'check').mockResolvedValue(presence);

  it('attaches anew when its queue is gone without a word, and looks only in silence', async () => {
    const looks = check('there');
    const consumer = queue.consumer({ queue: { name: 'orders' }, checkAfter: 1000 });
    const causes: unknown[] = [];
    consumer.on('detached', ({ cause }) => cause && causes.push(cause.code));
    collect(consumer.deliveries$);
    for (let i = 0; i < 10; i++) {
      await later(900);
      put(i);
    }
    expect(looks).not.toHaveBeenCalled();
    await later(4000);
    expect(looks.mock.calls[0]).toEqual(['orders']);
    expect(causes).toEqual([]);
    check('missing');
    await later(2100);
    expect(causes).toEqual(['CONSUMER_CANCELLED']);
    expect(consumer.state.status).toBe('attached');
  });

  it('never looks with `declare: false`', async () => {
    const looks = check('missing');
    broker.declare({ name: 'orders' });
    collect(queue.consume({ queue: 'orders', declare: false, checkAfter: 1000 }));
    await later(10_000);
    expect(looks).not.toHaveBeenCalled();
  });
});

describe('a consumer without the right to declare', () => {
  it('waits for its queue, and says why', async () => {
    const consumer = queue.consumer({ queue: 'orders', declare: false });
    const { values, error } = collect(consumer.deliveries$);
    await later();
    expect([consumer.state, error]).toMatchObject([
      { status: 'detached', cause: { replyCode: 404 }, retryIn: expect.any(Number) as number },
      undefined,
    ]);
    broker.declare({ name: 'orders' });
    put(1);
    await later(30_000);
    expect(values).toHaveLength(1);
  });

  it('reads a stream that takes the place of the one it had from its first message', async () => {
    const log = { name: 'log', type: 'stream' } as const;
    const fill = (): void => {
      for (const body of ['a', 'b']) broker.put({ queue: 'log', body });
    };
    broker.declare(log);
    fill();
    const { values } = collect(queue.consume({ queue: 'log', declare: false, offset: 'first' }));
    await later();
    for (const delivery of values) delivery.ack();
    broker.deleteQueue('log');
    await later();
    broker.declare(log);
    fill();
    await later(30_000);
    expect(values.map(({ body, offset }) => [body, offset])).toEqual([
      ['a', 0],
      ['b', 1],
      ['a', 0],
      ['b', 1],
    ]);
  });
});

describe('a consumer of a stream', () => {
  const opened = async (more: object = {}) => {
    broker.declare({ name: 'log', type: 'stream' });
    for (const body of ['a', 'b', 'c']) broker.put({ queue: 'log', body });
    const pause = new BehaviorSubject(false);
    const offsets: number[] = [];
    const onOffset = (offset: number): void => void offsets.push(offset);
    const consumer = queue.consumer<string>({ queue: 'log', offset: 'first', onOffset, pause, ...more });
    const collected = collect(consumer.deliveries$);
    await later();
    return { consumer, offsets, pause, ...collected };
  };

  it('reports the last offset before it ends', async () => {
    const { values, offsets, consumer } = await opened();
    values[0]!.ack();
    const closed = consumer.close({ drainTimeout: 0 });
    await later(0);
    await closed;
    expect(offsets).toEqual([0]);
  });

  it('attaches after a pause when all that it had handed out is settled, which it would get again', async () => {
    const { values, pause, consumer } = await opened({ prefetch: 2 });
    pause.next(true);
    await later();
    pause.next(false);
    await later(1000);
    expect([values.length, consumer.state.status]).toEqual([2, 'detached']);
    for (const delivery of values) delivery.ack();
    await later();
    expect([values.map(({ body }) => body), consumer.state.status]).toEqual([['a', 'b', 'c'], 'attached']);
  });
});

describe('a consumer that ends', () => {
  it.each<[string, (queue: FakeInstanceQueue) => void]>([
    ['closes', (client) => void client.close()],
    ['is closed', (client) => void client.close({ drainTimeout: 0 })],
  ])('cannot begin while its connection %s', async (_what, close) => {
    collect(queue.consume({ queue: 'others' }));
    put(1);
    collect(queue.consume({ queue: 'orders' }));
    await later();
    close(queue);
    const late = queue.consumer({ queue: 'orders' });
    const { error } = collect(late.deliveries$);
    expect(error).toMatchObject({ code: 'CONNECTION_CLOSED' });
    await later(60_000);
    expect(late.state).toMatchObject({ status: 'stopped' });
  });

  it('when its connection gives up has the cause of that, as have all who come later', async () => {
    const giving = closing(new FakeInstanceQueue({ broker, reconnect: { attempts: 2, max: 100 } }));
    const consumer = giving.consumer({ queue: 'orders' });
    const collected = collect(consumer.deliveries$);
    await later();
    expect(consumer.state.status).toBe('attached');
    broker.disconnect();
    await later(60_000);
    expect(giving.state.consumer).toMatchObject({ status: 'closed', cause: expect.any(Error) as Error });
    expect(collected.error).toBeInstanceOf(Error);
    expect(consumer.state).toMatchObject({ status: 'stopped', cause: { code: expect.any(String) as string } });
    expect(collect(consumer.deliveries$).error).toBe((consumer.state as { readonly cause?: unknown }).cause);
  });

  it('on a closed queue asks for nothing, not even whether it pauses', async () => {
    const subscribed: string[] = [];
    const asking = (what: string): Observable<never> => new Observable(() => void subscribed.push(what));
    await Promise.all([queue.connect(), later()]);
    const consumer$ = queue.consume({ queue: 'orders', pause: asking('pause'), until: asking('until') });
    await Promise.all([queue.close(), later(100)]);
    expect(collect(consumer$).error).toMatchObject({ code: 'CONNECTION_CLOSED' });
    expect(subscribed).toEqual([]);
  });

  it('when `until` has emitted before it begins attaches to nothing', async () => {
    put(1);
    const collected = collect(queue.consume({ queue: 'orders', until: of(1) }));
    await later();
    expect(collected).toMatchObject({ values: [], completed: true });
    expect(broker.queues[0]).toMatchObject({ consumers: 0, unsettled: 0 });
  });

  it('leaves nothing subscribed, whatever ended it', async () => {
    const pauses = Array.from({ length: 4 }, () => new Subject<boolean>());
    const untils = Array.from({ length: 4 }, () => new Subject<void>());
    broker.declare({ name: 'taken', maxLength: 5 });
    const [first, second, third, refused] = pauses.map((pause, i) =>
      queue.consumer({
        queue: i === 3 ? { name: 'taken', maxLength: 6 } : `q${String(i)}`,
        pause,
        until: untils[i]!,
      }),
    );
    const left = collect(first!.deliveries$);
    for (const { deliveries$ } of [second!, third!, refused!]) collect(deliveries$);
    await later();
    left.subscription.unsubscribe();
    untils[1]!.next();
    pauses[2]!.error(new Error('no'));
    await later();
    expect(refused!.state.status).toBe('stopped');
    expect([...pauses, ...untils].map(({ observed }) => observed)).toEqual(Array(8).fill(false));
    const stopped = lines.filter(({ message }) => message === 'consumer stopped');
    expect(stopped).toMatchObject([
      { level: 'error', fields: { queue: 'taken', err: { replyCode: 406 } } },
      { level: 'error', fields: { queue: 'q2', err: { option: 'pause' } } },
    ]);
  });

  it('while it is paused says what is still open, of all its attachments', async () => {
    const pause = new BehaviorSubject(false);
    put(1, 2, 3);
    const consumer = queue.consumer({ queue: 'orders', pause, prefetch: 2 });
    const { values } = collect(consumer.deliveries$);
    await later();
    pause.next(true);
    await later();
    expect(lines.filter(({ message }) => message === 'consumer paused')).toMatchObject([
      { level: 'info', fields: { queue: 'orders' } },
    ]);
    pause.next(false);
    await later();
    expect(values).toHaveLength(3);
    pause.next(true);
    await later();
    const states: ConsumerState[] = [];
    consumer.state$.subscribe((state) => states.push(state));
    const closed = consumer.close({ drainTimeout: 500 });
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 3 });
    values[0]!.ack();
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 2 });
    await later(600);
    expect(await closed).toEqual({ unsettled: 2, unconfirmed: 0 });
    expect(consumer.state).toEqual({ status: 'stopped' });
  });

  it('waits for no answer of a broker that gives none: a tenth of a second beyond its time', async () => {
    put(1);
    const consumer = queue.consumer({ queue: 'orders' });
    collect(consumer.deliveries$);
    await later();
    broker.hold();
    let over = false;
    void consumer.close({ drainTimeout: 500 }).then(() => (over = true));
    await later(590);
    expect(over).toBe(false);
    await later(20);
    expect(over).toBe(true);
    broker.release();
  });

  it('without anything to wait for ends at once', () => {
    const consumer = queue.consumer({ queue: 'orders', pause: NEVER });
    const { subscription } = collect(consumer.deliveries$);
    const statuses: string[] = [];
    consumer.state$.subscribe(({ status }) => statuses.push(status));
    subscription.unsubscribe();
    expect([consumer.state, statuses]).toEqual([{ status: 'detached' }, ['detached', 'detached']]);
  });

  it('with its last subscriber lets the next one attach, and shows the state of that one alone', async () => {
    put(1, 2);
    const consumer = queue.consumer({ queue: 'orders', prefetch: 1 });
    const first = collect(consumer.deliveries$);
    await later();
    first.subscription.unsubscribe();
    const second = collect(consumer.deliveries$);
    await later();
    expect(consumer.state).toMatchObject({ status: 'attached' });
    const statuses: string[] = [];
    consumer.state$.subscribe(({ status }) => statuses.push(status));
    expect(first.values[0]!.ack()).toBe(true);
    await later();
    expect(statuses).toEqual(['attached']);
    expect(second.values.map(({ body }) => body)).toEqual([2]);
    const closed = consumer.close({ drainTimeout: 0 });
    await later();
    expect(await closed).toEqual({ unsettled: 1, unconfirmed: 0 });
  });

  it('completes for those who come while it drains, and stays as it ended', async () => {
    put(1);
    const consumer = queue.consumer({ queue: 'orders' });
    const { values } = collect(consumer.deliveries$);
    await later();
    const disposed = consumer[Symbol.asyncDispose]();
    expect(collect(consumer.deliveries$)).toMatchObject({ values: [], completed: true, error: undefined });
    values[0]!.ack();
    await later();
    await disposed;
    expect(consumer.state).toEqual({ status: 'stopped' });
  });

  it('with its connection says so, also when it never began, and refuses later subscribers', async () => {
    const [used, unused] = [queue.consumer({ queue: 'orders' }), queue.consumer({ queue: 'others' })];
    const collected = collect(used.deliveries$);
    await later();
    const closed = queue.close();
    await later();
    await closed;
    expect([used.state, unused.state]).toEqual([{ status: 'stopped' }, { status: 'stopped' }]);
    expect(collected).toMatchObject({ completed: true, error: undefined });
    for (const { deliveries$ } of [used, unused])
      expect(collect(deliveries$).error).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });
});
