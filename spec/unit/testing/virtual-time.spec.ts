import { handle, type Message } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { type Observable, timer } from 'rxjs';
import { collect } from '../../support/collect';

const HOUR = 3_600_000;

describe('a FakeInstanceQueue while the clock stands still', () => {
  let queue: FakeInstanceQueue;
  beforeEach(() => {
    jest.useFakeTimers();
    queue = new FakeInstanceQueue();
  });
  afterEach(async () => {
    const closed = queue.close();
    await jest.advanceTimersByTimeAsync(HOUR);
    await closed;
    jest.useRealTimers();
  });

  it('sends and is confirmed without a tick of it', async () => {
    const before = Date.now();
    for (const body of [1, 2, 3]) await queue.send({ queue: 'orders', body });
    expect(queue.broker.messages('orders')).toHaveLength(3);
    expect(Date.now()).toBe(before);
  });

  it('rests without a tick of it, and says so if what is under way needs one', async () => {
    const before = Date.now();
    const messages = collect(queue.consume({ queue: 'orders', noAck: true }));
    void queue.send({ queue: 'orders', body: 1 });
    await queue.rest();
    expect(messages.values).toHaveLength(1);
    const begun = new Promise<void>((begin) => {
      const work = (): Observable<unknown> => {
        begin();
        return timer(HOUR);
      };
      queue.consume({ queue: 'slow' }).pipe(handle(work)).subscribe();
    });
    void queue.send({ queue: 'slow', body: 1 });
    await begun;
    await expect(queue.rest(50)).rejects.toThrow(
      'Not at rest within 50 ms: work on 1 message under way. The clock is held: move it, for what waits for a timer.',
    );
    expect(Date.now()).toBe(before);
    await jest.advanceTimersByTimeAsync(HOUR + 10);
    await queue.rest();
    expect(queue.metrics.acked).toBe(1);
  });

  it.each(['quorum', 'classic'] as const)(
    'lets delays pass in no time, each at its time, in %s queues',
    async (delayIn) => {
      const delays = [100, 1000, 60_000, HOUR, 8 * 365 * 24 * HOUR];
      const patient = new FakeInstanceQueue({ producer: { delayIn } });
      const began = performance.now();
      const late = new Map<number, number>();
      patient.consume<number>({ queue: 'later', noAck: true }).subscribe(({ body }) => {
        late.set(body, performance.now() - began - body);
      });
      for (const delay of delays) await patient.send({ queue: 'later', body: delay, delay });
      for (const delay of delays) {
        const left = began + delay - performance.now();

        await jest.advanceTimersByTimeAsync(Math.max(0, Math.min(left, HOUR)) + 1100);
      }
      expect([...late.keys()]).toEqual(delays.filter((delay) => delay <= HOUR));
      for (const [delay, by] of late) {
        expect(by).toBeGreaterThanOrEqual(0);
        expect(by).toBeLessThanOrEqual(16 + Math.min(delay / 64, 1024) + 40);
      }
      const closed = patient.close();
      await jest.advanceTimersByTimeAsync(HOUR);
      await closed;
    },
  );

  it('a delayed message whose queue is gone comes when the queue is back', async () => {
    await queue.send({ queue: 'later', body: 1, delay: 1000 });
    queue.broker.deleteQueue('later');
    await jest.advanceTimersByTimeAsync(10_000);
    queue.broker.declare({ queues: [{ name: 'later' }] });
    await jest.advanceTimersByTimeAsync(180_000);
    expect(queue.broker.messages('later')).toMatchObject([{ body: 1 }]);
  });

  it('lets hours of retries pass in no time, each at its hour', async () => {
    const runs: number[] = [];
    const began = Date.now();
    const work = ({ body }: Message<string>): void => {
      runs.push(Date.now() - began);
      if (body === 'bad') throw new RangeError('no');
    };
    const onError = queue.retry<string>({ attempts: 3, delay: [HOUR, 2 * HOUR] });
    const handled = collect(queue.consume<string>({ queue: 'orders' }).pipe(handle(work, { onError })));
    await queue.send({ queue: 'orders', body: 'bad' });
    await jest.advanceTimersByTimeAsync(HOUR - 1);
    expect(runs).toHaveLength(1);
    expect(queue.broker.messages(`orders.retry.${String(HOUR)}`)).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(2 * HOUR + 2);
    expect(runs).toEqual([0, HOUR, 3 * HOUR]);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack', 'reject']);
  });

  it('expires messages when their time has come', async () => {
    await queue.send({ queue: 'orders', body: 1, expiration: 1000 });
    await jest.advanceTimersByTimeAsync(999);
    expect(queue.broker.messages('orders')).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(queue.broker.messages('orders')).toHaveLength(0);
  });

  it('deletes queues that nobody used for as long as they say', async () => {
    queue.consume({ queue: { name: 'used', expires: HOUR } }).subscribe();
    queue.broker.declare({ name: 'unused', expires: HOUR });
    await queue.connect();
    await jest.advanceTimersByTimeAsync(HOUR);
    expect(queue.broker.queues.map(({ name }) => name)).toEqual(['used']);
  });

  it('deletes them also while nobody is connected: whoever comes then finds none', async () => {
    queue.broker.declare({ name: 'unused', expires: HOUR });
    await jest.advanceTimersByTimeAsync(HOUR - 1);
    const other = new FakeInstanceQueue({ broker: queue.broker });
    await jest.advanceTimersByTimeAsync(1);
    expect(await other.admin.inspect('unused')).toBeUndefined();
    await other.close();
  });

  it('waits for nothing on behalf of a broker that nobody is connected to, and for all as soon as somebody is', async () => {
    queue.broker.declare({ name: 'dead' });
    queue.broker.declare({ name: 'mayflies', deadLetter: { queue: 'dead' } });
    const before = jest.getTimerCount();
    queue.broker.put({ queue: 'mayflies', body: 1, expiration: 1000 });
    expect(jest.getTimerCount()).toBe(before);
    await queue.connect();
    const deliveries = collect(queue.consume({ queue: 'dead', noAck: true }));
    await jest.advanceTimersByTimeAsync(1000);
    expect(deliveries.values).toHaveLength(1);
  });

  it('gives a send up at its deadline', async () => {
    queue.broker.disconnect();
    const sending = expect(queue.send({ queue: 'orders', body: 1 })).rejects.toMatchObject({
      code: 'PUBLISH_TIMEOUT',
      maybeDelivered: false,
    });
    await jest.advanceTimersByTimeAsync(30_000);
    await sending;
  });

  it('is down when it has not recovered for long enough', async () => {
    await queue.connect();
    expect(queue.health.status).toBe('up');
    queue.broker.disconnect();
    await jest.advanceTimersByTimeAsync(29_999);
    expect(queue.health.status).toBe('degraded');
    await jest.advanceTimersByTimeAsync(1);
    expect(queue.health.status).toBe('down');
    queue.broker.reconnect();
    await jest.advanceTimersByTimeAsync(0);
    expect(queue.health.status).toBe('up');
  });

  it('leaves no timer when it is closed, whatever waits at its broker', async () => {
    const onError = queue.retry({ attempts: 2, delay: HOUR });
    const work = (): never => {
      throw new Error('no');
    };
    queue.consume({ queue: 'orders' }).pipe(handle(work, { onError })).subscribe();
    await queue.send({ queue: 'orders', body: 1 });
    await queue.send({ queue: 'mayflies', body: 1, expiration: 1000 });
    await jest.advanceTimersByTimeAsync(10);
    await queue.close();
    expect(jest.getTimerCount()).toBe(0);
    await jest.advanceTimersByTimeAsync(HOUR);
    // Nobody was there to wait for it, and yet its time has come.
    expect(queue.broker.messages('mayflies')).toEqual([]);
    expect(queue.broker.messages('orders').map(({ body }) => body)).toEqual([1]);
  });
});
