import { iterate, type Delivery, type NoAckConsumeOptions } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { Subject } from 'rxjs';
import { closeAll, closing } from '../../support/closing';
import { eventually } from '../../support/waiting';

describe('for await over a consumer', () => {
  afterEach(closeAll);

  it('what was lost while it waited is not handed out, and comes again', async () => {
    const queue = closing(new FakeInstanceQueue());
    for (let id = 0; id < 3; id++) queue.broker.put({ queue: 'numbers', body: id });
    const got: unknown[] = [];
    for await (const delivery of queue.consumer({ queue: 'numbers' })) {
      if (got.length === 0) {
        await eventually(() => queue.metrics.inFlight === 3);
        queue.broker.disconnect();
        queue.broker.reconnect();
        await eventually(() => delivery.settled === 'lost');
      }
      got.push([delivery.body, delivery.redelivered, delivery.ack()]);
      if (got.length === 4) break;
    }
    expect(got).toEqual([
      [0, false, false],
      [0, true, true],
      [1, true, true],
      [2, true, true],
    ]);
  });

  it('an error releases what waits, so that the end of the consumer waits for the loop alone', async () => {
    const queue = closing(new FakeInstanceQueue());
    const pause = new Subject<boolean>();
    const consumer = queue.consumer({ queue: 'orders', pause });
    for (let id = 0; id < 3; id++) await queue.send({ queue: 'orders', body: id });
    const failing = async (): Promise<void> => {
      for await (const delivery of consumer) {
        await eventually(() => queue.metrics.inFlight === 3);
        pause.error(new Error('no more'));
        expect(consumer.state).toEqual({ status: 'draining', unsettled: 1 });
        delivery.ack();
      }
    };
    await expect(failing()).rejects.toMatchObject({ option: 'pause' });
    await queue.rest();
    expect(consumer.state.status).toBe('stopped');
    expect(queue.broker.messages('orders').map(({ body }) => body)).toEqual([1, 2]);
  });

  it('what another subscriber has settled meanwhile is neither handed out nor released', async () => {
    const ignored: string[] = [];
    const queue = closing(
      new FakeInstanceQueue({ logger: ({ message }) => message.includes('ignored') && ignored.push(message) }),
    );
    for (let id = 0; id < 4; id++) queue.broker.put({ queue: 'orders', body: id });
    const consumer = queue.consumer<number>({ queue: 'orders' });
    consumer.deliveries$.subscribe((delivery) => delivery.body === 2 && delivery.ack());
    for await (const delivery of consumer) {
      await eventually(() => queue.metrics.inFlight === 3);
      delivery.ack();
      break;
    }
    await queue.rest();
    expect(queue.broker.messages('orders').map(({ body }) => body)).toEqual([1, 3]);
    expect(ignored).toEqual([]);
  });

  it('what is left before its end waits for that, if nothing that it has had is open', async () => {
    const queue = closing(new FakeInstanceQueue());
    for (const name of ['settled', 'open']) queue.broker.put({ queue: name, body: 1 });
    const leaving = async (name: string, leave: (delivery: Delivery<unknown>) => void): Promise<string> => {
      const consumer = queue.consumer({ queue: name });
      for await (const delivery of consumer) {
        leave(delivery);
        break;
      }
      return consumer.state.status;
    };
    expect(await leaving('settled', (delivery) => delivery.ack())).toBe('stopped');
    let open: Delivery<unknown> | undefined;
    expect(await leaving('open', (delivery) => void (open = delivery))).toBe('draining');
    expect(open?.ack()).toBe(true);
    await queue.rest();
  });

  it('what waits is released when the consumer pauses, and comes again behind that', async () => {
    const queue = closing(new FakeInstanceQueue());
    const pause = new Subject<boolean>();
    for (let id = 0; id < 3; id++) queue.broker.put({ queue: 'orders', body: id });
    const got: unknown[] = [];
    for await (const delivery of queue.consumer({ queue: 'orders', pause })) {
      if (got.length === 0) {
        await eventually(() => queue.metrics.inFlight === 3);
        pause.next(true);
        expect(queue.metrics).toMatchObject({ released: 2, inFlight: 1 });
        pause.next(false);
      }
      delivery.ack();
      got.push(delivery.body);
      if (got.length === 3) break;
    }
    expect(got).toEqual([0, 1, 2]);
  });

  it('messages without acks are all handed out, also when the consumer closes', async () => {
    const queue = closing(new FakeInstanceQueue());
    const options: NoAckConsumeOptions<number> = { queue: 'prices', noAck: true };
    const consumer = queue.consumer<number>(options);
    const bodies: number[] = [];
    const looping = async (): Promise<void> => {
      for await (const message of consumer) {
        bodies.push(message.body);
        if (bodies.length > 1) continue;
        await eventually(() => queue.metrics.delivered === 3);
        void consumer.close();
      }
    };
    const looped = looping();
    for (const body of [1, 2, 3]) await queue.send({ queue: 'prices', body });
    await looped;
    expect(bodies).toEqual([1, 2, 3]);
  });

  it('two loops over one consumer both end when one of them breaks, and nothing of the other hangs', async () => {
    const queue = closing(new FakeInstanceQueue());
    const consumer = queue.consumer({ queue: 'orders', prefetch: 3 });
    for (let id = 0; id < 5; id++) await queue.send({ queue: 'orders', body: id });
    const breaking = async (): Promise<void> => {
      for await (const { settled } of consumer) if (settled === undefined) break;
    };
    const staying = async (): Promise<unknown[]> => {
      const bodies: unknown[] = [];
      for await (const { body, ack } of bound(consumer)) {
        bodies.push(body);
        ack();
      }
      return bodies;
    };
    const [, bodies] = await Promise.all([breaking(), staying()]);
    await queue.rest();
    expect(consumer.state.status).toBe('stopped');
    const left = queue.broker.messages('orders').map(({ body }) => body);
    expect([...bodies, ...left]).toEqual([0, 1, 2, 3, 4]);
  });

  it('steps that are asked for at once get one delivery each, and end at once when left twice', async () => {
    const queue = closing(new FakeInstanceQueue());
    for (let id = 0; id < 2; id++) await queue.send({ queue: 'orders', body: id });
    const steps = queue.consumer({ queue: 'orders' })[Symbol.asyncIterator]();
    const asked = [steps.next(), steps.next(), steps.next()];
    const had = await Promise.all(asked.slice(0, 2));
    expect(had.map(({ value }) => value?.body)).toEqual([0, 1]);
    const left = [steps.return?.(), steps.return?.()];
    expect(await Promise.all([asked[2], ...left])).toEqual(Array(3).fill({ done: true, value: undefined }));
    expect(await steps.next()).toEqual({ done: true, value: undefined });
    for (const { value } of had) value?.ack();
    await queue.rest();
    expect(queue.broker.messages('orders')).toEqual([]);
  });

  it('iterate() gives states as they come, the latest to a slow loop, and ends with them', async () => {
    const queue = new FakeInstanceQueue();
    const seen: string[] = [];
    for await (const { consumer } of iterate(queue.state$)) {
      seen.push(consumer.status);
      if (seen.length === 1) {
        await queue.connect();
        void queue.close();
      }
    }
    expect(seen[0]).toBe('disconnected');
    expect(seen.at(-1)).toBe('closed');
    expect(seen).not.toContain('connecting');
  });
});

/** The deliveries with an `ack` that may be taken off them. */
async function* bound<T>(
  deliveries: AsyncIterable<Delivery<T>>,
): AsyncGenerator<{ readonly body: T; readonly ack: () => boolean }> {
  for await (const delivery of deliveries) yield { body: delivery.body, ack: () => delivery.ack() };
}
