import { defineExchange, defineQueue, json, type Message, type OutboundMessage } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

async function opened() {
  const queue = closing(new FakeInstanceQueue({ drainTimeout: 1000 }));
  queue.broker.declare({
    exchanges: [{ name: 'events', type: 'fanout' }],
    queues: [{ name: 'work' }],
    bindings: [{ exchange: 'events', queue: 'work' }],
  });
  const connected = queue.connect();
  await later();
  await connected;
  const ask = (message: object, options = {}): Promise<Message<unknown>> =>
    queue.request(message as OutboundMessage, { timeout: 5000, ...options });
  return { queue, broker: queue.broker, ask };
}

describe('a request', () => {
  const work = defineQueue({ name: 'work', body: json(), reply: json() });
  const events = defineExchange({ name: 'events', type: 'fanout', messages: { asked: json() } });
  const nameless = defineExchange({ name: 'events', type: 'fanout', messages: { '': json() } });

  it.each<[string, object, string, string]>([
    ['a queue by its name', { queue: 'work' }, '', 'work'],
    ['a queue by its contract', { queue: work }, '', 'work'],
    ['an exchange by its name', { exchange: 'events', routingKey: 'asked' }, 'events', 'asked'],
    ['an exchange by its name, without a routing key', { exchange: 'events' }, 'events', ''],
    ['an exchange by its contract', { exchange: events, routingKey: 'asked' }, 'events', 'asked'],
    ['an exchange by its contract, without a routing key', { exchange: nameless }, 'events', ''],
  ])('to %s goes to its exchange and routing key, and gets its reply', async (_, to, exchange, routingKey) => {
    const { queue, broker, ask } = await opened();
    queue.respond({ queue: 'work' }, ({ body }) => ({ got: body })).subscribe();
    const asked = ask({ ...to, body: 1, messageId: 'm' });
    await later();
    expect((await asked).body).toEqual({ got: 1 });
    const [request] = broker.published;
    expect(request).toMatchObject({
      exchange,
      routingKey,
      properties: {
        messageId: 'm',
        expiration: 5000,
        replyTo: expect.stringMatching(/^amq\.rabbitmq\.reply-to/) as string,
      },
    });
    expect(request?.properties.correlationId).not.toBe('m');
  });

  it('whose members are getters of its class is sent whole', async () => {
    class Question {
      readonly #to = 'work';
      get queue(): string {
        return this.#to;
      }
      get body(): number {
        return this.#to.length;
      }
    }
    const { queue, ask } = await opened();
    queue.respond({ queue: 'work' }, ({ body }) => ({ got: body })).subscribe();
    const asked = ask(new Question());
    await later();
    expect((await asked).body).toEqual({ got: 4 });
  });

  it.each(['queue', 'exchange', 'body', 'headers', 'replyTo'])(
    'whose `%s` is a getter that throws is refused, with the error as the cause',
    async (name) => {
      const { queue, ask } = await opened();
      const cause = new Error('not yet');
      const get = (): never => {
        throw cause;
      };
      const question = Object.defineProperty({ messageId: 'm' }, name, { enumerable: true, get });
      const error = await rejection(ask(question));
      expect(error).toMatchObject({ code: 'PUBLISH_INVALID', messageId: 'm', cause, maybeDelivered: false });
      expect(await queue.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
    },
  );

  it('does not outlive its timeout at the broker, though its expiration is given as `undefined`', async () => {
    const { broker, ask } = await opened();
    const asked = rejection(ask({ queue: 'work', body: 1, expiration: undefined }));
    await later(4000);
    expect(broker.messages('work')).toMatchObject([{ properties: { expiration: 5000 } }]);
    await later(1001);
    expect(broker.messages('work')).toEqual([]);
    await asked;
  });

  it('is sent again as it was, whatever its caller makes of the message meanwhile', async () => {
    const { broker, ask } = await opened();
    const question: { queue: string; body: unknown } = { queue: 'work', body: 1 };
    const asked = rejection(ask(question, { idempotent: true }));
    await later();
    question.body = 2;
    broker.disconnect();
    await later();
    broker.reconnect();
    await later(1000);
    expect(broker.published.map(({ body }) => body)).toEqual([1, 1]);
    await later(5000);
    await asked;
  });

  it.each([null, undefined, 5, 'work'])('that is %p is refused', async (message) => {
    const { ask } = await opened();
    const error = await rejection(ask(message as never));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', maybeDelivered: false });
    expect((error as Error).message).toMatch(/^This request cannot be sent: ./);
  });

  it.each([
    ['replyTo', 'A request finds its reply by a `replyTo` of its own: put yours into `headers`, or use send().'],
    [
      'correlationId',
      'A request finds its reply by a `correlationId` of its own: put yours into `headers`, or use send().',
    ],
    [
      'delay',
      'A request has no `delay`: its reply goes to a channel that may be gone by then. Use send(), with a `replyTo` if needed.',
    ],
    [
      'at',
      'A request has no `at`: its reply goes to a channel that may be gone by then. Use send(), with a `replyTo` if needed.',
    ],
  ])('with a `%s` is refused, with what to do instead', async (name, message) => {
    const { ask } = await opened();
    const error = await rejection(ask({ queue: 'work', body: 1, messageId: 'm', [name]: 'mine' }));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', messageId: 'm', message });
  });

  it('to a contract with replies takes no codec beside it', async () => {
    const { ask } = await opened();
    expect(await rejection(ask({ queue: work, body: 1 }, { codec: json() }))).toMatchObject({
      code: 'OPTIONS_INVALID',
      option: 'codec',
      message: expect.stringContaining(
        'Expected no `codec`: the contract of the queue says how its replies are read.',
      ) as string,
    });
  });

  it('is refused once the queue closes', async () => {
    const { queue, ask } = await opened();
    const waiting = rejection(ask({ queue: 'work', body: 1 }));
    await later();
    const closed = queue.close();
    await later();
    expect(await rejection(ask({ queue: 'work', body: 1, messageId: 'm' }))).toMatchObject({
      code: 'PUBLISH_CLOSED',
      messageId: 'm',
      message: 'The queue is closed: it sends no requests.',
      maybeDelivered: false,
    });
    await later(2000);
    await closed;
    expect(await waiting).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
    expect(await rejection(ask({ queue: 'work', body: 1 }))).toMatchObject({
      code: 'PUBLISH_CLOSED',
      message: 'The queue is closed: it sends no requests.',
      maybeDelivered: false,
    });
  });

  it('without a reply says why it ends, whatever ends it', async () => {
    const { queue, broker, ask } = await opened();
    const aborting = new AbortController();
    const late = rejection(ask({ queue: 'work', body: 1 }, { timeout: 20 }));
    const aborted = rejection(ask({ queue: 'work', body: 2 }, { signal: aborting.signal }));
    const cut = rejection(ask({ queue: 'work', body: 3 }));
    await later();
    aborting.abort(new Error('enough'));
    await later(20);
    broker.disconnect();
    await later();
    broker.reconnect();
    await later(100);
    const left = rejection(ask({ queue: 'work', body: 4 }));
    await later();
    const closed = queue.close();
    await later(2000);
    expect(await closed).toMatchObject({ unconfirmed: 1 });
    expect(await Promise.all([late, aborted, cut, left])).toMatchObject([
      {
        code: 'REPLY_TIMEOUT',
        message:
          'No reply came within 20 ms (`timeout`); the request may have been worked on. Does a responder consume from that queue?',
      },
      {
        code: 'PUBLISH_ABORTED',
        message: 'The request was aborted before its reply came; it may have been worked on.',
        cause: new Error('enough'),
      },
      {
        code: 'PUBLISH_UNKNOWN',
        message: 'The channel was lost before the reply came; the request may have been worked on.',
      },
      { code: 'PUBLISH_CLOSED', message: 'Closed before the reply came; the request may have been worked on.' },
    ]);
  });
});
