import { handle, type Delivery, type Message, type QueueSpec } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { collect } from '../collect';
import { eventually, rejection, until } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** How streams are read, on any broker. */
export function streamingLaws(given: { readonly broker: BrokerUnderTest }): void {
  /** Confirmed one by one: each is a chunk of its own, and brokers begin to read at chunks. */
  const fill = async (name: string, ...bodies: unknown[]): Promise<void> => {
    const queue = given.broker.newClient();
    for (const body of bodies) await queue.send({ queue: name, body });
  };
  const ackAll =
    (bodies: unknown[], offsets: unknown[] = []) =>
    (delivery: Delivery<unknown>) => {
      bodies.push(delivery.body);
      offsets.push(delivery.offset);
      delivery.ack();
    };

  it('is read from its first message, an offset, its last message or a time, and every delivery has its offset', async () => {
    const name = await given.broker.declareQueue({ type: 'stream' });
    await fill(name, 'a', 'b', 'c', 'd');
    const queue = given.broker.newClient();
    const read = async (offset: 'first' | 'last' | number | Date, count: number) => {
      const [bodies, offsets]: [unknown[], unknown[]] = [[], []];
      const subscription = queue.consume({ queue: name, offset }).subscribe(ackAll(bodies, offsets));
      await eventually(() => bodies.length === count);
      subscription.unsubscribe();
      return [bodies, offsets];
    };
    expect(await read('first', 4)).toEqual([
      ['a', 'b', 'c', 'd'],
      [0, 1, 2, 3],
    ]);
    expect(await read(2, 2)).toEqual([
      ['c', 'd'],
      [2, 3],
    ]);
    expect(await read('last', 1)).toEqual([['d'], [3]]);
    expect(await read(new Date(Date.now() - 3_600_000), 4)).toEqual([
      ['a', 'b', 'c', 'd'],
      [0, 1, 2, 3],
    ]);
  });

  it('is read from the next message on by default, and from an offset that is yet to come', async () => {
    const name = await given.broker.declareQueue({ type: 'stream' });
    await fill(name, 'a');
    const queue = given.broker.newClient();
    const [next, third]: [unknown[], unknown[]] = [[], []];
    queue.consume({ queue: { name, type: 'stream' } }).subscribe(ackAll(next));
    queue.consume({ queue: { name, type: 'stream' }, offset: 3 }).subscribe(ackAll(third));
    await until(queue.health$, ({ status, consumers }) => status === 'up' && consumers.length === 2);
    await fill(name, 'b', 'c', 'd');
    await eventually(() => next.length === 3 && third.length === 1);
    expect([next, third]).toEqual([['b', 'c', 'd'], ['d']]);
  });

  it('gives every consumer every message, and keeps them all', async () => {
    const name = await given.broker.declareQueue({ type: 'stream' });
    await fill(name, 1, 2, 3);
    const [one, other] = [0, 1].map(() => {
      const bodies: unknown[] = [];
      given.broker.newClient().consume({ queue: name, offset: 'first' }).subscribe(ackAll(bodies));
      return bodies;
    });
    await eventually(() => one?.length === 3 && other?.length === 3);
    const late: unknown[] = [];
    given.broker.newClient().consume({ queue: name, offset: 'first' }).subscribe(ackAll(late));
    await eventually(() => late.length === 3);
    expect([one, other, late]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('hands out no more than the prefetch, and again only what was requeued', async () => {
    const name = await given.broker.declareQueue({ type: 'stream' });
    await fill(name, 1, 2, 3, 4);
    const queue = given.broker.newClient();
    const deliveries = collect(queue.consume<number>({ queue: name, offset: 'first', prefetch: 2 }));
    await eventually(() => deliveries.values.length === 2);
    deliveries.values[0]?.requeue();
    await eventually(() => deliveries.values.length === 3);
    expect(deliveries.values[2]).toMatchObject({ body: 1, offset: 0, deliveryCount: 1 });
    deliveries.values[2]?.reject();
    deliveries.values[1]?.ack();
    await eventually(() => deliveries.values.length === 5);
    expect(deliveries.values.map(({ body }) => body)).toEqual([1, 2, 1, 3, 4]);
  });

  it('goes on behind what was settled after a loss', async () => {
    const name = await given.broker.declareQueue({ type: 'stream' });
    await fill(name, 1, 2, 3);
    const queue = given.broker.newClient();
    const deliveries = collect(queue.consume<number>({ queue: name, offset: 'first', prefetch: 2 }));
    await eventually(() => deliveries.values.length === 2);
    deliveries.values[0]?.ack();
    await eventually(() => deliveries.values.length === 3);
    await given.broker.disconnect();
    await until(queue.state$, ({ consumer }) => consumer.status === 'reconnecting');
    await given.broker.reconnect();
    await eventually(() => deliveries.values.length === 5);
    expect(deliveries.values.map(({ body }) => body)).toEqual([1, 2, 3, 2, 3]);
  });

  it('is read by `handle` like a queue: what fails is tried once more, then passed over', async () => {
    const name = await given.broker.declareQueue({ type: 'stream' });
    await fill(name, 1, 2);
    const work = ({ body }: Message<number>): number => {
      if (body === 1) throw new RangeError('one');
      return body;
    };
    const queue = given.broker.newClient();
    const handled = collect(queue.consume<number>({ queue: name, offset: 'first', prefetch: 1 }).pipe(handle(work)));
    await eventually(() => handled.values.length === 3);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['requeue', 'reject', 'ack']);
  });

  it('takes no arguments but its own', async () => {
    const name = given.broker.freeQueueName();
    const ask = (spec: Omit<QueueSpec, 'name'>): Promise<unknown> =>
      rejection(lastValueFrom(given.broker.newClient().consume({ queue: { ...spec, name } })));
    for (const [argument, spec] of [
      ['x-message-ttl', { messageTtl: 1000 }],
      ['x-max-length', { maxLength: 1000 }],
      ['x-dead-letter-exchange', { deadLetter: { exchange: 'amq.fanout' } }],
    ] as const) {
      expect(await ask({ ...spec, type: 'stream' })).toMatchObject({
        replyCode: 406,
        message: `Cannot declare queue \`${name}\`: 406 PRECONDITION_FAILED - invalid arg '${argument}' for queue '${name}' in vhost '/' of queue type rabbit_stream_queue`,
      });
    }
    const sized = { type: 'stream', arguments: { 'x-max-length-bytes': 1_000_000, 'x-max-age': '1h' } } as const;
    const there = await given.broker.declareQueue(sized);
    const refused = (spec: Omit<QueueSpec, 'name'>): Promise<unknown> =>
      rejection(lastValueFrom(given.broker.newClient().consume({ queue: { ...spec, name: there } })));
    expect(await refused({ type: 'stream', arguments: { 'x-max-age': '1h' } })).toMatchObject({
      message: `Cannot declare queue \`${there}\`: 406 PRECONDITION_FAILED - inequivalent arg 'x-max-length-bytes' for queue '${there}' in vhost '/': received none but current is the value '1000000' of type 'signedint'`,
    });
    expect(await refused({ type: 'quorum', arguments: sized.arguments })).toMatchObject({
      message: `Cannot declare queue \`${there}\`: 406 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '${there}' in vhost '/': received 'quorum' but current is 'stream'`,
    });
  });

  it('alone has offsets', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const error = await rejection(lastValueFrom(queue.consume({ queue: name, offset: 'first' })));
    expect(error).toMatchObject({
      replyCode: 406,
      message: expect.stringContaining(
        `406 PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '${name}' in vhost '/' of queue type rabbit_classic_queue`,
      ) as string,
    });
  });
}
