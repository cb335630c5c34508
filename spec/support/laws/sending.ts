import type { World } from '../world';
import { publishError } from '../publish-error';
import { gather } from '../gather';
import { eventually, until } from '../waiting';
import { from, lastValueFrom } from 'rxjs';

/** What holds for messages on their way out, on any broker. */
export function sendingLaws(world: () => World): void {
  it('a message is confirmed, and lies in its queue, which is made if it is missing', async () => {
    const name = world().freeName();
    const queue = world().open();
    expect(await queue.send({ queue: name, body: { id: 1 }, messageId: 'm1' })).toEqual({
      messageId: 'm1',
      attempts: 1,
      epoch: 1,
    });
    expect(await world().letters(name, 1)).toMatchObject([{ body: { id: 1 }, messageId: 'm1' }]);
    expect(queue.metrics).toMatchObject({ sent: 1, confirmed: 1, returned: 0 });
  });

  it('exchanges route by their type: direct, topic, fanout, headers, and on to others', async () => {
    const [direct, topic, fanout, headers, behind] = ['d', 't', 'f', 'h', 'b'].map(
      (kind) => `${world().freeName()}-${kind}`,
    );
    const names = [0, 1, 2, 3, 4].map(() => world().freeName());
    const [one, words, all, matching, far] = names as [string, string, string, string, string];
    const exchange = (name = '', type: 'direct' | 'topic' | 'fanout' | 'headers') => ({ name, type, autoDelete: true });
    const topology = {
      exchanges: [
        exchange(direct, 'direct'),
        exchange(topic, 'topic'),
        exchange(fanout, 'fanout'),
        exchange(headers, 'headers'),
        exchange(behind, 'direct'),
      ],
      queues: names.map((name) => ({ name })),
      bindings: [
        { exchange: direct!, queue: one, routingKey: 'x' },
        { exchange: topic!, queue: words, routingKey: 'a.*.#' },
        { exchange: fanout!, queue: all },
        { exchange: headers!, queue: matching, arguments: { 'x-match': 'all', kind: 'k' } },
        { exchange: direct!, toExchange: behind!, routingKey: 'far' },
        { exchange: behind!, queue: far, routingKey: 'far' },
      ],
    };
    const queue = world().open({ topology });
    const strays = [
      { exchange: direct!, routingKey: 'y', body: 0 },
      { exchange: topic!, routingKey: 'a', body: 0 },
      { exchange: headers!, body: 0, headers: { kind: 'other' } },
    ];
    for (const stray of strays)
      expect(await publishError(queue.send(stray))).toMatchObject({ code: 'PUBLISH_RETURNED' });
    await queue.send({ exchange: direct!, routingKey: 'x', body: 'direct' });
    await queue.send({ exchange: topic!, routingKey: 'a.b', body: 'topic 1' });
    await queue.send({ exchange: topic!, routingKey: 'a.b.c.d', body: 'topic 2' });
    await queue.send({ exchange: fanout!, body: 'fanout' });
    await queue.send({ exchange: headers!, body: 'headers', headers: { kind: 'k' } });
    await queue.send({ exchange: direct!, routingKey: 'far', body: 'behind' });
    const bodiesIn = async (name: string, count: number) =>
      (await world().letters(name, count)).map(({ body }) => body);
    expect(await bodiesIn(one, 1)).toEqual(['direct']);
    expect(await bodiesIn(words, 2)).toEqual(['topic 1', 'topic 2']);
    expect(await bodiesIn(all, 1)).toEqual(['fanout']);
    expect(await bodiesIn(matching, 1)).toEqual(['headers']);
    expect(await bodiesIn(far, 1)).toEqual(['behind']);
  });

  it('a message that no queue takes is returned', async () => {
    const queue = world().open();
    const error = await publishError(queue.send({ exchange: 'amq.direct', routingKey: world().freeName(), body: 1 }));
    expect(error).toMatchObject({ code: 'PUBLISH_RETURNED', replyCode: 312, maybeDelivered: false });
    expect(queue.metrics).toMatchObject({ sent: 1, returned: 1, confirmed: 0 });
    await queue.send({ exchange: 'amq.direct', routingKey: world().freeName(), body: 1, mandatory: false });
  });

  it('a message to an exchange that is missing is refused alone', async () => {
    const name = await world().queue();
    const queue = world().open();
    const bad = publishError(queue.send({ exchange: world().freeName(), body: 0 }));
    const good = [1, 2, 3].map((body) => queue.send({ queue: name, body }));
    expect(await bad).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404 });
    await Promise.all(good);
    expect(new Set((await world().letters(name, 3)).map(({ body }) => body))).toEqual(new Set([1, 2, 3]));
  });

  it('messages keep their order, also through a loss', async () => {
    const name = await world().queue();
    const queue = world().open();
    await queue.connect();
    const first = [1, 2, 3].map((body) => queue.send({ queue: name, body }));
    await Promise.all(first);
    await world().disconnect();
    const second = [4, 5, 6].map((body) => queue.send({ queue: name, body }));
    await until(queue.state$, ({ producer }) => producer.status === 'reconnecting');
    await world().reconnect();
    await Promise.all(second);
    expect((await world().letters(name, 6)).map(({ body }) => body)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('what was in flight at a loss is sent again with its id, or rejected as unknown', async () => {
    const name = await world().queue();
    const resending = world().open();
    const honest = world().open({ producer: { onUnknown: 'reject' } });
    await resending.send({ queue: name, body: 0 });
    await honest.send({ queue: name, body: 0 });
    world().hold();
    const resent = resending.send({ queue: name, body: 'resent', messageId: 'm1' });
    const unknown = publishError(honest.send({ queue: name, body: 'unknown', messageId: 'm2' }));
    // The broker has both, and nobody heard of it.
    await eventually(async () => (await world().count(name)).ready === 4);
    await world().disconnect();
    world().release();
    expect(await unknown).toMatchObject({ code: 'PUBLISH_UNKNOWN', maybeDelivered: true });
    await world().reconnect();
    expect(await resent).toMatchObject({ messageId: 'm1', attempts: 2, epoch: 2 });
    const ids = (await world().letters(name, 5)).slice(2).map(({ messageId }) => messageId);
    expect(ids.sort()).toEqual(['m1', 'm1', 'm2']);
  });

  it('a full queue that rejects is tried again until there is room', async () => {
    const name = await world().queue({ maxLength: 1, overflow: 'reject-publish' });
    const queue = world().open();
    await queue.send({ queue: name, body: 1 });
    const second = queue.send({ queue: name, body: 2 });
    await eventually(() => queue.metrics.nacked > 0);
    expect(await world().letters(name, 1)).toMatchObject([{ body: 1 }]);
    await second;
    expect(await world().letters(name, 1)).toMatchObject([{ body: 2 }]);
  });

  it('a queue of bounded length lets its oldest go, to its dead-letter queue', async () => {
    const dead = await world().queue();
    const name = await world().queue({ maxLength: 2, deadLetter: { queue: dead } });
    const queue = world().open();
    for (const body of [1, 2, 3]) await queue.send({ queue: name, body });
    expect(await world().letters(dead, 1)).toMatchObject([{ body: 1, headers: { 'x-death': [{ reason: 'maxlen' }] } }]);
    expect((await world().letters(name, 2)).map(({ body }) => body)).toEqual([2, 3]);
  });

  it('an alternate exchange takes what its exchange has no queue for', async () => {
    const [exchange, alternate, name] = [world().freeName(), world().freeName(), world().freeName()];
    const topology = {
      exchanges: [
        { name: alternate, type: 'fanout', autoDelete: true },
        { name: exchange, type: 'direct', alternateExchange: alternate },
      ],
      queues: [{ name }],
      bindings: [{ exchange: alternate, queue: name }],
    } as const;
    const queue = world().open({ topology });
    await queue.send({ exchange, routingKey: 'nobody', body: 1 });
    expect(await world().letters(name, 1)).toMatchObject([{ body: 1 }]);
  });

  it('headers arrive as what they are, typed ones as their values', async () => {
    const name = await world().queue();
    const queue = world().open();
    const headers = {
      text: 'x',
      list: [1, { deep: true }],
      typed: { '!': 'short', value: 5 },
      bytes: Buffer.from('b'),
    };
    await queue.send({ queue: name, body: 1, headers });
    const [letter] = await world().letters(name, 1);
    expect(letter?.headers).toEqual({ ...headers, typed: 5 });
  });

  it('the publish operator confirms all that its source emits, in order', async () => {
    const name = await world().queue();
    const queue = world().open();
    const messages$ = from([1, 2, 3, 4, 5].map((body) => ({ queue: name, body, messageId: `m${String(body)}` })));
    const confirmations = gather(messages$.pipe(queue.publish({ concurrency: 2 })));
    await eventually(() => confirmations.completed);
    expect(confirmations.values.map(({ messageId }) => messageId)).toEqual(['m1', 'm2', 'm3', 'm4', 'm5']);
    const nowhere = { exchange: 'amq.direct', routingKey: world().freeName(), body: 1 };
    await expect(lastValueFrom(queue.publish([nowhere]))).rejects.toMatchObject({ code: 'PUBLISH_RETURNED' });
    expect((await world().letters(name, 5)).map(({ body }) => body)).toEqual([1, 2, 3, 4, 5]);
  });

  it('a broker that blocks publishing holds messages up, is told of, and goes on', async () => {
    const name = await world().queue();
    const queue = world().open();
    const told: string[] = [];
    queue.on('blocked', (_reason, role) => told.push(`blocked ${role}`));
    queue.on('unblocked', (role) => told.push(`unblocked ${role}`));
    await queue.send({ queue: name, body: 1 });
    await world().block();
    // It takes a message for the broker to notice who publishes; that one waits as well.
    const held = [2, 3].map((body) => queue.send({ queue: name, body }));
    await until(queue.health$, ({ blocked }) => blocked !== undefined);
    held.push(queue.send({ queue: name, body: 4 }));
    expect(queue.health).toMatchObject({ status: 'degraded', outbox: { queued: 1, unconfirmed: 2 } });
    expect((await world().count(name)).ready).toBe(1);
    await world().unblock();
    await Promise.all(held);
    expect((await world().letters(name, 4)).map(({ body }) => body)).toEqual([1, 2, 3, 4]);
    expect(told).toEqual(['blocked producer', 'unblocked producer']);
    await until(queue.health$, ({ status }) => status === 'up');
  });
}
