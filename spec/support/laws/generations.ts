import { handle, type ConsumeOptions, type Delivery, type Message, type StreamFilter } from 'instance-queue';
import { NEVER, lastValueFrom } from 'rxjs';
import { isAtLeast } from '../brokers/version';
import { collect } from '../collect';
import { eventually, rejection, until } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** What only some generations of RabbitMQ have: each works where it is, and is refused with the version where it is not. */
export function generationLaws(given: { readonly broker: BrokerUnderTest }): void {
  const refusalOf = (options: ConsumeOptions): Promise<unknown> =>
    rejection(lastValueFrom(given.broker.newClient().consume(options)));
  const tooOld = (option: string, since: string): object => ({
    code: 'CHANNEL_CLOSED',
    retryable: false,
    message: expect.stringContaining(
      `\`${option}\` needs RabbitMQ ${since} or later, and this broker is RabbitMQ ${given.broker.version}`,
    ) as string,
  });

  describe('a stream filter (RabbitMQ 3.13)', () => {
    const there = (): boolean => isAtLeast(given.broker, '3.13');
    const VALUES = ['eu', 'us', undefined, 'asia', 'eu', undefined, 'us'];
    /** All at once, so that they share chunks: the broker filters whole ones. */
    const fill = async (): Promise<string> => {
      const name = await given.broker.declareQueue({ type: 'stream' });
      const queue = given.broker.newClient();
      const messages = VALUES.map((value, body) => ({ queue: name, body, ...(value && { streamFilter: value }) }));
      await Promise.all(messages.map((message) => queue.send(message)));
      return name;
    };
    /** Reads with a filter that lets 'eu' pass, until everything is settled; gives the numbers of the messages. */
    const read = async (filter: string | readonly string[] | StreamFilter): Promise<readonly unknown[]> => {
      const name = await fill();
      const queue = given.broker.newClient();
      if (!there()) {
        expect(await refusalOf({ queue: name, offset: 'first', filter })).toMatchObject(tooOld('filter', '3.13'));
        return [];
      }
      const bodies: unknown[] = [];
      const values: unknown[] = [];
      const offsets: number[] = [];
      const options = {
        queue: name,
        offset: 'first',
        filter,
        prefetch: 2,
        onOffset: (to: number) => offsets.push(to),
      } as const;
      queue.consume(options).subscribe((delivery) => {
        bodies.push(delivery.body);
        values.push(delivery.streamFilter);
        delivery.ack();
      });
      await queue.send({ queue: name, body: 'last', streamFilter: 'eu' });
      await eventually(() => offsets.at(-1) === VALUES.length);
      expect(queue.metrics.delivered).toBe(bodies.length);
      expect(values).toEqual(bodies.map((body) => (typeof body === 'number' ? VALUES[body] : 'eu')));
      return bodies.filter((body) => body !== 'last');
    };

    it.each<[string, string | readonly string[] | StreamFilter, readonly number[]]>([
      ['one value', 'eu', [0, 4]],
      ['several values', ['eu', 'asia'], [0, 3, 4]],
      ['a value, or none', { values: ['eu'], matchUnfiltered: true }, [0, 2, 4, 5]],
      [
        'what a function of its own decides',
        {
          values: ['eu', 'us'],
          matchUnfiltered: true,
          matches: ({ body, queue }) => queue !== '' && Number(body.toString()) > 3,
        },
        [4, 5, 6],
      ],
    ])('hands out the messages of %s, and counts the others as settled', async (_name, filter, bodies) => {
      expect(await read(filter)).toEqual(there() ? bodies : []);
    });

    it('keeps its place over a reconnect', async () => {
      if (!there()) return;
      const name = await fill();
      const queue = given.broker.newClient();
      const deliveries = collect(queue.consume({ queue: name, offset: 'first', filter: 'us' }));
      await eventually(() => deliveries.values.length === 2);
      for (const delivery of deliveries.values) delivery.ack();
      await given.broker.disconnect();
      await given.broker.reconnect();
      await until(queue.health$, ({ status }) => status === 'up');
      await queue.send({ queue: name, body: 'other', streamFilter: 'eu' });
      await queue.send({ queue: name, body: 'next', streamFilter: 'us' });
      await eventually(() => deliveries.values.length === 3);
      expect(deliveries.values.map(({ body }) => body)).toEqual([1, 6, 'next']);
    });
  });

  describe.each(['classic', 'quorum', 'stream'] as const)(
    'a %s queue that is deleted and declared again at once',
    (type) => {
      it.each(['declares it', 'knows its name alone'])(
        'has its consumer again, which RabbitMQ before 4.0 would forget: one that %s',
        async (how) => {
          const name = given.broker.freeQueueName();
          const spec = { name, type };
          const [queue, other] = [given.broker.newClient(), given.broker.newClient()];
          await other.admin.declare({ queues: [spec] });
          const offset = type === 'stream' ? ({ offset: 'first' } as const) : {};
          const deliveries = collect(queue.consume({ queue: how === 'declares it' ? spec : name, ...offset }));
          await other.send({ queue: name, body: 'old' });
          await eventually(() => deliveries.values.length === 1);
          // The place in a stream moves on.
          deliveries.values[0]?.ack();
          await other.admin.delete({ queue: name });
          // A consumer that knows the name alone may be first, and declares a classic queue.
          await other.admin.declare({ queues: [spec] }).catch((error: unknown) => {
            expect([how, error]).toEqual(['knows its name alone', expect.objectContaining({ replyCode: 406 })]);
          });
          await other.send({ queue: name, body: 'new' });
          await eventually(() => deliveries.values.length === 2);
          expect(deliveries.values.map(({ body }) => body)).toEqual(['old', 'new']);
        },
      );
    },
  );

  describe('a delayed retry of a quorum queue (RabbitMQ 4.3)', () => {
    const there = (): boolean => isAtLeast(given.broker, '4.3');
    const DELAY = 400;
    const spec = (more: object = {}) =>
      ({
        name: given.broker.freeQueueName(),
        type: 'quorum',
        delayedRetry: { min: DELAY, max: 2 * DELAY },
        ...more,
      }) as const;

    it('makes a requeued message wait longer each time, and a released one not at all', async () => {
      const queue = given.broker.newClient();
      const delayed = spec();
      if (!there()) {
        expect(await refusalOf({ queue: delayed })).toMatchObject(tooOld('delayedRetry', '4.3'));
        await expect(queue.admin.declare({ queues: [delayed] })).rejects.toMatchObject(tooOld('delayedRetry', '4.3'));
        const sending = given.broker.newClient({ topology: { queues: [delayed] } });
        await expect(sending.send({ queue: delayed.name, body: 1 })).rejects.toMatchObject({
          code: 'PUBLISH_REFUSED',
          cause: tooOld('delayedRetry', '4.3'),
        });
        return;
      }
      const verbs = ['requeue', 'release', 'requeue', 'requeue', 'ack'] as const;
      const times: number[] = [];
      queue.consume({ queue: delayed }).subscribe((delivery: Delivery<unknown>) => {
        delivery[verbs[times.push(performance.now()) - 1] ?? 'ack']();
      });
      await queue.send({ queue: delayed.name, body: 1 });
      await eventually(() => times.length === verbs.length);
      const waits = times.slice(1).map((time, i) => Math.round((time - (times[i] ?? 0)) / DELAY));
      expect(waits).toEqual([1, 0, 2, 2]);
    });

    it("is what `retry({ waitIn: 'queue' })` uses: no copy, no queue beside it, and dead-lettered in the end", async () => {
      if (!there()) return;
      const dead = await given.broker.declareQueue();
      const delayed = spec({ deadLetter: { queue: dead } });
      const queue = given.broker.newClient();
      const runs: { readonly count: number; readonly at: number; readonly tag: unknown }[] = [];
      const work = ({ deliveryCount: count, properties }: Message<unknown>): void => {
        runs.push({ count, at: performance.now(), tag: properties.messageId });
        throw new RangeError('no');
      };
      const onError = queue.retry({ attempts: 4, delay: [DELAY, 2 * DELAY], waitIn: 'queue' });
      queue.consume({ queue: delayed }).pipe(handle(work, { onError })).subscribe();
      await queue.send({ queue: delayed.name, body: 'bad', messageId: 'm1' });
      const [letter] = await given.broker.takeMessages(dead, 1);
      expect(letter).toMatchObject({ body: 'bad', messageId: 'm1' });
      expect(Object.keys(letter?.headers ?? {}).filter((name) => name.startsWith('x-instance-queue'))).toEqual([]);
      expect(runs.map(({ count, tag }) => [count, tag])).toEqual([0, 1, 2, 3].map((count) => [count, 'm1']));
      const waits = runs.slice(1).map(({ at }, i) => Math.round((at - (runs[i]?.at ?? 0)) / DELAY));
      expect(waits).toEqual([1, 2, 2]);
      // One send, and nothing else was published.
      expect(queue.metrics).toMatchObject({ sent: 1, retried: 0, requeued: 3, rejected: 1 });
      expect(await queue.admin.inspect(`${delayed.name}.retry.${String(DELAY)}.quorum`)).toBeUndefined();
    });
  });

  it("`retry({ waitIn: 'queue' })` copies where the queue does not do the same, and says so once", async () => {
    const name = given.broker.freeQueueName();
    const copies = [`${name}.retry.50.quorum`, `${name}.retry.70.quorum`];
    const warnings: object[] = [];
    const queue = given.broker.newClient({
      logger: ({ level, message, fields }) => {
        if (level === 'warn' && message.includes('waitIn')) warnings.push(fields);
      },
    });
    const counts: number[] = [];
    const work = ({ deliveryCount }: Message<unknown>): void => {
      counts.push(deliveryCount);
      throw new RangeError('no');
    };
    const onError = queue.retry({ attempts: 3, delay: [50, 70], waitIn: 'queue' });
    const delayedRetry = isAtLeast(given.broker, '4.3') ? { min: 50 } : undefined;
    const spec = { name, type: 'quorum', ...(delayedRetry && { delayedRetry }) } as const;
    const handled = collect(queue.consume({ queue: spec }).pipe(handle(work, { onError })));
    await queue.send({ queue: name, body: 'bad' });
    await eventually(() => handled.values.length === 3);
    expect(counts).toEqual([0, 1, 2]);
    expect(queue.metrics).toMatchObject({ retried: 2, requeued: 0, rejected: 1 });
    expect(warnings).toMatchObject([{ queue: name }]);
    for (const copy of copies) {
      expect(await queue.admin.inspect(copy)).toBeDefined();
      await queue.admin.delete({ queue: copy });
    }
  });

  describe('a timeout of one consumer (RabbitMQ 4.3)', () => {
    it('takes its delivery back and cancels it; it attaches again, and a late ack does nothing', async () => {
      const name = await given.broker.declareQueue({ type: 'quorum' });
      const options = { queue: name, consumerTimeout: 1000 };
      if (!isAtLeast(given.broker, '4.3')) {
        expect(await refusalOf(options)).toMatchObject(tooOld('consumerTimeout', '4.3'));
        return;
      }
      const queue = given.broker.newClient();
      const consumer = queue.consumer(options);
      const causes: unknown[] = [];
      consumer.state$.subscribe((state) => state.status === 'detached' && state.cause && causes.push(state.cause));
      const reasons: unknown[] = [];
      const shared = collect(consumer.deliveries$);
      consumer.deliveries$
        .pipe(
          handle(({ redelivered }, { signal }) => {
            if (redelivered) return 'done';
            signal.addEventListener('abort', () => reasons.push(signal.reason));
            return NEVER;
          }),
        )
        .subscribe();
      await queue.send({ queue: name, body: 'slow' });
      const again = await eventually(() => shared.values[1]);
      expect(again).toMatchObject({ body: 'slow', redelivered: true, deliveryCount: 1 });
      expect(shared.values[0]?.ack()).toBe(false);
      expect(reasons).toMatchObject([{ code: 'CONSUMER_CANCELLED', queue: name }]);
      expect(causes).toMatchObject([{ code: 'CONSUMER_CANCELLED' }]);
      await eventually(async () => (await given.broker.count(name)).ready === 0);
    });

    it('is refused on a queue of another type', async () => {
      const name = await given.broker.declareQueue({ type: 'classic' });
      const error = await refusalOf({ queue: name, consumerTimeout: 1000 });
      if (!isAtLeast(given.broker, '4.3')) expect(error).toMatchObject(tooOld('consumerTimeout', '4.3'));
      else {
        expect(error).toMatchObject({
          replyCode: 406,
          message: expect.stringContaining(
            `invalid arg 'x-consumer-timeout' for queue '${name}' in vhost '/' of queue type rabbit_classic_queue`,
          ) as string,
        });
      }
    });
  });
}
