import { auto, json, type Codec, type LogEntry, type PublishError } from 'instance-queue';
import { fakeDelivery, FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { of } from 'rxjs';
import { loggerFrom } from '../../../lib/log';
import type { Forwarded, Forwarder, ForwardOptions } from '../../../lib/retry/forwarder';
import { respond } from '../../../lib/rpc/reply';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

/** One queue that asks and answers. */
async function opened(codec?: Codec<unknown>) {
  const lines: LogEntry[] = [];
  const logger = (line: LogEntry): void => void lines.push(line);
  const queue = closing(new FakeInstanceQueue({ logger, ...(codec && { producer: { codec } }) }));
  queue.broker.declare({ name: 'work' });
  await Promise.all([queue.connect(), later()]);
  return { queue, broker: queue.broker, warnings: () => lines.filter(({ level }) => level === 'warn') };
}

describe('a reply', () => {
  it('to a queue that is gone is dropped, which the log tells, and the work is done all the same', async () => {
    const { queue, warnings } = await opened();
    const { values } = collect(queue.respond({ queue: 'work' }, () => 'done'));
    await Promise.all([queue.send({ queue: 'work', body: 1, replyTo: 'gone', correlationId: 'c' }), later()]);
    expect(values).toMatchObject([{ settlement: 'ack', value: 'done' }]);
    expect(warnings().at(-1)).toMatchObject({
      message: 'reply dropped: its requester is gone',
      fields: { queue: 'work', correlationId: 'c', err: { code: 'PUBLISH_RETURNED' } },
    });
  });

  it('to a requester that waits is returned to nobody', async () => {
    const { queue, warnings } = await opened();
    queue.respond({ queue: 'work' }, () => 'done').subscribe();
    const [reply] = await Promise.all([queue.request({ queue: 'work', body: 1 }), later()]);
    expect([reply.body, warnings(), queue.metrics.returned]).toEqual(['done', [], 0]);
  });

  it('of a failure to a queue that is gone is dropped, and the request settled as it should', async () => {
    const { queue, warnings } = await opened();
    const { values } = collect(queue.respond({ queue: 'work' }, () => Promise.reject(new Error('no'))));
    await Promise.all([queue.send({ queue: 'work', body: 1, replyTo: 'gone' }), later()]);
    expect(values).toMatchObject([{ settlement: 'reject' }]);
    expect(warnings().map(({ message }) => message)).toContain('reply dropped: its requester is gone');
  });

  describe('that the broker refuses, here because of the topology of the responder,', () => {
    /** A responder whose topology is refused by the time it replies for the first time, and another client that asks. */
    async function refused(work: () => unknown) {
      const broker = new MemoryBroker();
      const lines: LogEntry[] = [];
      const logger = (line: LogEntry): void => void lines.push(line);
      const topology = { queues: [{ name: 'side' }] };
      const responder = closing(new FakeInstanceQueue({ broker, logger, topology }));
      const requester = closing(new FakeInstanceQueue({ broker }));
      broker.declare({ queues: [{ name: 'work' }, { name: 'answers' }] });
      const { values } = collect(responder.respond({ queue: 'work' }, work));
      await later(10);
      broker.deleteQueue('side');
      broker.declare({ name: 'side', maxLength: 5 });
      const drops = (): string[] => lines.map(({ message }) => message).filter((line) => line.startsWith('reply'));
      return { broker, requester, values, drops };
    }

    it('is tried again while its requester waits; then it is dropped, and the request acked', async () => {
      const { broker, requester, values, drops } = await refused(() => 'done');
      const asked = rejection(requester.request({ queue: 'work', body: 1 }, { timeout: 20_000 }));
      await later(19_000);
      expect([values, drops(), broker.queues.find(({ name }) => name === 'work')?.unsettled]).toEqual([[], [], 1]);
      await later(60_000);
      expect(await asked).toMatchObject({ code: 'REPLY_TIMEOUT' });
      expect(values).toMatchObject([{ settlement: 'ack', value: 'done' }]);
      expect(drops()).toEqual(['reply dropped: it cannot be sent']);
    });

    it('arrives if what was refused is mended meanwhile', async () => {
      const { broker, requester, values, drops } = await refused(() => 'done');
      const asked = requester.request({ queue: 'work', body: 1 }, { timeout: 60_000 });
      await later(5000);
      broker.deleteQueue('side');
      await later(30_000);
      expect((await asked).body).toBe('done');
      expect([values.length, drops()]).toEqual([1, []]);
    });

    it('to a queue is tried again for as long as it takes', async () => {
      const { broker, requester, values } = await refused(() => 'done');
      await Promise.all([requester.send({ queue: 'work', body: 1, replyTo: 'answers', expiration: 1000 }), later()]);
      await later(120_000);
      expect(values).toEqual([]);
      broker.deleteQueue('side');
      await later(60_000);
      expect(broker.messages('answers')).toMatchObject([{ body: 'done' }]);
      expect(values).toMatchObject([{ settlement: 'ack' }]);
    });

    it('and that tells of a failure is dropped at once, which the log does not put on the requester', async () => {
      const { requester, values, drops } = await refused(() => Promise.reject(new Error('no')));
      const asked = rejection(requester.request({ queue: 'work', body: 1 }, { timeout: 5000 }));
      await later(5000);
      expect(await asked).toMatchObject({ code: 'REPLY_TIMEOUT' });
      expect(values).toMatchObject([{ settlement: 'reject' }]);
      expect(drops()).toEqual(['reply dropped: it cannot be sent']);
    });
  });

  it('that can never be sent fails the work, and the requester hears why', async () => {
    const { queue } = await opened({ ...json(), contentType: 'x'.repeat(300) });
    const { values } = collect(queue.respond({ queue: 'work' }, () => 'done'));
    const message = { queue: 'work', body: 1, contentType: 'application/json' };
    const [error] = await Promise.all([rejection(queue.request(message, { timeout: 5000 })), later(6000)]);
    expect(error).toMatchObject({ code: 'REPLY_ERROR' });
    expect(values).toMatchObject([{ settlement: 'reject', error: { code: 'PUBLISH_INVALID' } }]);
  });

  it('has the properties of its codec, and none of the request but its correlation id', async () => {
    const { queue, broker } = await opened();
    broker.declare({ name: 'answers' });
    queue.respond({ queue: 'work' }, () => ({ id: 7 })).subscribe();
    const request = { queue: 'work', body: 1, replyTo: 'answers', correlationId: 'c', type: 't', headers: { mine: 1 } };
    await Promise.all([queue.send(request), later()]);
    const [reply] = broker.messages('answers');
    expect(reply).toMatchObject({ body: { id: 7 }, exchange: '', routingKey: 'answers' });
    expect(reply!.properties).toMatchObject({ contentType: 'application/json', correlationId: 'c' });
    expect(reply!.properties).not.toHaveProperty('type');
    expect(reply!.properties.headers ?? {}).toEqual({});
  });

  it('is what the work returned, which its caller gets as well', async () => {
    const { queue } = await opened();
    const { values } = collect(queue.respond({ queue: 'work' }, () => undefined));
    const [reply] = await Promise.all([queue.request({ queue: 'work', body: 1 }), later()]);
    expect(reply.body).toBeNull();
    expect(values).toMatchObject([{ settlement: 'ack' }]);
    expect(values[0]!.value).toBeUndefined();
  });

  it('is not sent by work that was forgotten to be called', async () => {
    const { queue } = await opened();
    const forgotten = function* (): Generator<number> {
      yield 1;
    };
    const { values } = collect(queue.respond({ queue: 'work' }, (() => forgotten()) as never));
    const [error] = await Promise.all([rejection(queue.request({ queue: 'work', body: 1 })), later(100)]);
    expect(error).toMatchObject({ code: 'REPLY_ERROR' });
    expect(values).toMatchObject([{ settlement: 'reject' }]);
  });

  it.each([
    ['reject', [['reject', 'no']]],
    [
      'requeue-once',
      [
        ['requeue', 'no'],
        ['reject', 'no'],
      ],
    ],
  ] as const)('tells of a failure when its request is given up, by the policy %s', async (onError, expected) => {
    const { queue } = await opened();
    const work = (): never => {
      throw new RangeError('no');
    };
    const { values } = collect(queue.respond({ queue: 'work' }, work, { onError }));
    const [error] = await Promise.all([rejection(queue.request({ queue: 'work', body: 1 })), later(100)]);
    expect(error).toMatchObject({ code: 'REPLY_ERROR', cause: { name: 'RangeError', message: 'no' } });
    expect(values.map(({ settlement, error: cause }) => [settlement, (cause as Error).message])).toEqual(expected);
    expect(queue.metrics.unclaimed).toBe(0);
  });

  it.each([true, false])(
    'tells of a failure when `retry` moved its request, called by a policy: %p',
    async (called) => {
      const { queue, broker } = await opened();
      broker.declare({ name: 'failed' });
      const afterwards = queue.retry({ attempts: 2, delay: 100, then: { queue: 'failed' } });
      const onError: typeof afterwards = called ? (error, message) => afterwards(error, message) : afterwards;
      const { values } = collect(queue.respond({ queue: 'work' }, () => Promise.reject(new Error('no')), { onError }));
      const asked = rejection(queue.request({ queue: 'work', body: 1, expiration: 5000 }, { timeout: 5000 }));
      await later(5000);
      expect(await asked).toMatchObject({ code: 'REPLY_ERROR', cause: { message: 'no' } });
      expect(values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack']);
      expect([broker.messages('failed').length, queue.metrics.unclaimed]).toEqual([1, 0]);
    },
  );

  it('is none while its responder ends with the first failure: another one replies', async () => {
    const { queue, broker } = await opened();
    const failing = collect(
      queue.respond({ queue: 'work' }, () => Promise.reject(new Error('no')), { onError: 'fail' }),
    );
    const asked = queue.request({ queue: 'work', body: 1 }, { timeout: 5000 });
    await later(100);
    expect(failing.error).toBeInstanceOf(Error);
    expect(broker.messages('work')).toHaveLength(1);
    queue.respond({ queue: 'work' }, () => 'done').subscribe();
    await later(100);
    expect((await asked).body).toBe('done');
  });
});

describe('what is published as a reply', () => {
  it.each([
    ['amq.rabbitmq.reply-to.g1h2', false],
    ['answers', true],
    ['my.amq.rabbitmq.reply-to.', true],
    ['amq.rabbitmq.reply-to', true],
  ])('to %s is stored and has to arrive: %p', async (replyTo, kept) => {
    const forward = jest.fn<Promise<void>, [Forwarded, ForwardOptions]>(() => Promise.resolve());
    const message = fakeDelivery('a', { queue: 'work', replyTo, messageId: 'm' });
    const replies = {
      codec: auto,
      log: loggerFrom('silent', {}),
      forwarder: () => ({ forward }) as Partial<Forwarder> as Forwarder,
    };
    const { error } = collect(respond(of(message), replies, () => 'done', {}));
    await later();
    expect(error).toBeUndefined();
    const [[copy]] = forward.mock.calls as [[Forwarded, ForwardOptions]];
    expect(copy.route).toEqual({ exchange: '', routingKey: replyTo });
    expect(copy.properties).toMatchObject({ correlationId: 'm', mandatory: kept, persistent: kept });
  });
});

describe('a request that the broker declines', () => {
  it.each([
    [false, 'PUBLISH_NACKED'],
    [true, 'done'],
  ])('is sent again if it is idempotent: %p', async (idempotent, outcome) => {
    const { queue, broker } = await opened();
    queue.respond({ queue: 'work' }, () => 'done').subscribe();
    await later();
    broker.nackNext();
    const asked = queue.request<string>({ queue: 'work', body: 1 }, { idempotent });
    const settled = asked.then(({ body }) => body).catch((error: unknown) => (error as PublishError).code);
    expect((await Promise.all([settled, later(5000)]))[0]).toBe(outcome);
  });
});

describe('the options of a request', () => {
  it.each<[object, string]>([
    [{ timeOut: 5 }, 'Unknown option `timeOut` for request(). Did you mean `timeout`?'],
    [{ idempotent: 'yes' }, 'Expected `idempotent` to be true or false'],
    [{ codec: {} }, 'Expected `codec` to be a codec'],
    [{ timeout: 0 }, 'Expected `timeout`'],
  ])('are refused that cannot be right: %j', async (options, sentence) => {
    const { queue } = await opened();
    const error = await rejection(queue.request({ queue: 'work', body: 1 }, options));
    expect(error).toMatchObject({ code: 'OPTIONS_INVALID' });
    expect((error as Error).message).toContain(sentence);
  });

  it('have the timeout of the producer, unless they have their own', async () => {
    const queue = closing(new FakeInstanceQueue({ producer: { timeout: 300 } }));
    queue.broker.declare({ name: 'work' });
    const late = rejection(queue.request({ queue: 'work', body: 1 }));
    await later(310);
    expect(await late).toMatchObject({ code: 'REPLY_TIMEOUT' });
  });

  it('let requests share one channel, and the idempotent ones another', async () => {
    const { queue, broker } = await opened();
    queue.respond({ queue: 'work' }, () => 'done').subscribe();
    const ask = (idempotent: boolean) => queue.request({ queue: 'work', body: 1 }, { idempotent });
    await Promise.all([ask(false), ask(false), ask(true), later(50)]);
    const to = broker.published.flatMap(({ properties: { replyTo } }) => (replyTo === undefined ? [] : [replyTo]));
    expect(to).toHaveLength(3);
    expect(new Set(to).size).toBe(2);
  });
});

describe('a reply that nobody waits for', () => {
  it.each([
    ['of another', { correlationId: 'unknown' }],
    ['without an id', {}],
  ])('is counted, and logged: %s', async (_what, own) => {
    const { queue, broker } = await opened();
    const asked = queue.request({ queue: 'work', body: 1 }, { timeout: 1000 });
    await later();
    const { replyTo } = broker.messages('work')[0]!.properties;
    broker.put({ queue: replyTo!, body: 1, ...own });
    await later();
    expect(queue.metrics.unclaimed).toBe(1);
    const [error] = await Promise.all([rejection(asked), later(1000)]);
    expect(error).toMatchObject({ code: 'REPLY_TIMEOUT' });
  });
});
