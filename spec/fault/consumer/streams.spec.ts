import { timer, map } from 'rxjs';
import { Connection, Consumer, InstanceQueue, handle, type Message } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { channelsOf, provokeException } from '../../support/amqplib/opened-channels';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

describe('a stream whose reader is interrupted', () => {
  const { url } = sharedBroker();
  const stream = { arguments: { 'x-queue-type': 'stream' } };
  const backoff = { min: 5, max: 50 };
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(url);
    queue = await side.declareQueue(stream);
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);
  const options = () => ({ url: proxy.url(url), reconnect: backoff, reopen: backoff });
  const started = (): unknown[] =>
    log.of('basic.consume').map(({ fields }) => (fields['arguments'] as Record<string, unknown>)['x-stream-offset']);
  const attached = (consumer: Consumer<number>, epoch: number) =>
    until(consumer.state$, (state) => state.status === 'attached' && state.epoch === epoch);

  it('goes on behind the last offset up to which all is settled, and emits again only what was open', async () => {
    await side.put(queue, ...numbers(100));
    const consumer = closing(
      new Consumer<number>(closing(new Connection(options())), { queue, offset: 'first', prefetch: 6 }),
    );
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 6);
    for (const i of [0, 1, 3, 5]) values[i]?.ack();
    await eventually(() => values.length === 8);
    proxy.cut();
    await eventually(() => values.length === 12);
    expect(started()).toEqual(['first', 2]);
    const again = values.slice(8).map(({ offset, redelivered }) => [offset, redelivered]);
    // 3 and 5 were settled, and are not emitted again.
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
    await side.put(queue, ...numbers(20));
    const connection = closing(new Connection(options()));
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

  it('misses nothing that came while the link was away, also when nothing had come before', async () => {
    await side.put(queue, 'old');
    const consumer = closing(new Consumer<number>(closing(new Connection(options())), { queue, offset: 'next' }));
    const { values } = collect(consumer.deliveries$);
    await attached(consumer, 1);
    // Else both fall into the same second, and the same chunk may be both.
    const began = Date.now();
    await eventually(() => Date.now() - began > 1100);
    proxy.refuse();
    proxy.cut();
    await side.put(queue, 1, 2, 3);
    await proxy.restore();
    await eventually(() => values.some(({ body }) => body === 3));
    expect(values.map(({ body }) => body).slice(-3)).toEqual([1, 2, 3]);
  });

  it('is read from its first offset when it was deleted and is made anew', async () => {
    await side.put(queue, ...numbers(30));
    const consumer = closing(
      new Consumer<number>(closing(new Connection(options())), {
        queue: { name: queue, type: 'stream' },
        offset: 'first',
      }),
    );
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 20);
    for (const delivery of values) delivery.ack();
    await eventually(() => values.length === 30);
    await side.deleteQueue(queue);
    await eventually(() => log.of('basic.consume').length >= 2);
    await attached(consumer, 1);
    await side.put(queue, 'new');
    await eventually(() => values.length === 31);
    expect(values[30]).toMatchObject({ body: 'new', offset: 0, redelivered: false });
    // The broker may refuse one for what it has not yet forgotten of the old one.
    expect(new Set(started())).toEqual(new Set(['first']));
  });

  it('skips nothing and repeats at most the prefetch for each of 20 cuts, over 100,000 messages', async () => {
    const [count, cuts, prefetch] = [100_000, 20, 200];
    await side.publishRaw(
      '',
      queue,
      numbers(count).map((i) => Buffer.from(String(i))),
      { contentType: 'application/json' },
    );
    const front = closing(new InstanceQueue(options()));
    const tried = new Uint8Array(count);
    const done = new Uint8Array(count);
    let [runs, distinct, stored] = [0, 0, -1];
    const work = ({ body }: Message<number>) => {
      tried[body] = (tried[body] ?? 0) + 1;
      runs++;
      // Out of order: one in fifty takes longer.
      return body % 50 === 0 ? timer(body % 3).pipe(map(() => body)) : body;
    };
    let firstOpen = 0;
    const gaps: number[] = [];
    const onOffset = (offset: number): void => {
      for (; firstOpen <= offset; firstOpen++) if (!done[firstOpen]) gaps.push(firstOpen);
      stored = offset;
    };
    front
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
    expect(front.metrics.reconnects).toBe(cuts);
    expect(runs - count).toBeLessThanOrEqual(cuts * prefetch);
    await front.close();
  }, 90_000);
});
