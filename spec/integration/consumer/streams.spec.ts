import { Subject, firstValueFrom } from 'rxjs';
import { Consumer, OptionsError, consume, handle, json } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually, until } from '../../support/waiting';

describe('a stream', () => {
  const stream = { arguments: { 'x-queue-type': 'stream' } };
  const given = consumingFixture({ queue: stream });

  const startOffsets = (): unknown[] =>
    given.log
      .of('basic.consume')
      .map(({ fields }) => (fields['arguments'] as Record<string, unknown>)['x-stream-offset']);

  it('is read from its first message, and every delivery has its offset', async () => {
    const { bystander, newConnection, queue } = given;
    await bystander.put(queue, ...numbers(10));
    const { values } = collect(consume<number>(newConnection(), { queue, offset: 'first' }));
    await eventually(() => values.length === 10);
    expect(
      values.map(({ body, offset, redelivered, deliveryCount }) => [body, offset, redelivered, deliveryCount]),
    ).toEqual(numbers(10).map((i) => [i, i, false, 0]));
    expect(values.every((delivery) => delivery.ack())).toBe(true);
  });

  it('is read from an offset, or from a time', async () => {
    const { bystander, newConnection, queue } = given;
    await bystander.put(queue, ...numbers(10));
    const from7 = collect(consume<number>(newConnection(), { queue, offset: 7 }));
    await eventually(() => from7.values.length === 3);
    expect(from7.values.map(({ offset }) => offset)).toEqual([7, 8, 9]);
    const fromNow = collect(consume<number>(newConnection(), { queue, offset: new Date(Date.now() + 3_600_000) }));
    const fromThen = collect(consume<number>(newConnection(), { queue, offset: new Date(Date.now() - 3_600_000) }));
    await eventually(() => fromThen.values.length === 10);
    expect(fromNow.values).toEqual([]);
  });

  it('is read from the next message by default, also if only its spec marks it as a stream', async () => {
    const { bystander, newConnection, queue } = given;
    await bystander.put(queue, ...numbers(5));
    const consumer = closing(new Consumer<number>(newConnection(), { queue: { name: queue, type: 'stream' } }));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.put(queue, 5);
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ body: 5, offset: 5 });
    expect(startOffsets()).toEqual(['next']);
  });

  it('is declared as a stream if a consumer with an offset names a queue that does not exist', async () => {
    const { bystander, newConnection } = given;
    const name = bystander.freeQueueName();
    const consumer = closing(new Consumer<number>(newConnection(), { queue: name, offset: 'first' }));
    collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.declareQueue(stream, name);
  });

  it('never has more unsettled deliveries than the prefetch, although the broker sends whole chunks', async () => {
    const { bystander, newConnection, queue } = given;
    // The broker decides how many messages make a chunk, by its load. Among this many there are chunks of several.
    await bystander.put(queue, ...numbers(2000));
    const { values } = collect(consume<number>(newConnection(), { queue, offset: 'first', prefetch: 4 }));
    await eventually(() => values.length === 4);
    expect(values).toHaveLength(4);
    // Out of order: no further message is delivered before the first one is settled.
    values[2]?.ack();
    values[1]?.ack();
    expect(values).toHaveLength(4);
    values[0]?.ack();
    await eventually(() => values.length === 7);
    expect(values.map(({ offset }) => offset)).toEqual(numbers(7));
  });

  it('is read to its end by concurrent work', async () => {
    const { bystander, newClient, queue, log } = given;
    await bystander.put(queue, ...numbers(2000));
    const client = newClient();
    const offsets: number[] = [];
    const work = async ({ body }: { readonly body: number }): Promise<number> => {
      await new Promise((resolve) => setImmediate(resolve));
      return body;
    };
    const { values } = collect(
      client
        .consume<number>({ queue, offset: 'first', prefetch: 50, onOffset: (offset) => offsets.push(offset) })
        .pipe(handle(work, { concurrency: 10 })),
    );
    await eventually(() => offsets.at(-1) === 1999);
    expect(values.map(({ value }) => value)).toEqual(numbers(2000));
    // Coalesced, and never backwards.
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(offsets.length).toBeLessThan(1500);
    for (const { fields } of log.of('basic.ack')) expect(fields).toMatchObject({ multiple: true });
  });

  it('reports the offset up to which everything is settled, whatever is settled beyond it', async () => {
    const { bystander, newConnection, queue } = given;
    await bystander.put(queue, ...numbers(5));
    const offsets: number[] = [];
    const consumer = closing(
      new Consumer<number>(newConnection(), { queue, offset: 'first', onOffset: (offset) => offsets.push(offset) }),
    );
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 5);
    for (const i of [1, 2, 4]) values[i]?.ack();
    values[0]?.ack();
    await eventually(() => offsets.length > 0);
    expect(offsets).toEqual([2]);
    values[3]?.ack();
    // At the latest when the consumer closes.
    await consumer.close();
    expect(offsets).toEqual([2, 4]);
  });

  it('goes on in another client from the stored offset', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, ...numbers(20));
    let stored = -1;
    const first = newClient();
    const stop = new Subject<void>();
    const onOffset = (offset: number): void => {
      stored = offset;
    };
    const early = collect(
      first.consume<number>({ queue, offset: 'first', prefetch: 5, onOffset, until: stop }).pipe(
        handle(({ body }) => {
          if (body === 11) stop.next();
          return body;
        }),
      ),
    );
    await eventually(() => early.completed);
    expect(stored).toBe(early.values.length - 1);
    const second = newClient();
    const late = collect(second.consume<number>({ queue, offset: stored + 1 }));
    await eventually(() => early.values.length + late.values.length === 20);
    expect(late.values[0]?.offset).toBe(stored + 1);
  });

  it('settles requeue and reject without the broker, which would close the connection', async () => {
    const { bystander, newClient, queue, log } = given;
    await bystander.put(queue, ...numbers(4));
    const client = newClient();
    const { values } = collect(client.consume<number>({ queue, offset: 'first', prefetch: 4 }));
    await eventually(() => values.length === 4);
    expect(values[0]?.reject()).toBe(true);
    expect(values[1]?.requeue()).toBe(true);
    expect(values[2]?.release()).toBe(true);
    await eventually(() => values.length === 6);
    const again = values.slice(4).map(({ offset, redelivered, deliveryCount }) => [offset, redelivered, deliveryCount]);
    // A release does not count as an attempt.
    expect(again).toEqual([
      [1, true, 1],
      [2, false, 0],
    ]);
    for (const delivery of values) delivery.ack();
    await eventually(() => log.of('basic.ack').length > 0);
    expect(client.metrics).toMatchObject({ rejected: 1, requeued: 1, released: 1, acked: 3, inFlight: 0 });
    expect([...log.of('basic.nack'), ...log.of('basic.reject'), ...log.of('connection.close')]).toEqual([]);
  });

  it('redelivers a message whose handler failed once, then skips it', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, ...numbers(6));
    const client = newClient();
    const offsets: number[] = [];
    const work = ({ body }: { readonly body: number }): number => {
      if (body === 2) throw new Error('always');
      return body;
    };
    const { values } = collect(
      client
        .consume<number>({ queue, offset: 'first', prefetch: 3, onOffset: (offset) => offsets.push(offset) })
        .pipe(handle(work)),
    );
    await eventually(() => offsets.at(-1) === 5);
    const failed = values.filter(({ error }) => error !== undefined);
    expect(failed.map(({ message, settlement }) => [message.offset, settlement])).toEqual([
      [2, 'requeue'],
      [2, 'reject'],
    ]);
    expect(client.metrics.reopens).toBe(0);
  });

  it('skips messages that cannot be decoded', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, 0, 1);
    await bystander.publishRaw('', queue, [Buffer.from('{')], { contentType: 'application/json' });
    await bystander.put(queue, 3);
    const offsets: number[] = [];
    const client = newClient();
    const { values } = collect(
      client.consume<number>({
        queue,
        offset: 'first',
        codec: json<number>(),
        onOffset: (offset) => offsets.push(offset),
      }),
    );
    await eventually(() => values.length === 3);
    for (const delivery of values) delivery.ack();
    await eventually(() => offsets.at(-1) === 3);
    expect(client.metrics).toMatchObject({ undecodable: 1 });
  });

  it('goes on after a pause with the messages that were not started, once the running work is settled', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, ...numbers(8));
    const pause = new Subject<boolean>();
    const gate = new Subject<void>();
    const client = newClient();
    const work = async ({ body }: { readonly body: number }): Promise<number> => {
      if (body === 2) await firstValueFrom(gate);
      return body;
    };
    const consumer = client.consumer<number>({ queue, offset: 'first', prefetch: 6, pause });
    const { values } = collect(consumer.deliveries$.pipe(handle(work, { concurrency: 1 })));
    await eventually(() => values.length === 2);
    pause.next(true);
    await eventually(() => client.metrics.inFlight === 1);
    pause.next(false);
    expect(consumer.state).toEqual({ status: 'detached' });
    gate.next();
    await eventually(() => values.length === 8);
    expect(values.map(({ value }) => value)).toEqual(numbers(8));
    // None of them counts as attempted before.
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
    const refused = (): unknown => {
      try {
        return consume(given.connection, options);
      } catch (error) {
        return error;
      }
    };
    expect(refused()).toBeInstanceOf(OptionsError);
    expect(refused()).toMatchObject({ option });
  });

  it('cannot be consumed with noAck', () => {
    const { connection } = given;
    const message = 'Queue `q`: RabbitMQ does not deliver from a stream without acks.';
    expect(() => consume(connection, { queue: { name: 'q', type: 'stream' }, noAck: true })).toThrow(message);
  });

  it('offset on a classic queue is refused by the broker with 406', async () => {
    const { bystander, newConnection } = given;
    const classic = await bystander.declareQueue();
    const collected = collect(consume(newConnection(), { queue: classic, offset: 'first' }));
    await eventually(() => collected.error !== undefined);
    expect(collected.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406 });
  });
});
