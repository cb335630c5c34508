import { handle, type Message, OptionsError } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { EMPTY, NEVER, of, Subject, throwError } from 'rxjs';
import { channelRefused } from '../../../lib/transport/link-errors';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

function given(partitions = 2, logger: (entry: object) => void = () => undefined) {
  const broker = new MemoryBroker();
  const queue = closing(new FakeInstanceQueue({ broker, logger }));
  return { broker, queue, orders: queue.partitioned<number>({ name: 'orders', partitions }) };
}
/** Work that ends with `finish`. */
function slowWork() {
  const finish: (() => void)[] = [];
  const begun: unknown[] = [];
  const work = ({ body }: Message<number>): Promise<void> => {
    begun.push(body);
    return new Promise((resolve) => finish.push(resolve));
  };
  const finishAll = (): void => {
    for (const end of finish) end();
  };
  return { begun, work, finish: finishAll };
}

describe('`until` of a partitioned consumer', () => {
  it.each([
    ['emits', (end: Subject<void>) => end.next()],
    ['completes', (end: Subject<void>) => end.complete()],
    ['errors', (end: Subject<void>) => end.error(new Error('enough'))],
  ])('ends it when it %s, behind the work that runs', async (_, stop) => {
    const { orders } = given();
    const until = new Subject<void>();
    const { begun, work, finish } = slowWork();
    const seen = collect(orders.consume({ until }).pipe(handle(work)));
    await later(500);
    await orders.send({ key: 'a', body: 1 });
    await later(10);
    expect(begun).toEqual([1]);
    stop(until);
    await later(1000);
    expect([seen.completed, orders.assignment]).toEqual([false, []]);
    finish();
    await later(10);
    expect(seen).toMatchObject({ completed: true, error: undefined, values: [{ settlement: 'ack' }] });
    expect(until.observed).toBe(false);
  });

  it.each([
    ['emits at once', of(1)],
    ['is empty', EMPTY],
    ['fails at once', throwError(() => new Error('no'))],
  ])('that %s lets nothing begin', async (_, until) => {
    const { orders } = given();
    const seen = collect(orders.consume({ until }));
    await later(1000);
    expect(seen).toMatchObject({ completed: true, values: [], error: undefined });
    expect(orders.assignment).toEqual([]);
  });

  it('that never comes changes nothing, and is left alone when the queue is closed', async () => {
    const { orders } = given();
    const seen = collect(orders.consume({ until: NEVER }));
    await later(500);
    expect(orders.assignment).toEqual([0, 1]);
    const closed = orders.close();
    await later(10);
    await closed;
    expect(seen.completed).toBe(true);
  });
});

describe('a partitioned consumer', () => {
  it('is detached until it holds its share, attached then, and says what it waits for in an outage', async () => {
    const { broker, queue, orders } = given();
    const statuses: unknown[] = [];
    queue.health$.subscribe(({ consumers: [one] }) => {
      if (one?.status !== statuses.at(-1)) statuses.push(one?.status);
    });
    orders.consume().subscribe();
    await later(100);
    expect(queue.health.consumers).toMatchObject([{ queueName: 'orders', status: 'detached' }]);
    await later(400);
    expect(queue.health.consumers).toMatchObject([{ queueName: 'orders', queue: 'orders', status: 'attached' }]);
    broker.disconnect();
    await later(100);
    expect(queue.health.consumers).toMatchObject([
      { status: 'detached', cause: { code: expect.any(String) as unknown } },
    ]);
    broker.reconnect();
    await later(1000);
    expect(queue.health.consumers).toMatchObject([{ status: 'attached' }]);
    const closed = orders.close();
    await later(10);
    await closed;
    expect(statuses.filter((status) => status === 'attached')).toHaveLength(2);
    expect(queue.health.consumers).toEqual([]);
  });

  it('says while it drains how much is unsettled, and reports what time did not allow', async () => {
    const { queue, orders } = given();
    const { begun, work } = slowWork();
    const seen = collect(orders.consume().pipe(handle(work)));
    await later(500);
    for (const key of ['a', 'b', 'c', 'd']) await orders.send({ key, body: 1 });
    await later(10);
    expect(begun).toHaveLength(2);
    const closed = orders.close({ drainTimeout: 1000 });
    await later(500);
    expect(queue.health.consumers).toMatchObject([{ status: 'draining', unsettled: 2 }]);
    expect(seen.completed).toBe(false);
    await later(600);
    expect(await closed).toEqual({ unsettled: 2, unconfirmed: 0 });
    expect(seen.completed).toBe(true);
  });

  it('is closed sooner when it is told again, and no later', async () => {
    const { orders } = given();
    orders.consume().pipe(handle(slowWork().work)).subscribe();
    await later(500);
    await orders.send({ key: 'a', body: 1 });
    await later(10);
    let closed = false;
    const closing = orders.close({ drainTimeout: 20_000 });
    void closing.then(() => (closed = true));
    await later(1000);
    void orders.close({ drainTimeout: 1000 });
    void orders.close({ drainTimeout: 60_000 });
    await later(900);
    expect(closed).toBe(false);
    await later(200);
    expect(await closing).toEqual({ unsettled: 1, unconfirmed: 0 });
  });

  it('leaves when nobody listens any more, and what was handed out can still be settled', async () => {
    const { broker, orders } = given(1);
    const seen = collect(orders.consume());
    await later(500);
    await orders.send({ key: 'a', body: 1 });
    await later(10);
    seen.subscription.unsubscribe();
    await later(10);
    expect(orders.assignment).toEqual([]);
    expect(seen.values[0]?.ack()).toBe(true);
    await later(10);
    expect(broker.queues.find(({ name }) => name === 'orders.0')).toMatchObject({ unsettled: 0, messages: [] });
  });

  it.each([
    [
      'the broker refuses its queues',
      channelRefused('Cannot declare', new Error('403'), { replyCode: 403, text: 'ACCESS_REFUSED' }),
      (error: unknown) => error,
    ],
    [
      'something else is amiss',
      new RangeError('out of luck'),
      (cause: unknown): unknown =>
        expect.objectContaining({ option: 'consume', message: 'The consumer failed.', cause }),
    ],
  ])('fails where %s, says so in the log, and holds nothing', async (_, error, expected) => {
    const lines: object[] = [];
    const { queue, orders } = given(2, (line) => lines.push(line));
    jest.spyOn(queue.admin, 'declare').mockRejectedValue(error);
    const seen = collect(orders.consume());
    await later(1000);
    expect(seen.error).toEqual(expected(error));
    expect(seen.error).toBeInstanceOf(error instanceof RangeError ? OptionsError : Error);
    expect(orders.assignment).toEqual([]);
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: 'consumer stopped',
        fields: expect.objectContaining({ queue: 'orders' }) as unknown,
      }),
    );
    expect(queue.health).toMatchObject({ status: 'down', consumers: [{ status: 'stopped', cause: seen.error }] });
  });

  it('shares with another one of the same object, which holds what both hold', async () => {
    const { orders } = given(4);
    const told: (readonly number[])[] = [];
    orders.assignment$.subscribe((assignment) => told.push(assignment));
    const first = orders.consume().subscribe();
    await later(500);
    const second = orders.consume().subscribe();
    await later(1000);
    expect(orders.assignment).toEqual([0, 1, 2, 3]);
    first.unsubscribe();
    await later(1000);
    expect(orders.assignment).toEqual([0, 1, 2, 3]);
    second.unsubscribe();
    await later(1000);
    expect(orders.assignment).toEqual([]);
    for (const assignment of told) expect([...assignment].sort()).toEqual(assignment);
    for (const [i, assignment] of told.entries()) expect(assignment).not.toEqual(told[i - 1]);
  });

  it('ends its assignment with the queue, and tells a late one that there is nothing', async () => {
    const { queue, orders } = given();
    orders.consume().subscribe();
    await later(500);
    const told = collect(orders.assignment$);
    const closed = queue.close();
    await later(100);
    await closed;
    expect([told.values.at(-1), told.completed]).toEqual([[], true]);
    expect(collect(orders.assignment$)).toMatchObject({ values: [[]], completed: true });
  });
});
