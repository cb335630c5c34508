import { getEventListeners } from 'node:events';
import { type Message, json } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { of } from 'rxjs';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { POLICIES } from '../../support/error-policies';
import { outcomes } from '../../support/publish-error';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

const MINUTE = 60_000;

let broker: MemoryBroker;
let requester: FakeInstanceQueue;
let responder: FakeInstanceQueue;

inVirtualTime(10 * MINUTE);
beforeEach(async () => {
  broker = new MemoryBroker();
  broker.declare({ queues: [{ name: 'dead' }] });
  broker.declare({ queues: [{ name: 'work', deadLetter: { queue: 'dead' } }] });
  requester = closing(new FakeInstanceQueue({ broker, drainTimeout: MINUTE }));
  responder = closing(new FakeInstanceQueue({ broker }));
  const connected = Promise.all([requester.connect(), responder.connect()]);
  await later();
  await connected;
});

describe('a request', () => {
  it('resolves with its own reply, in whatever order the replies come', async () => {
    const held: (() => void)[] = [];
    const work = ({ body }: Message<number>): Promise<number> =>
      new Promise((resolve) => held.unshift(() => resolve(2 * body)));
    responder.respond<number, number>({ queue: 'work', prefetch: 3 }, work).subscribe();
    const asked = [1, 2, 3].map((body) => requester.request<number>({ queue: 'work', body }));
    await later();
    for (const answer of held) answer();
    const replies = await Promise.all(asked);
    expect(replies.map(({ body }) => body)).toEqual([2, 4, 6]);
    expect(replies[0]?.properties).toMatchObject({ contentType: 'application/json' });
    expect(requester.metrics).toMatchObject({ sent: 3, confirmed: 3, unclaimed: 0 });
    expect(broker.queues.map(({ name }) => name)).toEqual(['dead', 'work']);
  });

  it('does not outlive its timeout', async () => {
    const asked = rejection(requester.request({ queue: 'work', body: 1 }, { timeout: 5000 }));
    await later(4000);
    expect(broker.messages('work')).toMatchObject([{ properties: { expiration: 5000 } }]);
    await later(1001);
    expect(broker.messages('work')).toEqual([]);
    expect(await asked).toMatchObject({
      code: 'REPLY_TIMEOUT',
      message: expect.stringContaining('No reply came within 5000 ms') as string,
      maybeDelivered: true,
      retryable: true,
    });
  });

  it('drops a reply that comes too late, and counts it', async () => {
    let answer: (value: number) => void = () => undefined;
    responder.respond({ queue: 'work' }, () => new Promise((resolve) => (answer = resolve))).subscribe();
    const asked = rejection(requester.request({ queue: 'work', body: 1 }, { timeout: 1000 }));
    await later(1001);
    expect(await asked).toMatchObject({ code: 'REPLY_TIMEOUT' });
    answer(1);
    await later();
    expect(requester.metrics.unclaimed).toBe(1);
  });

  it('rejects when it is aborted, before and after the broker has it', async () => {
    const early = AbortSignal.abort();
    expect(await rejection(requester.request({ queue: 'work', body: 1 }, { signal: early }))).toMatchObject({
      code: 'PUBLISH_ABORTED',
      maybeDelivered: false,
    });
    const aborting = new AbortController();
    const asked = rejection(requester.request({ queue: 'work', body: 2 }, { signal: aborting.signal }));
    await later();
    aborting.abort(new Error('enough'));
    expect(await asked).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: true, cause: new Error('enough') });
  });

  it('was not worked on when its time is up, or it is aborted, before it leaves', async () => {
    broker.disconnect();
    const aborting = new AbortController();
    const late = rejection(requester.request({ queue: 'work', body: 1 }, { timeout: 1000 }));
    const aborted = rejection(requester.request({ queue: 'work', body: 2 }, { signal: aborting.signal }));
    await later(1001);
    aborting.abort();
    expect(await late).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
    expect(await aborted).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: false });
    broker.reconnect();
  });

  it('leaves no listener on its signal behind', async () => {
    responder.respond({ queue: 'work' }, () => 'done').subscribe();
    const { signal } = new AbortController();
    await requester.request({ queue: 'work', body: 1 }, { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('to a queue that is missing is returned, and the queue is not declared', async () => {
    const asked = requester.request({ queue: 'missing', body: 1 });
    expect(await outcomes([asked])).toEqual(['PUBLISH_RETURNED']);
    expect(broker.queues.map(({ name }) => name)).not.toContain('missing');
  });

  it('by way of an exchange is answered as well', async () => {
    broker.declare({ bindings: [{ exchange: 'amq.direct', queue: 'work', routingKey: 'key' }] });
    responder.respond<string, string>({ queue: 'work' }, ({ routingKey }) => routingKey).subscribe();
    const reply = await requester.request({ exchange: 'amq.direct', routingKey: 'key', body: 1 });
    expect(reply.body).toBe('key');
  });

  it('reads its reply with its codec, and rejects with UNDECODABLE if that fails', async () => {
    responder.respond({ queue: 'work' }, () => ({ id: 7 })).subscribe();
    const codec = json((value) => {
      if (JSON.stringify(value) !== '{"id":8}') throw new TypeError('no 8');
      return 8;
    });
    const asked = await rejection(requester.request({ queue: 'work', body: 1, messageId: 'm1' }, { codec }));
    expect(asked).toMatchObject({ code: 'UNDECODABLE', cause: new TypeError('no 8') });
    expect((asked as Error).message).toMatch(
      /Cannot decode the reply to request m1 \(content type application\/json, 8 bytes\)/,
    );
  });

  it.each([{ replyTo: 'mine' }, { correlationId: 'mine' }, { delay: 1000 }, { at: new Date() }])(
    'with %p is refused, and not sent',
    async (own) => {
      const asked = requester.request({ queue: 'work', body: 1, ...own });
      const [name] = Object.keys(own);
      expect(await rejection(asked)).toMatchObject({
        code: 'PUBLISH_INVALID',
        message: expect.stringContaining(`\`${String(name)}\``) as string,
      });
      expect(broker.published).toEqual([]);
    },
  );
});

describe('a request whose connection is lost before its reply comes', () => {
  /** The outcome of a request that loses its connection. */
  async function ask(idempotent: boolean): Promise<{ readonly asked: Promise<unknown> }> {
    const request = requester.request({ queue: 'work', body: 1, messageId: 'm1' }, { idempotent, timeout: MINUTE });
    const asked = request.catch((error: unknown) => error);
    await later();
    broker.disconnect();
    await later();
    broker.reconnect();
    await later(MINUTE / 2);
    return { asked };
  }

  it('rejects with PUBLISH_UNKNOWN, and is not sent again', async () => {
    const { asked } = await ask(false);
    expect(await asked).toMatchObject({ code: 'PUBLISH_UNKNOWN', messageId: 'm1', maybeDelivered: true });
    expect(broker.published).toHaveLength(1);
  });

  it('is sent again with its id if it is idempotent, and may then take the time that was left', async () => {
    const { asked } = await ask(true);
    expect(broker.published.map(({ properties }) => properties.messageId)).toEqual(['m1', 'm1']);
    expect(broker.published[1]?.properties.expiration).toBeGreaterThan(MINUTE - 20_000);
    expect(broker.published[1]?.properties.expiration).toBeLessThan(MINUTE);
    responder.respond({ queue: 'work' }, () => 'done').subscribe();
    await later();
    expect(await asked).toMatchObject({ body: 'done' });
  });
});

describe('a requester that closes', () => {
  it('waits for the reply of a request', async () => {
    let answer: (value: string) => void = () => undefined;
    responder.respond({ queue: 'work' }, () => new Promise<string>((resolve) => (answer = resolve))).subscribe();
    const asked = requester.request({ queue: 'work', body: 1 });
    await later();
    const closed = requester.close();
    await later(1000);
    answer('done');
    await later(1000);
    expect((await asked).body).toBe('done');
    await closed;
  });

  it('rejects a request without a reply after its drain timeout, and any later one at once', async () => {
    const asked = rejection(requester.request({ queue: 'work', body: 1 }, { timeout: 10 * MINUTE }));
    await later();
    const closed = requester.close();
    await later(MINUTE - 20);
    expect(await rejection(requester.request({ queue: 'work', body: 2 }))).toMatchObject({ code: 'PUBLISH_CLOSED' });
    await later(40);
    expect(await asked).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
    await later(MINUTE);
    await closed;
  });
});

describe('a responder', () => {
  it('acks a request when its reply is confirmed, with the last value of an Observable, or null for none', async () => {
    const handled = collect(
      responder.respond({ queue: 'work' }, ({ body }) => (body === 'many' ? of(1, 2, 3) : undefined)),
    );
    expect((await requester.request({ queue: 'work', body: 'many' })).body).toBe(3);
    expect((await requester.request({ queue: 'work', body: 'none' })).body).toBeNull();
    await later();
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack']);
    expect(responder.metrics).toMatchObject({ sent: 2, confirmed: 2, acked: 2 });
  });

  it('replies to the queue that the request names, with its correlation id or else its id', async () => {
    broker.declare({ name: 'answers' });
    responder.respond<number, number>({ queue: 'work' }, ({ body }) => body + 1).subscribe();
    await requester.send({ queue: 'work', body: 1, replyTo: 'answers', correlationId: 'c1', messageId: 'm1' });
    await requester.send({ queue: 'work', body: 2, replyTo: 'answers', messageId: 'm2' });
    await later();
    expect(broker.messages('answers')).toMatchObject([
      { body: 2, properties: { correlationId: 'c1' } },
      { body: 3, properties: { correlationId: 'm2' } },
    ]);
    expect(broker.messages('answers')[0]?.properties.messageId).not.toBe('m1');
  });

  it('acks what asks for no reply, or for one to a queue that is gone', async () => {
    const handled = collect(responder.respond({ queue: 'work' }, () => 'done'));
    await requester.send({ queue: 'work', body: 1 });
    await requester.send({ queue: 'work', body: 2, replyTo: 'gone' });
    await later();
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack']);
    expect(broker.queues.map(({ name }) => name)).not.toContain('gone');
  });

  it('that fails replies with the error, without its credentials, and rejects the request', async () => {
    const handled = collect(
      responder.respond({ queue: 'work' }, () => Promise.reject(new RangeError('no amqp://me:secret@host'))),
    );
    const error = await rejection(requester.request({ queue: 'work', body: 1, messageId: 'm1' }));
    expect(error).toMatchObject({
      code: 'REPLY_ERROR',
      messageId: 'm1',
      maybeDelivered: true,
      message: 'The responder could not do the work: RangeError: no amqp://host',
      cause: { name: 'RangeError', message: 'no amqp://host' },
    });
    await later();
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['reject']);
    expect(broker.messages('dead')).toHaveLength(1);
  });

  it.each(POLICIES)(
    'with the policy %s replies once with the error, after the last attempt',
    async (_, policy, expected) => {
      const handled = collect(
        responder.respond({ queue: 'work' }, () => Promise.reject(new Error('no')), { onError: policy(responder) }),
      );
      const asked = rejection(requester.request({ queue: 'work', body: 1 }));
      await later(1000);
      expect(await asked).toMatchObject({ code: 'REPLY_ERROR' });
      expect(handled.values.map(({ settlement }) => settlement)).toEqual(expected);
      expect(requester.metrics.unclaimed).toBe(0);
    },
  );
});
