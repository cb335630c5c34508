import {
  defineExchange,
  defineQueue,
  handle,
  type InstanceQueue,
  json,
  type Message,
  OptionsError,
  type OutboundMessage,
} from 'instance-queue';
import { type DeadLetterReport, deadLetters } from '../../../lib/tools';
import { firstValueFrom, lastValueFrom, take, tap, toArray } from 'rxjs';
import { eventually, rejection, until } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** What `admin.browse` and `deadLetters` do, on any broker. */
export function deadLetterQueueLaws(given: { readonly broker: BrokerUnderTest }): void {
  /** A queue whose rejected messages go to another one. */
  const opened = async () => {
    const { broker } = given;
    const queue = broker.newClient();
    const dead = await broker.declareQueue();
    const name = await broker.declareQueue({ deadLetter: { queue: dead } });
    return { queue, dead, name, letters: deadLetters(queue, dead) };
  };

  /** Lets a consumer reject messages, and waits for them in the dead-letter queue. */
  const fail = async (
    { queue, name, dead }: { queue: InstanceQueue; name: string; dead: string },
    ...messages: readonly Partial<OutboundMessage>[]
  ) => {
    const before = (await given.broker.count(dead)).ready;
    for (const message of messages) {
      await queue.send({
        body: 0,
        ...message,
        queue: name,
        exchange: undefined,
        routingKey: undefined,
      } as OutboundMessage);
    }
    await lastValueFrom(
      queue.consume({ queue: name }).pipe(
        handle(
          () => {
            throw new TypeError('no price');
          },
          { onError: 'reject' },
        ),
        take(messages.length),
      ),
    );
    await eventually(async () => (await given.broker.count(dead)).ready === before + messages.length);
  };
  const numbered = (count: number) => Array.from({ length: count }, (_, i) => ({ body: i, messageId: `m${i}` }));
  const idsIn = async (queue: string, count: number) =>
    (await given.broker.takeMessages(queue, count)).map(({ messageId }) => messageId);

  it('a look takes nothing away: all is back in its place, for others to have', async () => {
    const { queue, name } = await opened();
    for (const message of numbered(20)) await queue.send({ ...message, queue: name });
    const looked = await lastValueFrom(queue.admin.browse(name, { limit: 7 }).pipe(toArray()));
    expect(looked.map(({ properties }) => properties.messageId)).toEqual(numbered(7).map(({ messageId }) => messageId));
    expect(looked[0]!.body).toEqual(Buffer.from('0'));
    expect((await given.broker.count(name)).ready).toBe(20);
    expect(await idsIn(name, 20)).toEqual(numbered(20).map(({ messageId }) => messageId));
  });

  it('a look that is left early gives back what it has', async () => {
    const { queue, name } = await opened();
    for (const message of numbered(5)) await queue.send({ ...message, queue: name });
    await firstValueFrom(queue.admin.browse(name));
    await eventually(async () => (await given.broker.count(name)).ready === 5);
    expect(await idsIn(name, 5)).toEqual(numbered(5).map(({ messageId }) => messageId));
  });

  it('a look that was left does not hold up a close, though what it gave back is gone already', async () => {
    const { queue, name } = await opened();
    for (const message of numbered(5)) await queue.send({ ...message, queue: name });
    await firstValueFrom(queue.admin.browse(name));
    await idsIn(name, 5);
    const began = performance.now();
    await queue.close();
    expect(performance.now() - began).toBeLessThan(5000);
  });

  it('a look at an empty queue ends; one at no queue is refused', async () => {
    const { queue, name } = await opened();
    expect(await lastValueFrom(queue.admin.browse(name).pipe(toArray()))).toEqual([]);
    expect(await rejection(lastValueFrom(queue.admin.browse('no-such-queue')))).toMatchObject({ replyCode: 404 });
  });

  it('closing in the middle of a look gives everything back', async () => {
    const { queue, name } = await opened();
    for (const message of numbered(3)) await queue.send({ ...message, queue: name });
    const looking = rejection(lastValueFrom(queue.admin.browse(name, { limit: Infinity })));
    queue.admin.browse(name).subscribe({ error: () => undefined });
    await queue.close();
    await looking;
    await eventually(async () => (await given.broker.count(name)).ready === 3);
  });

  it('letters are grouped by what they died of', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(3), { body: 'x', type: 'refund' });
    const { groups, found, read, matched, others } = await lastValueFrom(desk.letters.groups());
    expect({ found, read, matched, others }).toEqual({ found: 4, read: 4, matched: 4, others: 0 });
    expect(groups).toMatchObject([
      { count: 3, reason: 'rejected', queue: desk.name, type: undefined, example: 'm0', bytes: 3 },
      { count: 1, reason: 'rejected', queue: desk.name, type: 'refund' },
    ]);
    expect(groups[0]!.oldest).toBeInstanceOf(Date);
  });

  it('errors that `retry` wrote down make groups, whatever numbers are in them', async () => {
    const { queue, dead, name, letters } = await opened();
    for (const id of [1, 2, 3]) await queue.send({ queue: name, body: { id } });
    const onError = queue.retry({ attempts: 1, delay: 0, then: { queue: dead } });
    const work = ({ body }: { body: unknown }): never => {
      throw new RangeError(`order ${(body as { id: number }).id} has no price`);
    };
    await lastValueFrom(queue.consume({ queue: name }).pipe(handle(work, { onError }), take(3)));
    const { groups } = await lastValueFrom(letters.groups());
    expect(groups).toMatchObject([
      { count: 3, reason: 'failed', queue: name, error: { name: 'RangeError', message: 'order 1 has no price' } },
    ]);
    const [letter] = await lastValueFrom(letters.look({ where: { error: 'order 2' } }).pipe(toArray()));
    expect(letter).toMatchObject({ attempts: 1, published: { exchange: '', routingKey: name } });
  });

  it('replayed letters are back where they failed, with their ids and bodies, and their attempts begin anew', async () => {
    const desk = await opened();
    await fail(desk, { body: { a: 1 }, messageId: 'm', headers: { tenant: 'x', CC: ['elsewhere'] } });
    const report = await lastValueFrom(desk.letters.replay());
    expect(report).toMatchObject({ found: 1, read: 1, matched: 1, done: 1, targets: { [desk.name]: 1 } });
    expect(await given.broker.count(desk.dead)).toMatchObject({ ready: 0 });
    const [back] = await given.broker.takeMessages(desk.name, 1);
    expect(back).toMatchObject({ body: { a: 1 }, messageId: 'm' });
    expect(back!.headers).toEqual({ tenant: 'x', 'x-instance-queue-replays': 1 });
  });

  it('replayed letters keep the exchange and the routing key with which they were first published', async () => {
    const { queue, dead, name, letters } = await opened();
    const exchange = `${name}.events`;
    const events = defineExchange({ name: exchange, type: 'topic', messages: { 'order.*': json<number>() } });
    const orders = defineQueue({ name, deadLetter: { queue: dead }, bind: [events.on('order.*')] });
    const seen: unknown[] = [];
    const failing = ({ exchange, routingKey, body }: Message<number>): never => {
      seen.push([exchange, routingKey, body]);
      throw new Error('not yet');
    };
    const work$ = queue.consume({ queue: orders }).pipe(handle(failing, { onError: 'reject' }));
    const running = work$.subscribe();
    await until(queue.health$, ({ status }) => status === 'up');
    await queue.send({ exchange: events, routingKey: 'order.paid', body: 7 });
    // The second replay is of a letter that failed after the first.
    for (const times of [1, 2]) {
      await eventually(async () => (await given.broker.count(dead)).ready === 1);
      const [letter] = await lastValueFrom(letters.look().pipe(toArray()));
      expect(letter).toMatchObject({ queue: name, published: { exchange, routingKey: 'order.paid' } });
      expect(await lastValueFrom(letters.replay())).toMatchObject({ done: 1 });
      await eventually(() => seen.length === times + 1);
    }
    expect(seen).toEqual(Array(3).fill([exchange, 'order.paid', 7]));
    expect(queue.metrics.undecodable).toBe(0);
    running.unsubscribe();
    await given.broker.deleteExchange(exchange);
  });

  it('only the letters that are meant are replayed; the others stay in their places', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(20));
    const odd = ({ messageId = '' }: { messageId: string | undefined }): boolean =>
      Number(messageId.slice(1)) % 2 === 1;
    expect(await lastValueFrom(desk.letters.replay({ where: odd }))).toMatchObject({ read: 20, matched: 10, done: 10 });
    const ids = numbered(20).map(({ messageId }) => messageId);
    expect(await idsIn(desk.name, 10)).toEqual(ids.filter((messageId) => odd({ messageId })));
    expect(await idsIn(desk.dead, 10)).toEqual(ids.filter((messageId) => !odd({ messageId })));
  });

  it('a dry run says what would be done, and does nothing', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(4));
    const report = await lastValueFrom(desk.letters.replay({ dryRun: true }));
    expect(report).toMatchObject({ matched: 4, done: 4, targets: { [desk.name]: 4 } });
    expect(await lastValueFrom(desk.letters.drop({ dryRun: true }))).toMatchObject({ matched: 4, done: 4 });
    expect(await idsIn(desk.dead, 4)).toEqual(numbered(4).map(({ messageId }) => messageId));
  });

  it('a dry run finds what would stay, because its queue is missing, and fails where its exchange is', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(2));
    await given.broker.deleteQueue(desk.name);
    const missing = `${desk.name}.missing`;
    for (const reports$ of [
      desk.letters.replay({ dryRun: true }),
      desk.letters.move({ queue: missing }, { dryRun: true }),
    ]) {
      const report = await lastValueFrom(reports$);
      expect(report).toMatchObject({
        matched: 2,
        done: 0,
        kept: { noOrigin: 0, unroutable: 2, refused: 0 },
        targets: {},
      });
      expect(report.problem).toMatch(/There is no queue/);
    }
    const moved$ = desk.letters.move({ exchange: missing, routingKey: 'k' }, { dryRun: true });
    expect(await rejection(lastValueFrom(moved$))).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
    expect(await idsIn(desk.dead, 2)).toEqual(['m0', 'm1']);
  });

  it('letters that fail again at once are not replayed for ever', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(10));
    const failing = desk.queue
      .consume({ queue: desk.name })
      .pipe(
        handle(
          () => {
            throw new Error('still broken');
          },
          { onError: 'reject' },
        ),
      )
      .subscribe();
    expect(await lastValueFrom(desk.letters.replay())).toMatchObject({ found: 10, read: 10, done: 10 });
    await eventually(async () => (await given.broker.count(desk.dead)).ready === 10);
    failing.unsubscribe();
    const again = await lastValueFrom(desk.letters.look().pipe(toArray()));
    expect(again.map(({ replays }) => replays)).toEqual(Array.from({ length: 10 }, () => 1));
  });

  it('a letter that comes when there was none is not replayed for ever either', async () => {
    const desk = await opened();
    let runs = 0;
    const failing = (): never => {
      runs++;
      throw new Error('still broken');
    };
    desk.queue
      .consume({ queue: desk.name })
      .pipe(handle(failing, { onError: 'reject' }))
      .subscribe();
    await until(desk.queue.health$, ({ status }) => status === 'up');
    const reports: DeadLetterReport[] = [];
    const replayed = lastValueFrom(desk.letters.replay().pipe(tap((report) => reports.push(report))));
    // Its first report comes when it is open.
    await eventually(() => reports.length > 0);
    await desk.queue.send({ queue: desk.name, body: 1 });
    expect((await replayed).done).toBeLessThanOrEqual(1);
    await eventually(async () => (await given.broker.count(desk.dead)).ready === 1);
    expect(runs).toBeLessThanOrEqual(2);
  });

  it('a letter that no queue takes stays', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(2));
    await given.broker.deleteQueue(desk.name);
    const report = await lastValueFrom(desk.letters.replay());
    expect(report).toMatchObject({ matched: 2, done: 0, kept: { noOrigin: 0, unroutable: 2, refused: 0 } });
    expect(report.problem).toMatch(/queue/);
    expect((await given.broker.count(desk.dead)).ready).toBe(2);
  });

  it('a letter that came from nowhere stays, unless a route is given', async () => {
    const { queue, dead, name, letters } = await opened();
    await queue.send({ queue: dead, body: 1, messageId: 'm' });
    expect(await lastValueFrom(letters.replay())).toMatchObject({ done: 0, kept: { noOrigin: 1 } });
    expect(await lastValueFrom(letters.replay({ to: { queue: name } }))).toMatchObject({ done: 1 });
    expect(await idsIn(name, 1)).toEqual(['m']);
  });

  it('letters are moved as they are, and dropped for good', async () => {
    const desk = await opened();
    const aside = await given.broker.declareQueue();
    await fail(
      desk,
      { body: 1, headers: { 'x-instance-queue-attempts': 3, tenant: 'x' } },
      { body: 2, type: 'refund' },
    );
    expect(
      await lastValueFrom(desk.letters.move({ queue: aside }, { where: { headers: { tenant: 'x' } } })),
    ).toMatchObject({
      done: 1,
      targets: { [aside]: 1 },
    });
    const [moved] = await given.broker.takeMessages(aside, 1);
    expect(moved).toMatchObject({ body: 1 });
    expect(await lastValueFrom(desk.letters.drop({ where: { type: 'refund' } }))).toMatchObject({ done: 1 });
    expect((await given.broker.count(desk.dead)).ready).toBe(0);
  });

  it('a letter that is moved still says where and of what it died, however often, and can be replayed from there', async () => {
    const desk = await opened();
    const aside = await given.broker.declareQueue();
    await fail(desk, { body: 1, messageId: 'm' });
    for (const to of [desk.dead, aside]) {
      expect(await lastValueFrom(desk.letters.move({ queue: to }))).toMatchObject({ done: 1 });
      await eventually(async () => (await given.broker.count(to)).ready === 1);
    }
    const letters = deadLetters(desk.queue, aside);
    const [letter] = await lastValueFrom(letters.look().pipe(toArray()));
    expect(letter).toMatchObject({
      reason: 'rejected',
      queue: desk.name,
      published: { exchange: '', routingKey: desk.name },
    });
    expect(letter!.diedAt).toBeInstanceOf(Date);
    expect(await lastValueFrom(letters.replay())).toMatchObject({ done: 1, targets: { [desk.name]: 1 } });
    const [back] = await given.broker.takeMessages(desk.name, 1);
    expect(back!.headers).toEqual({ 'x-instance-queue-replays': 1 });
  });

  it.each(['classic', 'quorum'] as const)(
    'a letter that had waited in %s queues for its delay says where it was published to',
    async (delayIn) => {
      const { name, dead, letters } = await opened();
      const queue = given.broker.newClient({ producer: { delayIn } });
      const exchange = `${name}.events`;
      const topology = {
        exchanges: [{ name: exchange, type: 'topic' as const }],
        bindings: [{ exchange, queue: name, routingKey: '#' }],
      };
      await queue.admin.declare(topology);
      await queue.send({ exchange, routingKey: 'order.paid', body: 1, delay: 100 });
      await queue.send({ queue: name, body: 1, delay: 100 });
      const reject = handle(() => Promise.reject(new Error('no')), { onError: 'reject' });
      await lastValueFrom(queue.consume({ queue: name }).pipe(reject, take(2)));
      await eventually(async () => (await given.broker.count(dead)).ready === 2);
      const seen = await lastValueFrom(letters.look().pipe(toArray()));
      expect(seen.map(({ published }) => published)).toEqual(
        expect.arrayContaining([
          { exchange, routingKey: 'order.paid' },
          { exchange: '', routingKey: name },
        ]),
      );
      await given.broker.deleteExchange(exchange);
    },
  );

  it('an abort ends it with what is under way, and the rest stays', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(30));
    const abort = new AbortController();
    const reports$ = desk.letters.replay({ rate: 100, signal: abort.signal });
    const last = lastValueFrom(reports$);
    await eventually(async () => (await given.broker.count(desk.name)).ready >= 2);
    abort.abort();
    const report = await last;
    expect(report).toMatchObject({ stopped: 'aborted' });
    expect(report.done).toBeLessThan(30);
    expect((await given.broker.count(desk.name)).ready).toBe(report.done);
    await eventually(async () => (await given.broker.count(desk.dead)).ready === 30 - report.done);
  });

  it('closing in the middle of a replay finishes what is under way, and the rest stays', async () => {
    const desk = await opened();
    const client = given.broker.newClient();
    await fail(desk, ...numbered(30));
    const replaying = rejection(lastValueFrom(deadLetters(client, desk.dead).replay({ rate: 100 })));
    await eventually(async () => (await given.broker.count(desk.name)).ready >= 2);
    expect(await client.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(await replaying).toMatchObject({ code: 'CHANNEL_CLOSED' });
    const done = (await given.broker.count(desk.name)).ready;
    expect(done).toBeLessThan(30);
    await eventually(async () => (await given.broker.count(desk.dead)).ready === 30 - done);
  });

  it('a letter that no queue takes stays, whatever the producers of its InstanceQueue do by default', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(2));
    await given.broker.deleteQueue(desk.name);
    const careless = given.broker.newClient({ producer: { mandatory: false, persistent: false, onUnknown: 'reject' } });
    const report = await lastValueFrom(deadLetters(careless, desk.dead).replay());
    expect(report).toMatchObject({ matched: 2, done: 0, kept: { unroutable: 2 } });
    expect((await given.broker.count(desk.dead)).ready).toBe(2);
  });

  it('an abort does not wait for the turn of a letter, however low the rate', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(3));
    const abort = new AbortController();
    const last = lastValueFrom(desk.letters.replay({ rate: 0.01, signal: abort.signal }));
    await eventually(async () => (await given.broker.count(desk.name)).ready === 1);
    await eventually(async () => (await given.broker.count(desk.dead)).ready < 2);
    abort.abort();
    expect(await last).toMatchObject({ stopped: 'aborted', done: 1 });
    await eventually(async () => (await given.broker.count(desk.dead)).ready === 2);
  });

  it('nor does it wait for a queue that takes nothing: its letters stay', async () => {
    const desk = await opened();
    const client = given.broker.newClient();
    const full = given.broker.freeQueueName();
    await client.admin.declare({ queues: [{ name: full, maxLength: 1, overflow: 'reject-publish' }] });
    await client.send({ queue: full, body: 'there' });
    await fail(desk, ...numbered(3));
    const abort = new AbortController();
    const reports$ = deadLetters(client, desk.dead).replay({ to: { queue: full }, signal: abort.signal });
    const last = lastValueFrom(reports$);
    await eventually(() => client.metrics.nacked > 0);
    abort.abort();
    expect(await last).toMatchObject({
      stopped: 'aborted',
      done: 0,
      problem: expect.stringContaining('full') as string,
    });
    await eventually(async () => (await given.broker.count(desk.dead)).ready === 3);
    expect((await given.broker.count(full)).ready).toBe(1);
  });

  it.each([1, 5])(
    'a full target that dead-letters what it refuses ends a replay of %d, and no letter is lost',
    async (count) => {
      const desk = await opened();
      const client = given.broker.newClient();
      const name = given.broker.freeQueueName();
      const deadLetter = { queue: desk.dead };
      const full = { name, maxLength: 1, overflow: 'reject-publish-dlx', deadLetter } as const;
      await client.admin.declare({ queues: [full] });
      await client.send({ queue: name, body: 'there' });
      await fail(desk, ...numbered(count));
      const error = await rejection(lastValueFrom(deadLetters(client, desk.dead).replay({ to: { queue: name } })));
      expect(error).toMatchObject({ code: 'PUBLISH_NACKED', message: expect.stringContaining(desk.dead) as string });
      // Each attempt left a copy, and it takes three to tell them from other letters. The letters themselves are back as well.
      const ids = (await given.broker.takeMessages(desk.dead, count + 3)).map(({ messageId }) => messageId);
      expect(new Set(ids)).toEqual(new Set(numbered(count).map(({ messageId }) => messageId)));
      expect((await given.broker.count(name)).ready).toBe(1);
    },
  );

  it('two replays at once into such a target end, also if one is closed meanwhile, and no letter is lost', async () => {
    const desk = await opened();
    const [one, other] = [given.broker.newClient(), given.broker.newClient()];
    const name = given.broker.freeQueueName();
    const deadLetter = { queue: desk.dead };
    const full = { name, maxLength: 1, overflow: 'reject-publish-dlx', deadLetter } as const;
    await one.admin.declare({ queues: [full] });
    await one.send({ queue: name, body: 'there' });
    await fail(desk, ...numbered(9));
    const ended = Promise.allSettled(
      [one, other].map((client) => lastValueFrom(deadLetters(client, desk.dead).replay({ to: { queue: name } }))),
    );
    await eventually(() => one.metrics.nacked + other.metrics.nacked > 0);
    await one.close({ drainTimeout: 0 });
    await ended;
    await other.close();
    // Copies are among them, and the broker may still be putting letters back.
    const ids = new Set<unknown>();
    await eventually(async () => {
      for (const { messageId } of await given.broker.takeMessages(desk.dead, 1)) ids.add(messageId);
      return ids.size === 9;
    });
  });

  it('letters are chosen by an age of months', async () => {
    const desk = await opened();
    await fail(desk, ...numbered(1));
    const days = (count: number): number => count * 24 * 3_600_000;
    expect(await lastValueFrom(desk.letters.groups({ where: { newerThan: days(90) } }))).toMatchObject({ matched: 1 });
    expect(await lastValueFrom(desk.letters.drop({ where: { olderThan: days(30) } }))).toMatchObject({ done: 0 });
  });

  it('what cannot be right is refused before the broker is asked', () => {
    const queue = given.broker.newClient();
    const letters = deadLetters(queue, 'q');
    const wrong: (() => unknown)[] = [
      () => deadLetters(queue, ''),
      () => queue.admin.browse('q', { limit: 0 }),
      () => letters.groups({ limit: 0 }),
      () => letters.look({ where: { reson: 'x' } as never }),
      () => letters.replay({ to: 'somewhere' as never }),
      () => letters.replay({ rate: 0 }),
      () => letters.move({} as never),
      () => letters.drop({ rate: 1 } as never),
    ];
    for (const call of wrong) expect(call).toThrow(OptionsError);
    expect(queue.state.consumer.status).toBe('disconnected');
  });
}
