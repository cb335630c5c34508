import { timer, map } from 'rxjs';
import { Consumer, handle, type Message } from 'instance-queue';
import { channelsOf, provokeException } from '../../support/amqplib/opened-channels';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually, until } from '../../support/waiting';

const backoff = { min: 5, max: 50 };

describe('a stream whose consumer is interrupted', () => {
  const stream = { arguments: { 'x-queue-type': 'stream' } };
  const given = consumingFixture({ queue: stream, connection: { reconnect: backoff, reopen: backoff } });

  const startOffsets = (): unknown[] =>
    given.log
      .of('basic.consume')
      .map(({ fields }) => (fields['arguments'] as Record<string, unknown>)['x-stream-offset']);
  const attached = (consumer: Consumer<number>, epoch: number) =>
    until(consumer.state$, (state) => state.status === 'attached' && state.epoch === epoch);

  it('goes on after the offset up to which everything is settled, and emits only unsettled messages again', async () => {
    const { bystander, proxy, queue } = given;
    await bystander.put(queue, ...numbers(100));
    const consumer = closing(new Consumer<number>(given.connection, { queue, offset: 'first', prefetch: 6 }));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 6);
    for (const i of [0, 1, 3, 5]) values[i]?.ack();
    await eventually(() => values.length === 8);
    proxy.cut();
    await eventually(() => values.length === 12);
    expect(startOffsets()).toEqual(['first', 2]);
    const again = values.slice(8).map(({ offset, redelivered }) => [offset, redelivered]);
    // 3 and 5 were settled, so they are not emitted again.
    expect(again).toEqual([
      [2, true],
      [4, true],
      [6, true],
      [7, true],
    ]);
    for (const delivery of values.slice(8)) expect(delivery.ack()).toBe(true);
    await eventually(() => values.length === 18);
    expect(values[12]).toMatchObject({ offset: 8, redelivered: false });
  });

  it('goes on the same way after an exception on its channel', async () => {
    const { bystander, queue, connection } = given;
    await bystander.put(queue, ...numbers(20));
    await connection.connect();
    const channels = channelsOf(connection);
    const consumer = closing(new Consumer<number>(connection, { queue, offset: 'first', prefetch: 5, declare: false }));
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 5);
    values[0]?.ack();
    await eventually(() => values.length === 6);
    provokeException(channels[0], queue);
    await eventually(() => values.length === 11);
    expect(values.slice(6).map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5]);
    expect(connection.state).toMatchObject({ epoch: 1 });
  });

  it('misses no message that arrives while the connection is down, even if none arrived before', async () => {
    const { bystander, proxy, queue } = given;
    await bystander.put(queue, 'old');
    const consumer = closing(new Consumer<number>(given.connection, { queue, offset: 'next' }));
    const { values } = collect(consumer.deliveries$);
    await attached(consumer, 1);
    // Otherwise both fall into the same second, and one chunk may hold the messages of both.
    const began = Date.now();
    await eventually(() => Date.now() - began > 1100);
    proxy.refuse();
    proxy.cut();
    await bystander.put(queue, 1, 2, 3);
    await proxy.restore();
    await eventually(() => values.some(({ body }) => body === 3));
    expect(values.map(({ body }) => body).slice(-3)).toEqual([1, 2, 3]);
  });

  it.each([
    ['ahead of', 3_600_000],
    ['behind', -3_600_000],
  ])('misses none of them either if the clock of this machine is %s that of the broker', async (_, skew) => {
    const { bystander, proxy, queue } = given;
    const now = Date.now.bind(Date);
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() + skew);
    try {
      const consumer = closing(new Consumer<number>(given.connection, { queue, offset: 'next' }));
      const { values } = collect(consumer.deliveries$);
      await attached(consumer, 1);
      proxy.refuse();
      proxy.cut();
      await bystander.put(queue, 1, 2, 3);
      await proxy.restore();
      await eventually(() => values.length === 3, 2000);
      expect(values.map(({ body }) => body)).toEqual([1, 2, 3]);
    } finally {
      clock.mockRestore();
    }
  });

  it("misses none of them if it starts at 'last' and there was nothing yet", async () => {
    const { bystander, proxy, queue } = given;
    const consumer = closing(new Consumer<number>(given.connection, { queue, offset: 'last' }));
    const { values } = collect(consumer.deliveries$);
    await attached(consumer, 1);
    proxy.refuse();
    proxy.cut();
    // Each is a chunk of its own.
    for (const body of [1, 2, 3]) await bystander.put(queue, body);
    await proxy.restore();
    await eventually(() => values.some(({ body }) => body === 3));
    expect(values.map(({ body }) => body)).toEqual([1, 2, 3]);
    expect(startOffsets()).toEqual(['last', expect.stringMatching(/^\d+s$/)]);
  });

  it('is read from its first offset if it was deleted and declared again', async () => {
    const { bystander, queue, log } = given;
    await bystander.put(queue, ...numbers(30));
    const consumer = closing(
      new Consumer<number>(given.connection, {
        queue: { name: queue, type: 'stream' },
        offset: 'first',
      }),
    );
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 20);
    for (const delivery of values) delivery.ack();
    await eventually(() => values.length === 30);
    await bystander.deleteQueue(queue);
    await eventually(() => log.of('basic.consume').length >= 2);
    await attached(consumer, 1);
    await bystander.put(queue, 'new');
    await eventually(() => values.length === 31);
    expect(values[30]).toMatchObject({ body: 'new', offset: 0, redelivered: false });
    // The broker may refuse an attach while it still deletes the old stream, so there may be more than two.
    expect(new Set(startOffsets())).toEqual(new Set(['first']));
  });

  it('skips no message, and repeats at most the prefetch per lost connection: 20 of them over 100,000 messages', async () => {
    const { bystander, newClient, proxy, queue } = given;
    const [count, cuts, prefetch] = [100_000, 20, 200];
    await bystander.publishRaw(
      '',
      queue,
      numbers(count).map((i) => Buffer.from(String(i))),
      { contentType: 'application/json' },
    );
    const client = newClient({ reconnect: backoff, reopen: backoff });
    const tried = new Uint8Array(count);
    const done = new Uint8Array(count);
    let [runs, distinct, stored] = [0, 0, -1];
    const work = ({ body }: Message<number>) => {
      tried[body] = (tried[body] ?? 0) + 1;
      runs++;
      // One in fifty takes longer, so that they settle out of order.
      return body % 50 === 0 ? timer(body % 3).pipe(map(() => body)) : body;
    };
    let firstOpen = 0;
    const gaps: number[] = [];
    const onOffset = (offset: number): void => {
      for (; firstOpen <= offset; firstOpen++) if (!done[firstOpen]) gaps.push(firstOpen);
      stored = offset;
    };
    client
      .consume<number>({ queue, offset: 'first', prefetch, onOffset })
      .pipe(handle(work))
      .subscribe(({ message: { body }, sent }) => {
        if (!sent || done[body]) return;
        done[body] = 1;
        distinct++;
      });
    for (let cut = 1; cut <= cuts; cut++) {
      await eventually(() => distinct >= (cut * count) / (cuts + 1), 40_000);
      proxy.cut();
    }
    await eventually(() => stored === count - 1, 40_000);
    expect(distinct).toBe(count);
    expect(gaps).toEqual([]);
    expect(client.metrics.reconnects).toBe(cuts);
    expect(runs - count).toBeLessThanOrEqual(cuts * prefetch);
    await client.close();
  }, 90_000);
});
