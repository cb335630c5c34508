import { Subject, firstValueFrom } from 'rxjs';
import { Connection, Consumer, InstanceQueue, OptionsError, consume, handle, json } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, until } from '../../support/waiting';

describe('a stream', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(url);
    queue = await side.queue({ arguments: { 'x-queue-type': 'stream' } });
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);
  const connected = (): Connection => closing(new Connection(proxy.url(url)));
  const started = (): unknown[] =>
    log.of('basic.consume').map(({ fields }) => (fields['arguments'] as Record<string, unknown>)['x-stream-offset']);

  it('is read from its first message, and every message knows where it stands', async () => {
    await side.put(queue, ...numbers(10));
    const { values } = gather(consume<number>(connected(), { queue, offset: 'first' }));
    await eventually(() => values.length === 10);
    expect(
      values.map(({ body, offset, redelivered, deliveryCount }) => [body, offset, redelivered, deliveryCount]),
    ).toEqual(numbers(10).map((i) => [i, i, false, 0]));
    expect(values.every((delivery) => delivery.ack())).toBe(true);
  });

  it('is read from an offset, and from a time', async () => {
    await side.put(queue, ...numbers(10));
    const from7 = gather(consume<number>(connected(), { queue, offset: 7 }));
    await eventually(() => from7.values.length === 3);
    expect(from7.values.map(({ offset }) => offset)).toEqual([7, 8, 9]);
    const fromNow = gather(consume<number>(connected(), { queue, offset: new Date(Date.now() + 3_600_000) }));
    const fromThen = gather(consume<number>(connected(), { queue, offset: new Date(Date.now() - 3_600_000) }));
    await eventually(() => fromThen.values.length === 10);
    expect(fromNow.values).toEqual([]);
  });

  it('is read from what comes next where nothing else is said, also when only its spec says that it is a stream', async () => {
    await side.put(queue, ...numbers(5));
    const consumer = closing(new Consumer<number>(connected(), { queue: { name: queue, type: 'stream' } }));
    const { values } = gather(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.put(queue, 5);
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ body: 5, offset: 5 });
    expect(started()).toEqual(['next']);
  });

  it('is declared as a stream when it is used by a name that does not exist', async () => {
    const name = side.tidies();
    const consumer = closing(new Consumer<number>(connected(), { queue: name, offset: 'first' }));
    gather(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.queue({ arguments: { 'x-queue-type': 'stream' } }, name);
  });

  it('hands out no more than the prefetch, although the broker sends whole chunks', async () => {
    // How many messages make a chunk is the broker's to decide, by the load it is under; of so many some do.
    await side.put(queue, ...numbers(2000));
    const { values } = gather(consume<number>(connected(), { queue, offset: 'first', prefetch: 4 }));
    await eventually(() => values.length === 4);
    expect(values).toHaveLength(4);
    // Out of order: none follows before the first is settled.
    values[2]?.ack();
    values[1]?.ack();
    expect(values).toHaveLength(4);
    values[0]?.ack();
    await eventually(() => values.length === 7);
    expect(values.map(({ offset }) => offset)).toEqual(numbers(7));
  });

  it('is read to its end by many at once', async () => {
    await side.put(queue, ...numbers(2000));
    const front = closing(new InstanceQueue(proxy.url(url)));
    const told: number[] = [];
    const work = async ({ body }: { readonly body: number }): Promise<number> => {
      await new Promise((resolve) => setImmediate(resolve));
      return body;
    };
    const { values } = gather(
      front
        .consume<number>({ queue, offset: 'first', prefetch: 50, onOffset: (offset) => told.push(offset) })
        .pipe(handle(work, { concurrency: 10 })),
    );
    await eventually(() => told.at(-1) === 1999);
    expect(values.map(({ value }) => value)).toEqual(numbers(2000));
    // Coalesced, and never backwards.
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.length).toBeLessThan(1500);
    for (const { fields } of log.of('basic.ack')) expect(fields).toMatchObject({ multiple: true });
  });

  it('tells how far all is settled, and not further, whatever is settled above', async () => {
    await side.put(queue, ...numbers(5));
    const told: number[] = [];
    const consumer = closing(
      new Consumer<number>(connected(), { queue, offset: 'first', onOffset: (offset) => told.push(offset) }),
    );
    const { values } = gather(consumer.deliveries$);
    await eventually(() => values.length === 5);
    for (const i of [1, 2, 4]) values[i]?.ack();
    values[0]?.ack();
    await eventually(() => told.length > 0);
    expect(told).toEqual([2]);
    values[3]?.ack();
    // Not a message later than the end.
    await consumer.close();
    expect(told).toEqual([2, 4]);
  });

  it('goes on in another process from the offset that was stored', async () => {
    await side.put(queue, ...numbers(20));
    let stored = -1;
    const first = closing(new InstanceQueue(url));
    const stop = new Subject<void>();
    const onOffset = (offset: number): void => {
      stored = offset;
    };
    const early = gather(
      first.consume<number>({ queue, offset: 'first', prefetch: 5, onOffset, until: stop }).pipe(
        handle(({ body }) => {
          if (body === 11) stop.next();
          return body;
        }),
      ),
    );
    await eventually(() => early.completed);
    expect(stored).toBe(early.values.length - 1);
    const second = closing(new InstanceQueue(url));
    const late = gather(second.consume<number>({ queue, offset: stored + 1 }));
    await eventually(() => early.values.length + late.values.length === 20);
    expect(late.values[0]?.offset).toBe(stored + 1);
  });

  it('is not told of requeue and reject, over which RabbitMQ closes the connection', async () => {
    await side.put(queue, ...numbers(4));
    const front = closing(new InstanceQueue(proxy.url(url)));
    const { values } = gather(front.consume<number>({ queue, offset: 'first', prefetch: 4 }));
    await eventually(() => values.length === 4);
    expect(values[0]?.reject()).toBe(true);
    expect(values[1]?.requeue()).toBe(true);
    expect(values[2]?.release()).toBe(true);
    await eventually(() => values.length === 6);
    const again = values.slice(4).map(({ offset, redelivered, deliveryCount }) => [offset, redelivered, deliveryCount]);
    // The one that was released was not tried.
    expect(again).toEqual([
      [1, true, 1],
      [2, false, 0],
    ]);
    for (const delivery of values) delivery.ack();
    await eventually(() => log.of('basic.ack').length > 0);
    expect(front.metrics).toMatchObject({ rejected: 1, requeued: 1, released: 1, acked: 3, inFlight: 0 });
    expect([...log.of('basic.nack'), ...log.of('basic.reject'), ...log.of('connection.close')]).toEqual([]);
  });

  it('hands a message that failed out once more, and then passes it over', async () => {
    await side.put(queue, ...numbers(6));
    const front = closing(new InstanceQueue(proxy.url(url)));
    const told: number[] = [];
    const work = ({ body }: { readonly body: number }): number => {
      if (body === 2) throw new Error('always');
      return body;
    };
    const { values } = gather(
      front
        .consume<number>({ queue, offset: 'first', prefetch: 3, onOffset: (offset) => told.push(offset) })
        .pipe(handle(work)),
    );
    await eventually(() => told.at(-1) === 5);
    const failed = values.filter(({ error }) => error !== undefined);
    expect(failed.map(({ message, settlement }) => [message.offset, settlement])).toEqual([
      [2, 'requeue'],
      [2, 'reject'],
    ]);
    expect(front.metrics.reopens).toBe(0);
  });

  it('passes over what it cannot decode', async () => {
    await side.put(queue, 0, 1);
    await side.raw('', queue, [Buffer.from('{')], { contentType: 'application/json' });
    await side.put(queue, 3);
    const told: number[] = [];
    const front = closing(new InstanceQueue(url));
    const { values } = gather(
      front.consume<number>({ queue, offset: 'first', codec: json<number>(), onOffset: (offset) => told.push(offset) }),
    );
    await eventually(() => values.length === 3);
    for (const delivery of values) delivery.ack();
    await eventually(() => told.at(-1) === 3);
    expect(front.metrics).toMatchObject({ undecodable: 1 });
  });

  it('goes on after a pause with what was not started, when what was open is settled', async () => {
    await side.put(queue, ...numbers(8));
    const pause = new Subject<boolean>();
    const gate = new Subject<void>();
    const front = closing(new InstanceQueue(url));
    const work = async ({ body }: { readonly body: number }): Promise<number> => {
      if (body === 2) await firstValueFrom(gate);
      return body;
    };
    const consumer = front.consumer<number>({ queue, offset: 'first', prefetch: 6, pause });
    const { values } = gather(consumer.deliveries$.pipe(handle(work, { concurrency: 1 })));
    await eventually(() => values.length === 2);
    pause.next(true);
    await eventually(() => front.metrics.inFlight === 1);
    pause.next(false);
    expect(consumer.state).toEqual({ status: 'detached' });
    gate.next();
    await eventually(() => values.length === 8);
    expect(values.map(({ value }) => value)).toEqual(numbers(8));
    // None of them was tried before.
    expect(values.every(({ message }) => message.deliveryCount === 0)).toBe(true);
  });

  it.each([
    [{ queue: 'q', offset: -1 }, 'offset'],
    [{ queue: 'q', offset: 1.5 }, 'offset'],
    [{ queue: 'q', offset: new Date(NaN) }, 'offset'],
    [{ queue: { name: 'q', type: 'quorum' }, offset: 'first' }, 'offset'],
    [{ queue: { name: 'q', type: 'classic' }, onOffset: () => undefined }, 'onOffset'],
    [{ queue: { name: 'q', type: 'stream' }, onUndecodable: 'requeue' }, 'onUndecodable'],
    [{ queue: 'q', offset: 'first', onUndecodable: 'requeue' }, 'onUndecodable'],
  ] as const)('refuses %p', (options, option) => {
    const connection = closing(new Connection(url));
    const refused = (): unknown => {
      try {
        return consume(connection, options);
      } catch (error) {
        return error;
      }
    };
    expect(refused()).toBeInstanceOf(OptionsError);
    expect(refused()).toMatchObject({ option });
  });

  it('is refused without acks, which streams do not know', () => {
    const connection = closing(new Connection(url));
    const message = 'Queue `q`: a stream is read with acks: RabbitMQ refuses `noAck` there.';
    expect(() => consume(connection, { queue: { name: 'q', type: 'stream' }, noAck: true })).toThrow(message);
  });

  it('that is none is refused by the broker, and the consumer says so', async () => {
    const classic = await side.queue();
    const gathered = gather(consume(connected(), { queue: classic, offset: 'first' }));
    await eventually(() => gathered.error !== undefined);
    expect(gathered.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406 });
  });
});
