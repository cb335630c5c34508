import { type Consumer, type ConsumerState, handle, type LogEntry, type Message, OptionsError } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { BehaviorSubject, NEVER, of, Subject } from 'rxjs';
import { BROKEN_PAUSES } from '../../support/broken-pauses';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { numbers } from '../../support/numbers';
import { inVirtualTime, later } from '../../support/virtual-time';

let queue: FakeInstanceQueue;
/** Of `orders`. */
const view = (): { readonly ready: number; readonly unsettled: number; readonly consumers: number } => {
  const found = queue.broker.queues.find(({ name }) => name === 'orders');
  return { ready: found?.messages.length ?? 0, unsettled: found?.unsettled ?? 0, consumers: found?.consumers ?? 0 };
};
const put = (...bodies: readonly unknown[]): void => {
  for (const body of bodies) queue.broker.put({ queue: 'orders', body });
};
/** The statuses that a consumer goes through, from now on. */
const statusesOf = (consumer: Consumer): readonly string[] => {
  const seen: string[] = [];
  consumer.state$.subscribe(({ status }) => {
    if (seen.at(-1) !== status) seen.push(status);
  });
  return seen;
};

inVirtualTime();
beforeEach(() => {
  queue = closing(new FakeInstanceQueue());
});

describe('the state of a consumer', () => {
  it('goes through its lifecycle in order, frozen, the same in state$ and in events, and state$ completes', async () => {
    const consumer = queue.consumer({ queue: 'orders', tagPrefix: 'life' });
    const events: ConsumerState[] = [];
    for (const name of ['detached', 'attached', 'draining', 'stopped'] as const)
      consumer.on(name, (state: ConsumerState) => events.push(state));
    const states = collect(consumer.state$);
    const { values } = collect(consumer.deliveries$);
    put(1);
    await later();
    const closed = consumer.close();
    values[0]?.ack();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(states.completed).toBe(true);
    const statuses = states.values.map(({ status }) => status).filter((status, i, all) => status !== all[i - 1]);
    expect(statuses).toEqual(['detached', 'attached', 'draining', 'detached', 'stopped']);
    const tag: unknown = expect.stringMatching(/^life-/);
    expect(states.values).toContainEqual({ status: 'attached', tag, queue: 'orders', epoch: 1 });
    expect(states.values).toContainEqual({ status: 'draining', unsettled: 1 });
    expect(states.values.every((state) => Object.isFrozen(state))).toBe(true);
    expect(events).toEqual(states.values.slice(1));
    expect(collect(consumer.state$)).toMatchObject({ values: [{ status: 'stopped' }], completed: true });
  });

  it('carries why it is detached, and attaches in the next epoch', async () => {
    const consumer = queue.consumer({ queue: 'orders' });
    collect(consumer.deliveries$);
    await later();
    queue.broker.disconnect();
    await later();
    expect(consumer.state).toMatchObject({ status: 'detached', cause: { code: 'CONNECTION_LOST' } });
    queue.broker.reconnect();
    await later();
    expect(consumer.state).toMatchObject({ status: 'attached', epoch: 2 });
  });

  it('is counted exactly in the metrics', async () => {
    const { values } = collect(queue.consume<string>({ queue: 'orders', prefetch: 50 }));
    put('ack', 'ack', 'ack', 'requeue', 'release', 'reject', 'open');
    queue.broker.put({ queue: 'orders', body: Buffer.from('{'), contentType: 'application/json' });
    await later();
    const none = { acked: 0, requeued: 0, released: 0, rejected: 0, lost: 0, redelivered: 0 };
    expect(queue.metrics).toMatchObject({ ...none, delivered: 7, inFlight: 7, undecodable: 1 });
    for (const delivery of [...values]) {
      const { body } = delivery;
      if (body === 'ack' || body === 'requeue' || body === 'release' || body === 'reject') delivery[body]();
    }
    await later();
    const settled = { acked: 3, requeued: 1, released: 1, rejected: 1, undecodable: 1, reconnects: 0, reopens: 0 };
    expect(queue.metrics).toMatchObject({ ...settled, delivered: 9, redelivered: 2, lost: 0, inFlight: 3 });
    const closed = queue.close({ drainTimeout: 0 });
    await later();
    await closed;
    expect(queue.metrics).toMatchObject({ ...settled, delivered: 9, lost: 3, inFlight: 0 });
  });
});

describe('the log of a consumer', () => {
  it('has a warning for deliveries that are lost, and none when it ends in order', async () => {
    const lines: LogEntry[] = [];
    const client = closing(new FakeInstanceQueue({ broker: queue.broker, logger: (line) => lines.push(line) }));
    put(1, 2);
    const consumer = client.consumer({ queue: 'orders' });
    const { values } = collect(consumer.deliveries$);
    await later();
    values[0]?.ack();
    queue.broker.disconnect();
    await later();
    const warnings = lines.filter(({ message }) => message.startsWith('deliveries lost'));
    expect(warnings).toMatchObject([{ level: 'warn', fields: { queue: 'orders', epoch: 1, lost: 1 } }]);
    lines.length = 0;
    queue.broker.reconnect();
    await later();
    for (const delivery of values) delivery.ack();
    const closed = consumer.close();
    await later();
    await closed;
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
  });
});

describe('a consumer that pauses', () => {
  let pause: BehaviorSubject<boolean>;
  beforeEach(() => {
    pause = new BehaviorSubject(false);
  });

  it('is cancelled, and attaches again afterwards for the same subscriber', async () => {
    const consumer = queue.consumer<number>({ queue: 'orders', pause });
    const statuses = statusesOf(consumer);
    const { values } = collect(consumer.deliveries$);
    await later();
    const health = collect(queue.health$);
    pause.next(true);
    expect(consumer.state).toEqual({ status: 'paused' });
    await later();
    expect(view().consumers).toBe(0);
    expect(queue.health.status).toBe('up');
    put(1, 2);
    await later();
    expect(values).toEqual([]);
    pause.next(false);
    expect(consumer.state).toEqual({ status: 'detached' });
    await later();
    expect(values.map(({ body, redelivered }) => [body, redelivered])).toEqual([
      [1, false],
      [2, false],
    ]);
    expect(statuses).toEqual(['detached', 'attached', 'paused', 'detached', 'attached']);
    expect(queue.metrics).toMatchObject({ reopens: 0, lost: 0 });
    expect(health.values.some(({ status }) => status === 'down')).toBe(false);
  });

  it('leaves its deliveries to be settled', async () => {
    put(1, 2, 3);
    const consumer = queue.consumer<number>({ queue: 'orders', pause });
    const { values } = collect(consumer.deliveries$);
    await later();
    pause.next(true);
    await later();
    expect([values[0]?.ack(), values[1]?.requeue(), values[2]?.ack()]).toEqual([true, true, true]);
    await later();
    expect(view()).toEqual({ ready: 1, unsettled: 0, consumers: 0 });
    expect(consumer.state).toEqual({ status: 'paused' });
  });

  it('releases what handle() has not started, and handles it afterwards', async () => {
    put(1, 2, 3, 4);
    const gate = new Subject<void>();
    const started: number[] = [];
    const work = ({ body }: Message<number>): unknown => {
      started.push(body);
      return body === 1 ? gate : body;
    };
    const handled = collect(queue.consume<number>({ queue: 'orders', pause }).pipe(handle(work, { concurrency: 1 })));
    await later();
    pause.next(true);
    await later();
    expect(view()).toEqual({ ready: 3, unsettled: 1, consumers: 0 });
    gate.complete();
    await later();
    expect(handled.values).toMatchObject([{ settlement: 'ack', sent: true }]);
    expect(started).toEqual([1]);
    pause.next(false);
    await later();
    expect(started).toEqual([1, 2, 3, 4]);
  });

  it('before its first attach does not attach until the pause ends', async () => {
    put(1);
    pause.next(true);
    const consumer = queue.consumer<number>({ queue: 'orders', pause });
    const { values } = collect(consumer.deliveries$);
    expect(consumer.state).toEqual({ status: 'paused' });
    await later();
    expect([values.length, view().consumers]).toEqual([0, 0]);
    pause.next(false);
    expect(consumer.state).toEqual({ status: 'detached' });
    await later();
    expect(values).toHaveLength(1);
  });

  it('does not wait for a `pause` that never emits, and keeps to the last value of one that completes', async () => {
    const silent = queue.consumer({ queue: 'orders', pause: NEVER });
    const paused = queue.consumer({ queue: 'orders', pause: of(true) });
    for (const { deliveries$ } of [silent, paused]) collect(deliveries$);
    await later();
    expect(silent.state).toMatchObject({ status: 'attached' });
    expect(paused.state).toEqual({ status: 'paused' });
  });

  it('may toggle faster than the broker answers', async () => {
    const consumer = queue.consumer({ queue: { name: 'orders' }, exclusive: true, pause });
    const collected = collect(consumer.deliveries$);
    for (let round = 0; round < 30; round++) {
      pause.next(round % 2 === 0);
      for (let turn = 0; turn < round; turn++) await Promise.resolve();
    }
    await later();
    expect(consumer.state).toMatchObject({ status: 'attached' });
    expect(view().consumers).toBe(1);
    pause.next(true);
    await later();
    expect(view().consumers).toBe(0);
    expect(collected.error).toBeUndefined();
  });

  it.each(BROKEN_PAUSES)('ends if `pause` %s', (_what, broken$, cause) => {
    const consumer = queue.consumer({ queue: 'orders', pause: broken$ });
    const { error } = collect(consumer.deliveries$);
    expect(error).toBeInstanceOf(OptionsError);
    expect(error).toMatchObject({ option: 'pause', ...(cause && { cause }) });
    expect(consumer.state).toEqual({ status: 'stopped', cause: error });
  });

  it('drains when its `pause` fails later, and ends with the cause', async () => {
    put(1);
    const failing = new Subject<boolean>();
    const consumer = queue.consumer<number>({ queue: 'orders', pause: failing });
    const collected = collect(consumer.deliveries$);
    await later();
    failing.error(new Error('breaker'));
    expect(collected.error).toMatchObject({ option: 'pause' });
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 1 });
    expect(collected.values[0]?.ack()).toBe(true);
    await later();
    expect(consumer.state).toMatchObject({ status: 'stopped', cause: { option: 'pause' } });
    expect(view()).toEqual({ ready: 0, unsettled: 0, consumers: 0 });
  });
});

describe('a consumer that ends', () => {
  it('when its subscriber leaves releases what has not started, and lets running work settle', async () => {
    put(...numbers(8));
    const gate = new Subject<void>();
    const started: unknown[] = [];
    const work = ({ body }: Message<unknown>): unknown => {
      started.push(body);
      return gate;
    };
    const { subscription } = collect(
      queue.consume({ queue: 'orders', prefetch: 8 }).pipe(handle(work, { concurrency: 3 })),
    );
    await later();
    subscription.unsubscribe();
    await later();
    expect(view()).toEqual({ ready: 5, unsettled: 3, consumers: 0 });
    gate.complete();
    await later();
    expect(started).toEqual([0, 1, 2]);
    expect(view()).toEqual({ ready: 5, unsettled: 0, consumers: 0 });
    expect(queue.metrics).toMatchObject({ delivered: 8, acked: 3, released: 5, requeued: 0, lost: 0, inFlight: 0 });
  });

  it('when its subscriber leaves keeps its deliveries valid until they are settled', async () => {
    put(1, 2);
    const consumer = queue.consumer({ queue: 'orders' });
    const { values, subscription } = collect(consumer.deliveries$);
    await later();
    subscription.unsubscribe();
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 2 });
    expect(values[0]?.ack()).toBe(true);
    expect(consumer.state).toEqual({ status: 'draining', unsettled: 1 });
    expect(values[1]?.requeue()).toBe(true);
    await later();
    expect(consumer.state).toEqual({ status: 'detached' });
    expect(queue.broker.messages('orders')).toMatchObject([{ body: 2 }]);
  });

  it('gives back the messages that come before the broker has cancelled it', async () => {
    const consumer = queue.consumer({ queue: 'orders', prefetch: 10 });
    const { values, subscription } = collect(consumer.deliveries$);
    await later();
    queue.broker.hold();
    put(1, 2, 3);
    await later();
    subscription.unsubscribe();
    queue.broker.release();
    await later();
    expect(values).toEqual([]);
    expect(view()).toEqual({ ready: 3, unsettled: 0, consumers: 0 });
    expect(queue.metrics).toMatchObject({ delivered: 0, lost: 0, inFlight: 0 });
  });

  it.each([
    ['emits', (end: Subject<unknown>) => end.next(0)],
    ['completes', (end: Subject<unknown>) => end.complete()],
    ['fails', (end: Subject<unknown>) => end.error(new Error('no matter'))],
  ])('when `until` %s drains, and completes', async (_how, trigger) => {
    put(1);
    const end = new Subject<unknown>();
    const collected = collect(queue.consume({ queue: 'orders', until: end }));
    await later();
    trigger(end);
    await later();
    expect([collected.completed, view().consumers]).toEqual([false, 0]);
    collected.values[0]?.ack();
    await later();
    expect(collected).toMatchObject({ completed: true, error: undefined });
    expect(end.observed).toBe(false);
  });

  it('waits for its deliveries for the drain timeout, which a later close may shorten', async () => {
    put(1, 2);
    const consumer = queue.consumer({ queue: 'orders' });
    collect(consumer.deliveries$);
    await later();
    const closed = consumer.close({ drainTimeout: 60_000 });
    let report: unknown;
    void closed.then((given) => (report = given));
    await later(1000);
    expect(consumer.close({ drainTimeout: 500 })).toBe(closed);
    await later(499);
    expect(report).toBeUndefined();
    await later(2);
    expect(report).toEqual({ unsettled: 2, unconfirmed: 0 });
    await later();
    expect(view()).toEqual({ ready: 2, unsettled: 0, consumers: 0 });
  });

  it('stays ended: who subscribes again gets nothing', async () => {
    const consumer = queue.consumer({ queue: 'orders' });
    collect(consumer.deliveries$);
    await later();
    await consumer.close();
    put(1);
    const again = collect(consumer.deliveries$);
    await later();
    expect(again).toMatchObject({ values: [], completed: true });
    expect(view()).toEqual({ ready: 1, unsettled: 0, consumers: 0 });
  });

  it('stays ended: who subscribes again at once when it completes, before it ever attached, gets nothing', async () => {
    put(1);
    const consumer = queue.consumer({ queue: 'orders' });
    let again: ReturnType<typeof collect> | undefined;
    consumer.deliveries$.subscribe({ complete: () => (again = collect(consumer.deliveries$)) });
    await Promise.all([consumer.close(), later()]);
    expect(again).toMatchObject({ values: [], completed: true });
    expect(view().consumers).toBe(0);
  });

  it('cannot begin on a closed queue', async () => {
    await queue.connect();
    await queue.close();
    expect(() => queue.consume({ queue: 'orders' })).not.toThrow();
    expect(collect(queue.consume({ queue: 'orders' })).error).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('errors with the cause at its first attach, if the broker refuses that', async () => {
    queue.broker.declare({ name: 'orders', maxLength: 5 });
    const other = collect(queue.consume({ queue: 'others' }));
    const refused = queue.consumer({ queue: { name: 'orders', maxLength: 6 } });
    const missing = collect(queue.consume({ queue: { name: 'missing', passive: true } }));
    const { error } = await later().then(() => collect(refused.deliveries$));
    expect(error).toBeUndefined();
    await later();
    expect(refused.state).toMatchObject({ status: 'stopped', cause: { code: 'CHANNEL_CLOSED', replyCode: 406 } });
    expect(missing.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
    expect(queue.broker.queues.map(({ name }) => name)).not.toContain('missing');
    expect(other.error).toBeUndefined();
    expect(collect(refused.deliveries$).error).toBe((refused.state as { readonly cause?: unknown }).cause);
  });
});
