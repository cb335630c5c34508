import type { BrokerUnderTest } from './broker-under-test';
import { publishError } from '../publish-error';
import { collect } from '../collect';
import { eventually, until } from '../waiting';
import { from, lastValueFrom } from 'rxjs';

/** What holds for sending, on any broker. */
export function sendingLaws(given: { readonly broker: BrokerUnderTest }): void {
  it('a sent message is confirmed and is in its queue, which is declared if it is missing', async () => {
    const name = given.broker.freeQueueName();
    const queue = given.broker.newClient();
    expect(await queue.send({ queue: name, body: { id: 1 }, messageId: 'm1' })).toEqual({
      messageId: 'm1',
      attempts: 1,
      epoch: 1,
    });
    expect(await given.broker.takeMessages(name, 1)).toMatchObject([{ body: { id: 1 }, messageId: 'm1' }]);
    expect(queue.metrics).toMatchObject({ sent: 1, confirmed: 1, returned: 0 });
  });

  it('exchanges route by type (direct, topic, fanout, headers), and to other exchanges', async () => {
    const [direct, topic, fanout, headers, behind] = ['d', 't', 'f', 'h', 'b'].map(
      (kind) => `${given.broker.freeQueueName()}-${kind}`,
    );
    const names = [0, 1, 2, 3, 4].map(() => given.broker.freeQueueName());
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
    const queue = given.broker.newClient({ topology });
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
      (await given.broker.takeMessages(name, count)).map(({ body }) => body);
    expect(await bodiesIn(one, 1)).toEqual(['direct']);
    expect(await bodiesIn(words, 2)).toEqual(['topic 1', 'topic 2']);
    expect(await bodiesIn(all, 1)).toEqual(['fanout']);
    expect(await bodiesIn(matching, 1)).toEqual(['headers']);
    expect(await bodiesIn(far, 1)).toEqual(['behind']);
  });

  it('an unroutable message is returned', async () => {
    const queue = given.broker.newClient();
    const error = await publishError(
      queue.send({ exchange: 'amq.direct', routingKey: given.broker.freeQueueName(), body: 1 }),
    );
    expect(error).toMatchObject({ code: 'PUBLISH_RETURNED', replyCode: 312, maybeDelivered: false });
    expect(queue.metrics).toMatchObject({ sent: 1, returned: 1, confirmed: 0 });
    await queue.send({ exchange: 'amq.direct', routingKey: given.broker.freeQueueName(), body: 1, mandatory: false });
  });

  it('a message to a missing exchange is refused, and no other message is', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const bad = publishError(queue.send({ exchange: given.broker.freeQueueName(), body: 0 }));
    const good = [1, 2, 3].map((body) => queue.send({ queue: name, body }));
    expect(await bad).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404 });
    await Promise.all(good);
    expect(new Set((await given.broker.takeMessages(name, 3)).map(({ body }) => body))).toEqual(new Set([1, 2, 3]));
  });

  it('messages keep their order through the loss of a connection', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    await queue.connect();
    const first = [1, 2, 3].map((body) => queue.send({ queue: name, body }));
    await Promise.all(first);
    await given.broker.disconnect();
    const second = [4, 5, 6].map((body) => queue.send({ queue: name, body }));
    await until(queue.state$, ({ producer }) => producer.status === 'reconnecting');
    await given.broker.reconnect();
    await Promise.all(second);
    expect((await given.broker.takeMessages(name, 6)).map(({ body }) => body)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('a message in flight when the connection is lost is sent again with its id, or rejects with PUBLISH_UNKNOWN', async () => {
    const name = await given.broker.declareQueue();
    const resending = given.broker.newClient();
    const honest = given.broker.newClient({ producer: { onUnknown: 'reject' } });
    await resending.send({ queue: name, body: 0 });
    await honest.send({ queue: name, body: 0 });
    given.broker.hold();
    const resent = resending.send({ queue: name, body: 'resent', messageId: 'm1' });
    const unknown = publishError(honest.send({ queue: name, body: 'unknown', messageId: 'm2' }));
    // The broker has both messages; their confirms are held back.
    await eventually(async () => (await given.broker.count(name)).ready === 4);
    await given.broker.disconnect();
    given.broker.release();
    expect(await unknown).toMatchObject({ code: 'PUBLISH_UNKNOWN', maybeDelivered: true });
    await given.broker.reconnect();
    expect(await resent).toMatchObject({ messageId: 'm1', attempts: 2, epoch: 2 });
    const ids = (await given.broker.takeMessages(name, 5)).slice(2).map(({ messageId }) => messageId);
    expect(ids.sort()).toEqual(['m1', 'm1', 'm2']);
  });

  it('a message to a full queue that rejects publishes is sent again until there is room', async () => {
    const name = await given.broker.declareQueue({ maxLength: 1, overflow: 'reject-publish' });
    const queue = given.broker.newClient();
    await queue.send({ queue: name, body: 1 });
    const second = queue.send({ queue: name, body: 2 });
    await eventually(() => queue.metrics.nacked > 0);
    expect(await given.broker.takeMessages(name, 1)).toMatchObject([{ body: 1 }]);
    await second;
    expect(await given.broker.takeMessages(name, 1)).toMatchObject([{ body: 2 }]);
  });

  it('a queue over its maximum length dead-letters its oldest message', async () => {
    const dead = await given.broker.declareQueue();
    const name = await given.broker.declareQueue({ maxLength: 2, deadLetter: { queue: dead } });
    const queue = given.broker.newClient();
    for (const body of [1, 2, 3]) await queue.send({ queue: name, body });
    expect(await given.broker.takeMessages(dead, 1)).toMatchObject([
      { body: 1, headers: { 'x-death': [{ reason: 'maxlen' }] } },
    ]);
    expect((await given.broker.takeMessages(name, 2)).map(({ body }) => body)).toEqual([2, 3]);
  });

  it('an alternate exchange gets the messages that its exchange cannot route', async () => {
    const [exchange, alternate, name] = [
      given.broker.freeQueueName(),
      given.broker.freeQueueName(),
      given.broker.freeQueueName(),
    ];
    const topology = {
      exchanges: [
        { name: alternate, type: 'fanout', autoDelete: true },
        { name: exchange, type: 'direct', alternateExchange: alternate },
      ],
      queues: [{ name }],
      bindings: [{ exchange: alternate, queue: name }],
    } as const;
    const queue = given.broker.newClient({ topology });
    await queue.send({ exchange, routingKey: 'unbound', body: 1 });
    expect(await given.broker.takeMessages(name, 1)).toMatchObject([{ body: 1 }]);
  });

  it('headers arrive with the types they were sent with, typed values as plain ones', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const headers = {
      text: 'x',
      list: [1, { deep: true }],
      typed: { '!': 'short', value: 5 },
      bytes: Buffer.from('b'),
    };
    await queue.send({ queue: name, body: 1, headers });
    const [message] = await given.broker.takeMessages(name, 1);
    expect(message?.headers).toEqual({ ...headers, typed: 5 });
  });

  it('dates in headers arrive as timestamps, typed arrays as Buffers, and go out again as they came', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const at = new Date(1_700_000_000_000);
    const octets = Uint8Array.of(1, 255);
    const arrived = collect(queue.consume({ queue: name, noAck: true }));
    await queue.send({ queue: name, body: 1, headers: { at, list: [{ at }], octets, memory: octets.buffer } });
    const first = await eventually(() => arrived.values[0]);
    const stamp = { '!': 'timestamp', value: 1_700_000_000 };
    const bytes = Buffer.from(octets);
    expect(first.properties.headers).toEqual({ at: stamp, list: [{ at: stamp }], octets: bytes, memory: bytes });
    await queue.send({ queue: name, ...first.properties, body: 2 });
    const second = await eventually(() => arrived.values[1]);
    expect(second.properties.headers).toEqual(first.properties.headers);
  });

  it('the publish operator emits a confirmation for each message of its source, in order', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const messages$ = from([1, 2, 3, 4, 5].map((body) => ({ queue: name, body, messageId: `m${String(body)}` })));
    const confirmations = collect(messages$.pipe(queue.publish({ concurrency: 2 })));
    await eventually(() => confirmations.completed);
    expect(confirmations.values.map(({ messageId }) => messageId)).toEqual(['m1', 'm2', 'm3', 'm4', 'm5']);
    const nowhere = { exchange: 'amq.direct', routingKey: given.broker.freeQueueName(), body: 1 };
    await expect(lastValueFrom(queue.publish([nowhere]))).rejects.toMatchObject({ code: 'PUBLISH_RETURNED' });
    expect((await given.broker.takeMessages(name, 5)).map(({ body }) => body)).toEqual([1, 2, 3, 4, 5]);
  });

  it('while the broker blocks publishing, messages wait, `blocked` is emitted, and sending goes on afterwards', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const events: string[] = [];
    queue.on('blocked', (_reason, role) => events.push(`blocked ${role}`));
    queue.on('unblocked', (role) => events.push(`unblocked ${role}`));
    await queue.send({ queue: name, body: 1 });
    await given.broker.block();
    // RabbitMQ blocks a connection at its next publish; the message of that publish waits, too.
    const held = [2, 3].map((body) => queue.send({ queue: name, body }));
    await until(queue.health$, ({ blocked }) => blocked !== undefined);
    held.push(queue.send({ queue: name, body: 4 }));
    expect(queue.health).toMatchObject({ status: 'degraded', outbox: { queued: 1, unconfirmed: 2 } });
    expect((await given.broker.count(name)).ready).toBe(1);
    await given.broker.unblock();
    await Promise.all(held);
    expect((await given.broker.takeMessages(name, 4)).map(({ body }) => body)).toEqual([1, 2, 3, 4]);
    expect(events).toEqual(['blocked producer', 'unblocked producer']);
    await until(queue.health$, ({ status }) => status === 'up');
  });
}
