import { handle, type Handled, type LogEntry, type Message, type QueueSpec, type RetryOptions } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { collect, type Collected } from '../../support/collect';
import { inVirtualTime } from '../../support/virtual-time';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Retrying {
  readonly queue: FakeInstanceQueue;
  /** When each run began: ms since the first. */
  readonly runs: readonly number[];
  readonly messages: readonly Message<unknown>[];
  readonly handled: Collected<Handled<unknown, unknown>>;
  readonly logged: readonly string[];
}

/** A consumer of `orders` whose handler throws at the first `failures` runs. */
async function retrying(
  options: RetryOptions,
  failures = Infinity,
  spec: QueueSpec | string = 'orders',
): Promise<Retrying> {
  const logged: string[] = [];
  const logger = ({ level, message }: LogEntry): void => {
    logged.push(`${level}: ${message}`);
  };
  const queue = closing(new FakeInstanceQueue({ logger }));
  const runs: number[] = [];
  const messages: Message<unknown>[] = [];
  let began: number | undefined;
  const work = (message: Message<unknown>): void => {
    messages.push(message);
    runs.push(Date.now() - (began ??= Date.now()));
    if (runs.length <= failures) throw new RangeError(`run ${String(runs.length)}`);
  };
  const handled = collect(queue.consume({ queue: spec }).pipe(handle(work, { onError: queue.retry(options) })));
  await jest.advanceTimersByTimeAsync(10);
  return { queue, runs, messages, handled, logged };
}

inVirtualTime(HOUR);

describe('a message that fails', () => {
  it('waits for the delays of the list, the last of them again and again', async () => {
    const { queue, runs, handled } = await retrying({ attempts: 5, delay: [MINUTE, 3 * MINUTE, HOUR] });
    await queue.send({ queue: 'orders', body: 1 });
    await jest.advanceTimersByTimeAsync(4 * HOUR);
    expect(runs).toEqual([0, MINUTE, 4 * MINUTE, 4 * MINUTE + HOUR, 4 * MINUTE + 2 * HOUR]);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack', 'ack', 'ack', 'reject']);
    expect(queue.metrics).toMatchObject({ retried: 4, acked: 4, rejected: 1 });
  });

  it('that another client copied from a stream, header and all, is put back once and then waits like any other', async () => {
    const { queue, runs, handled } = await retrying({ attempts: 3, delay: MINUTE });
    queue.broker.put({ queue: 'orders', body: 1, headers: { 'x-stream-offset': 7 } });
    await jest.advanceTimersByTimeAsync(HOUR);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['requeue', 'ack', 'ack', 'reject']);
    expect(runs.slice(2)).toEqual([MINUTE, 2 * MINUTE]);
  });

  it('does not wait again once a run succeeds', async () => {
    const { queue, runs, handled } = await retrying({ attempts: 5, delay: MINUTE }, 2);
    await queue.send({ queue: 'orders', body: 1 });
    await jest.advanceTimersByTimeAsync(HOUR);
    expect(runs).toEqual([0, MINUTE, 2 * MINUTE]);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack', 'ack']);
  });

  it('returns as it was, with an account of its failure', async () => {
    const { queue, messages } = await retrying({ attempts: 3, delay: MINUTE }, 2);
    const began = new Date();
    const properties = { messageId: 'm', correlationId: 'c', type: 't', headers: { mine: 1, CC: ['copies'] } };
    queue.broker.declare({ name: 'copies' });
    queue.broker.declare({
      queues: [{ name: 'orders' }],
      bindings: [{ exchange: 'amq.topic', queue: 'orders', routingKey: 'o.#' }],
    });
    queue.broker.put({
      exchange: 'amq.topic',
      routingKey: 'o.1',
      body: { id: 1 },
      expiration: HOUR,
      userId: 'ann',
      ...properties,
    });
    await jest.advanceTimersByTimeAsync(HOUR);
    const [first, second, third] = messages;
    for (const later of [second, third]) {
      expect(later).toMatchObject({ body: { id: 1 }, exchange: 'amq.topic', routingKey: 'o.1', queue: 'orders' });
      expect(later?.properties).toMatchObject({
        messageId: 'm',
        correlationId: 'c',
        type: 't',
        contentType: 'application/json',
      });
      expect(later?.properties.expiration).toBeUndefined();
      expect(later?.properties.headers).not.toHaveProperty('CC');
    }
    expect(messages.map(({ deliveryCount }) => deliveryCount)).toEqual([0, 1, 2]);
    expect(first?.properties.expiration).toBe(HOUR);
    const account = {
      mine: 1,
      'x-instance-queue-attempts': 1,
      'x-instance-queue-queue': 'orders',
      'x-instance-queue-exchange': 'amq.topic',
      'x-instance-queue-routing-key': 'o.1',
      'x-instance-queue-error-name': 'RangeError',
      'x-instance-queue-error-message': 'run 1',
      'x-instance-queue-spent': false,
      'x-instance-queue-user-id': 'ann',
    };
    expect(second?.properties.headers).toMatchObject(account);
    const since = second?.properties.headers?.['x-instance-queue-first-failed'];
    expect(Date.parse(String(since)) - began.getTime()).toBeLessThan(100);
    expect(third?.properties.headers).toMatchObject({
      ...account,
      'x-instance-queue-attempts': 2,
      'x-instance-queue-error-message': 'run 2',
      'x-instance-queue-first-failed': since,
    });
  });

  it('keeps the deaths that it had died before, of which a later copy tells as well', async () => {
    const { queue, messages } = await retrying({ attempts: 3, delay: MINUTE }, 2, {
      name: 'orders',
    });
    queue.broker.declare({ name: 'before', messageTtl: 1, deadLetter: { queue: 'orders' } });
    queue.broker.put({ queue: 'before', body: 1 });
    await jest.advanceTimersByTimeAsync(HOUR);
    for (const { properties } of messages.slice(1))
      expect(properties.headers?.['x-instance-queue-x-death']).toMatchObject([{ queue: 'before', reason: 'expired' }]);
    expect(messages).toHaveLength(3);
  });

  it('does not return before its delay has passed, however soon it would have expired in its queue', async () => {
    const { queue, runs } = await retrying({ attempts: 2, delay: HOUR });
    await queue.send({ queue: 'orders', body: 1, expiration: 1000 });
    await jest.advanceTimersByTimeAsync(2 * HOUR);
    expect(runs).toEqual([0, HOUR]);
  });

  it('waits in a quorum queue of its own if that is asked for', async () => {
    const { queue, runs, logged } = await retrying({ attempts: 2, delay: MINUTE, waitIn: 'quorum' });
    await queue.send({ queue: 'orders', body: 1 });
    await jest.advanceTimersByTimeAsync(MINUTE / 2);
    expect(logged.filter((line) => line.includes('not known to delay'))).toEqual([]);
    const waiting = queue.broker.queues.find(({ name }) => name === `orders.retry.${String(MINUTE)}.quorum`);
    expect(waiting?.messages).toHaveLength(1);
    expect(waiting?.arguments).toMatchObject({ 'x-queue-type': 'quorum', 'x-dead-letter-strategy': 'at-least-once' });
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(runs).toEqual([0, MINUTE]);
  });

  it('waits in a copy where its queue does not delay as asked, which is said once per queue', async () => {
    const { queue, runs, logged } = await retrying({ attempts: 3, delay: MINUTE, waitIn: 'queue' });
    for (const body of [1, 2]) await queue.send({ queue: 'orders', body });
    await jest.advanceTimersByTimeAsync(HOUR);
    expect(runs).toEqual([0, 0, MINUTE, MINUTE, 2 * MINUTE, 2 * MINUTE].map((at) => expect.closeTo(at, -1) as number));
    expect(queue.broker.queues.map(({ name }) => name)).toContain(`orders.retry.${String(MINUTE)}.quorum`);
    expect(logged.filter((line) => line.includes('not known to delay retries as asked'))).toHaveLength(1);
  });

  it.each([undefined, { queue: 'failed' }])(
    'waits in its own queue where that delays as asked, without a copy, and then goes where it should: %j',
    async (then) => {
      const spec: QueueSpec = { name: 'orders', type: 'quorum', delayedRetry: { min: MINUTE } };
      const options: RetryOptions = { attempts: 3, delay: MINUTE, waitIn: 'queue', ...(then && { then }) };
      const { queue, runs, handled, logged } = await retrying(options, Infinity, spec);
      await queue.send({ queue: 'orders', body: 1 });
      await jest.advanceTimersByTimeAsync(HOUR);
      expect(runs).toHaveLength(3);
      expect(handled.values.map(({ settlement }) => settlement)).toEqual([
        'requeue',
        'requeue',
        then ? 'ack' : 'reject',
      ]);
      expect(queue.broker.messages('failed')).toHaveLength(then ? 1 : 0);
      if (then) {
        const { headers } = queue.broker.messages('failed')[0]!.properties;
        expect(headers).toMatchObject({ 'x-instance-queue-attempts': 3, 'x-instance-queue-spent': true });
      }
      expect(queue.broker.queues.filter(({ name }) => name.includes('.retry.'))).toEqual([]);
      expect(logged.filter((line) => line.includes('not known to delay'))).toEqual([]);
    },
  );

  it('is moved after its last run, if `then` is a route', async () => {
    const { queue, handled } = await retrying({ attempts: 2, delay: MINUTE, then: { queue: 'failed' } });
    await queue.send({ queue: 'orders', body: 1, messageId: 'm' });
    await jest.advanceTimersByTimeAsync(HOUR);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack']);
    expect(queue.metrics.retried).toBe(1);
    const [moved] = queue.broker.messages('failed');
    expect(moved).toMatchObject({ body: 1, properties: { messageId: 'm' } });
    expect(moved?.properties.headers).toMatchObject({
      'x-instance-queue-attempts': 2,
      'x-instance-queue-spent': true,
      'x-instance-queue-error-message': 'run 2',
    });
  });
});

describe('the queue in which messages wait', () => {
  it.each([4.9, 14])('is there for as long as messages fail, also for days, every %p minutes', async (minutes) => {
    const { queue, runs, logged } = await retrying({ attempts: 1000, delay: minutes * MINUTE });
    await queue.send({ queue: 'orders', body: 1 });
    await jest.advanceTimersByTimeAsync(48 * HOUR);
    expect(runs).toHaveLength(1 + Math.floor((48 * 60) / minutes));
    expect(logged.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('is deleted when no message has waited for ten minutes', async () => {
    const { queue } = await retrying({ attempts: 2, delay: MINUTE });
    const waits = `orders.retry.${String(MINUTE)}`;
    await queue.send({ queue: 'orders', body: 1 });
    await jest.advanceTimersByTimeAsync(9 * MINUTE);
    expect(queue.broker.queues.map(({ name }) => name)).toContain(waits);
    await jest.advanceTimersByTimeAsync(3 * MINUTE);
    expect(queue.broker.queues.map(({ name }) => name)).not.toContain(waits);
    // And declared again for the next.
    await queue.send({ queue: 'orders', body: 2 });
    await jest.advanceTimersByTimeAsync(MINUTE / 2);
    expect(queue.broker.messages(waits)).toHaveLength(1);
  });

  it('is declared again when it was deleted meanwhile; the original stays unacked until then', async () => {
    const { queue, runs, logged } = await retrying({ attempts: 3, delay: MINUTE });
    await queue.send({ queue: 'orders', body: 1 });
    await jest.advanceTimersByTimeAsync(2 * MINUTE - 1);
    expect(runs).toHaveLength(2);
    queue.broker.deleteQueue(`orders.retry.${String(MINUTE)}`);
    await queue.send({ queue: 'orders', body: 2 });
    await jest.advanceTimersByTimeAsync(50);
    expect(queue.broker.queues.find(({ name }) => name === 'orders')?.unsettled).toBe(1);
    expect(logged).toContain('error: cannot forward a message: its original stays unacked');
    // Seconds later, and then after its delay.
    await jest.advanceTimersByTimeAsync(MINUTE + 5000);
    expect(runs).toHaveLength(4);
    await jest.advanceTimersByTimeAsync(2 * MINUTE);
    // Two runs of the message that was deleted with the queue, and three of the other one.
    expect(runs).toHaveLength(5);
    expect(queue.broker.queues.find(({ name }) => name === 'orders')?.unsettled).toBe(0);
  });
});
