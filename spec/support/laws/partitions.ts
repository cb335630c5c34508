import {
  handle,
  OptionsError,
  type InstanceQueue,
  type Message,
  type Partitioned,
  type PartitionedOptions,
  type SendOptions,
} from 'instance-queue';
import { collect } from '../collect';
import { eventually, rejection, until } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

interface Order {
  readonly key: string;
  readonly n: number;
}

/** Work that does not end before `finish`, and the orders that it has begun with. */
function unfinishedWork() {
  const begun: Order[] = [];
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const work = async ({ body }: Message<Order>): Promise<void> => {
    begun.push(body);
    await finished;
  };
  return { begun, work, finish };
}

/** What partitioned queues do, on any broker. */
export function partitionLaws(given: { readonly broker: BrokerUnderTest }): void {
  let name: string;
  let used: number;
  beforeEach(() => {
    name = given.broker.freeQueueName();
    used = 0;
  });
  afterEach(async () => {
    for (let i = 0; i < used; i++) await given.broker.deleteQueue(`${name}.${String(i)}`);
    for (const exchange of [name, `${name}.presence`]) await given.broker.deleteExchange(exchange);
  });

  const partitioned = (queue: InstanceQueue, partitions = 4, more: Partial<PartitionedOptions<Order>> = {}) => {
    used = Math.max(used, partitions);
    return queue.partitioned<Order>({ name, partitions, ...more });
  };
  const share = (of: Partitioned<Order>, size: number): Promise<readonly number[]> =>
    until(of.assignment$, ({ length }) => length === size);
  const sendAll = async (to: Partitioned<Order>, count: number, keys = 5): Promise<void> => {
    await Promise.all(
      Array.from({ length: count }, (_, i) => {
        const key = `key-${String(i % keys)}`;
        return to.send({ key, body: { key, n: Math.floor(i / keys) } });
      }),
    );
  };
  /** Fails if of any key a message was begun before an earlier one. */
  const expectOrder = (begun: readonly Order[], keys = 5): void => {
    for (let k = 0; k < keys; k++) {
      const firsts = new Set(begun.filter(({ key }) => key === `key-${String(k)}`).map(({ n }) => n));
      expect([...firsts]).toEqual([...firsts].sort((a, b) => a - b));
    }
  };

  it('what the members tell each other counts neither as sent nor as delivered', async () => {
    const [one, other] = [given.broker.newClient(), given.broker.newClient()];
    const orders = partitioned(one);
    const done: Order[] = [];
    const work = ({ body }: Message<Order>): void => void done.push(body);
    orders.consume().pipe(handle(work)).subscribe();
    await share(orders, 4);
    const second = partitioned(other);
    second.consume().pipe(handle(work)).subscribe();
    await Promise.all([share(orders, 2), share(second, 2)]);
    await sendAll(orders, 10);
    await eventually(() => done.length === 10);
    const { sent, confirmed, delivered } = one.metrics;
    expect([sent, confirmed, delivered + other.metrics.delivered]).toEqual([10, 10, 10]);
    expect(other.metrics).toMatchObject({ sent: 0, confirmed: 0, returned: 0 });
  });

  it('one consumer holds all partitions, and works on each key in the order of sending', async () => {
    const orders = partitioned(given.broker.newClient());
    const begun: Order[] = [];
    const partitions = new Map<string, Set<number>>();
    const work$ = orders.consume().pipe(
      handle(async ({ body, partition = -1 }) => {
        begun.push(body);
        partitions.set(body.key, (partitions.get(body.key) ?? new Set()).add(partition));
        await Promise.resolve();
      }),
    );
    const { values } = collect(work$);
    await sendAll(orders, 100);
    await eventually(() => values.length === 100);
    expect(orders.assignment).toEqual([0, 1, 2, 3]);
    expectOrder(begun);
    expect([...partitions.values()].map(({ size }) => size)).toEqual([1, 1, 1, 1, 1]);
  });

  it('consumers share the partitions evenly, when one comes and when one leaves', async () => {
    const [first, second, third] = [1, 2, 3].map(() => partitioned(given.broker.newClient(), 8)) as [
      Partitioned<Order>,
      Partitioned<Order>,
      Partitioned<Order>,
    ];
    const consuming = collect(first.consume());
    collect(second.consume());
    await Promise.all([share(first, 4), share(second, 4)]);
    collect(third.consume());
    await Promise.all(
      [first, second, third].map((one) => until(one.assignment$, ({ length }) => length < 4 && length > 1)),
    );
    await eventually(() => [first, second, third].flatMap(({ assignment }) => assignment).length === 8);
    const held = [first, second, third].flatMap(({ assignment }) => assignment);
    expect([...held].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    consuming.subscription.unsubscribe();
    await Promise.all([share(first, 0), share(second, 4), share(third, 4)]);
  });

  it('a partition changes hands behind the work that runs, with nothing lost and nothing out of order', async () => {
    const old = partitioned(given.broker.newClient(), 2);
    const running = new Set<number>();
    const overlaps: number[] = [];
    const { begun, work: begin, finish } = unfinishedWork();
    const work = async (message: Message<Order>): Promise<void> => {
      const { partition = -1 } = message;
      if (running.has(partition)) overlaps.push(partition);
      running.add(partition);
      await begin(message);
      running.delete(partition);
    };
    old.consume().pipe(handle(work)).subscribe();
    await share(old, 2);
    await sendAll(old, 50);
    await eventually(() => begun.length === 2);
    const queue = given.broker.newClient();
    const next = partitioned(queue, 2);
    next.consume().pipe(handle(work)).subscribe();
    await share(old, 1);
    // The new owner is attached beside the old one, and waits for the work that runs.
    await until(queue.health$, ({ consumers: [one] }) => one?.status === 'attached');
    for (const partition of [0, 1]) await queue.admin.inspect(`${name}.${String(partition)}`);
    expect(next.assignment).toEqual([]);
    expect(begun).toHaveLength(2);
    finish();
    await share(next, 1);
    await eventually(() => begun.length === 50);
    expect(overlaps).toEqual([]);
    expectOrder(begun);
  });

  it('a partition that comes back while it is still being handed over is consumed again', async () => {
    const queue = given.broker.newClient();
    const old = partitioned(queue, 2);
    const { begun, work, finish } = unfinishedWork();
    old.consume().pipe(handle(work)).subscribe();
    await share(old, 2);
    await sendAll(old, 20);
    await eventually(() => begun.length === 2);
    const brief = partitioned(given.broker.newClient(), 2);
    collect(brief.consume());
    await share(old, 1);
    await brief.close();
    // Behind the last announcement, on the connection that receives it.
    await queue.admin.inspect(`${name}.0`);
    finish();
    await share(old, 2);
    await eventually(() => begun.length === 20);
    expectOrder(begun);
  });

  it('what was not started when a partition changes hands is not acked with the work around it', async () => {
    const [old, next] = [1, 2].map(() => partitioned(given.broker.newClient(), 1)) as [
      Partitioned<Order>,
      Partitioned<Order>,
    ];
    const { begun, work, finish } = unfinishedWork();
    const key = ({ body }: Message<Order>): string => body.key;
    old.consume().pipe(handle(work, { key })).subscribe();
    await share(old, 1);
    next.consume().pipe(handle(work, { key })).subscribe();
    for (const body of [
      { key: 'a', n: 0 },
      { key: 'a', n: 1 },
      { key: 'a', n: 2 },
      { key: 'b', n: 0 },
    ]) {
      await old.send({ key: body.key, body });
    }
    await eventually(() => begun.length === 2);
    const closing = old.close();
    finish();
    await closing;
    await eventually(() => begun.length === 4);
    expect(begun.map(({ key, n }) => `${key}${String(n)}`)).toEqual(['a0', 'b0', 'a1', 'a2']);
  });

  it('a message that waits for another of its key gives up in time, and those behind it keep their place', async () => {
    const orders = partitioned(given.broker.newClient(), 2);
    const send = (n: number, options?: SendOptions): Promise<unknown> =>
      orders.send({ key: 'a', body: { key: 'a', n } }, options);
    await send(0);
    await given.broker.block();
    const aborting = new AbortController();
    const first = send(1);
    const [late, unwanted] = [send(2, { timeout: 100 }), send(3, { signal: aborting.signal })].map(rejection);
    const last = send(4);
    expect(await late).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
    aborting.abort();
    expect(await unwanted).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: false });
    await given.broker.unblock();
    await Promise.all([first, last, send(5)]);
    const { values } = collect(orders.consume().pipe(handle(() => undefined)));
    await eventually(() => values.length === 4);
    expect(values.map(({ message }) => message.body.n)).toEqual([0, 1, 4, 5]);
  });

  it.each([
    ['delay', 50],
    ['at', new Date()],
    ['routingKey', 'elsewhere'],
    ['exchange', 'elsewhere'],
    ['queue', 'elsewhere'],
    ['mandatory', false],
    ['streamFilter', 'a'],
  ])('a message with a key has no `%s`, by which it could be lost or late: it is refused', async (option, value) => {
    const orders = partitioned(given.broker.newClient(), 2);
    const message = { key: 'a', body: { key: 'a', n: 0 } };
    expect(await rejection(orders.send({ ...message, [option]: value }))).toMatchObject({
      code: 'OPTIONS_INVALID',
      option,
    });
    await orders.send({ ...message, [option]: undefined });
    const counts = await Promise.all([0, 1].map((i) => given.broker.count(`${name}.${i}`)));
    expect(counts[0]!.ready + counts[1]!.ready).toBe(1);
  });

  it('another number of partitions is refused, to producers and to consumers', async () => {
    const orders = partitioned(given.broker.newClient(), 2);
    await orders.send({ key: 'a', body: { key: 'a', n: 0 } });
    const other = partitioned(given.broker.newClient(), 3);
    const refused = /has 2 partitions, and `partitions` is 3 here/;
    const sending = other.send({ key: 'a', body: { key: 'a', n: 1 } });
    await expect(sending).rejects.toThrow(refused);
    await expect(sending).rejects.toBeInstanceOf(OptionsError);
    const consuming = collect(other.consume());
    await eventually(() => consuming.error);
    expect(consuming.error).toBeInstanceOf(OptionsError);
    expect(String(consuming.error)).toMatch(refused);
  });

  it('the number changes only when nothing is left, and who has the old one is refused then', async () => {
    const orders = partitioned(given.broker.newClient(), 2);
    await orders.send({ key: 'a', body: { key: 'a', n: 0 } });
    await expect(orders.resize(3, { timeout: 200 })).rejects.toMatchObject({ code: 'NOT_DRAINED' });
    const stale = partitioned(given.broker.newClient(), 2);
    await stale.send({ key: 'a', body: { key: 'a', n: 1 } });
    const consuming = collect(orders.consume().pipe(handle(() => undefined)));
    await orders.resize(3);
    expect(consuming.values).toHaveLength(2);
    expect(consuming.completed).toBe(true);
    expect(orders.partitions).toBe(3);
    await expect(stale.send({ key: 'a', body: { key: 'a', n: 2 } })).rejects.toThrow(/has 3 partitions/);
    const renewed = partitioned(given.broker.newClient(), 3);
    const seen = collect(renewed.consume().pipe(handle(() => undefined)));
    await orders.send({ key: 'a', body: { key: 'a', n: 3 } });
    await eventually(() => seen.values.length === 1);
  });

  // With consumers attached, RabbitMQ 3.10 loses what it confirms into a quorum queue that is made anew as soon as it is deleted.
  it('queues that were deleted are made again for the next message', async () => {
    const orders = partitioned(given.broker.newClient(), 2);
    await sendAll(orders, 10);
    for (const partition of [0, 1]) await given.broker.deleteQueue(`${name}.${String(partition)}`);
    await sendAll(orders, 10);
    const { values } = collect(orders.consume().pipe(handle(() => undefined)));
    await eventually(() => values.length === 10);
  });

  it('they are made again also where producers send without `mandatory` by default', async () => {
    const orders = partitioned(given.broker.newClient({ producer: { mandatory: false } }), 2);
    await orders.send({ key: 'a', body: { key: 'a', n: 1 } });
    for (let i = 0; i < 2; i++) await given.broker.deleteQueue(`${name}.${String(i)}`);
    await orders.send({ key: 'a', body: { key: 'a', n: 2 } });
    const { values } = collect(orders.consume());
    await eventually(() => values.length === 1);
    expect(values).toMatchObject([{ body: { n: 2 } }]);
  });

  it('what is no announcement does not disturb the members, whoever sends it', async () => {
    const queue = given.broker.newClient();
    const orders = partitioned(queue);
    const began: Order[] = [];
    orders
      .consume()
      .pipe(handle(({ body }) => void began.push(body)))
      .subscribe();
    await share(orders, 4);
    const member = { id: 'zzz', address: 'nowhere', holding: [] };
    const plan = { version: 1000, by: 'zzz', owners: Array.from({ length: 4 }, () => 'zzz') };
    const wrong = [
      null,
      'hello',
      { member: { ...member, holding: 'all' } },
      { member, gone: 'all' },
      { member, plan: { version: 1000, by: 'zzz' } },
      { member, plan: { ...plan, version: '1000' } },
      { member, plan: { ...plan, owners: [1, 2, 3, 4] } },
    ];
    for (const body of wrong) await queue.send({ exchange: `${name}.presence`, body });
    await sendAll(orders, 20);
    await eventually(() => began.length === 20);
    expect(orders.assignment).toHaveLength(4);
  });

  it('a closed one is not consumed: a subscription completes at once', async () => {
    const orders = partitioned(given.broker.newClient(), 2);
    await orders.send({ key: 'a', body: { key: 'a', n: 1 } });
    await orders.close();
    expect(collect(orders.consume())).toMatchObject({ values: [], completed: true });
  });

  it('after an outage all partitions are held again, and nothing is lost', async () => {
    const [first, second] = [partitioned(given.broker.newClient()), partitioned(given.broker.newClient())];
    const begun: Order[] = [];
    for (const one of [first, second])
      one
        .consume()
        .pipe(handle(({ body }) => void begun.push(body)))
        .subscribe();
    await Promise.all([share(first, 2), share(second, 2)]);
    await given.broker.disconnect();
    const sending = sendAll(first, 50);
    await eventually(() => first.assignment.length + second.assignment.length === 0);
    await given.broker.reconnect();
    await sending;
    await eventually(() => new Set(begun.map(({ key, n }) => `${key} ${String(n)}`)).size === 50);
    await Promise.all([share(first, 2), share(second, 2)]);
    expectOrder(begun);
  });

  it('close ends in time, also while the broker confirms nothing', async () => {
    const orders = partitioned(given.broker.newClient(), 2);
    collect(orders.consume());
    await share(orders, 2);
    await given.broker.block();
    const began = performance.now();
    await orders.close({ drainTimeout: 100 });
    const took = performance.now() - began;
    await given.broker.unblock();
    expect(took).toBeLessThan(1500);
  });

  it('a later close shortens the time that is left', async () => {
    const orders = partitioned(given.broker.newClient(), 1);
    const { values } = collect(orders.consume());
    await share(orders, 1);
    await orders.send({ key: 'a', body: { key: 'a', n: 0 } });
    await eventually(() => values.length === 1);
    const began = performance.now();
    const patient = orders.close({ drainTimeout: 20_000 });
    const report = await orders.close({ drainTimeout: 0 });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect([report, await patient]).toEqual(Array(2).fill({ unsettled: 1, unconfirmed: 0 }));
  });

  it('counts as one consumer', async () => {
    const queue = given.broker.newClient();
    const orders = partitioned(queue);
    collect(orders.consume());
    await until(queue.health$, ({ status }) => status === 'up');
    expect(queue.health.consumers).toMatchObject([{ queueName: name, queue: name, status: 'attached' }]);
    expect(orders.assignment).toHaveLength(4);
    await orders.close();
    expect(queue.health.consumers).toEqual([]);
  });
}
