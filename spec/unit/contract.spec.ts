import { defineExchange, defineQueue, json, OptionsError, text } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closeAll, closing } from '../support/closing';
import { collect } from '../support/collect';
import { publishError } from '../support/publish-error';

const events = defineExchange({
  name: 'events',
  type: 'topic',
  messages: { 'order.paid': json<number>(), 'order.*.cancelled': text, 'order.#': json<string>() },
});

afterEach(closeAll);

describe('the contract of an exchange', () => {
  it.each<[string, object | string, RegExp]>([
    ['no object', 'events', /Expected `defineExchange\(\)` to be an exchange spec with `messages`/],
    ['without messages', { name: 'e', type: 'topic' }, /Expected `messages` to be an object of routing keys/],
    ['whose message has no codec', { name: 'e', type: 'topic', messages: { a: 5 } }, /Expected `messages\['a'\]`/],
    [
      'that is direct and has a pattern',
      { name: 'e', type: 'direct', messages: { 'a.*': text } },
      /Exchange `e` is direct and knows no patterns, got `a\.\*`/,
    ],
    ['with a spec that is wrong', { name: 'e', type: 'topic', durabel: true, messages: { a: text } }, /durabel/],
  ])('%s is refused', (_what, definition, sentence) => {
    const define = (): unknown => defineExchange(definition as Parameters<typeof defineExchange>[0]);
    expect(define).toThrow(OptionsError);
    expect(define).toThrow(sentence);
  });

  it('encodes each message with the codec of its key, of its most specific pattern otherwise', async () => {
    const queue = closing(new FakeInstanceQueue());
    const all = collect(queue.consume({ queue: { name: 'all' }, topology: bindingOf('all'), noAck: true }));
    await queue.rest();
    await queue.send({ exchange: events, routingKey: 'order.paid', body: 5 });
    await queue.send({ exchange: events, routingKey: 'order.de.cancelled', body: 'late' });
    await queue.send({ exchange: events, routingKey: 'order.other', body: 'text' });
    await queue.rest();
    expect(all.values.map(({ content, properties }) => [content.toString(), properties.contentType])).toEqual([
      ['5', 'application/json'],
      ['late', 'text/plain; charset=utf-8'],
      ['"text"', 'application/json'],
    ]);
  });

  it('refuses a routing key that it does not know, and says which one may be meant', async () => {
    const queue = closing(new FakeInstanceQueue());
    const paid = defineExchange({ name: 'events', type: 'direct', messages: { paid: text, sent: text } });
    const error = await publishError(queue.send({ exchange: paid, routingKey: 'payd' as 'paid', body: 'x' }));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID' });
    expect(error.message).toContain(
      'The contract of exchange `events` has no message `payd`. Did you mean `paid`? Its messages: paid, sent.',
    );
    const unlike = await publishError(queue.send({ exchange: paid, routingKey: 'refunds' as 'paid', body: 'x' }));
    expect(unlike.message).toContain('has no message `refunds`. Its messages: paid, sent.');
  });
});

const bindingOf = (queue: string): object => ({
  exchanges: [{ name: 'events', type: 'topic' }],
  bindings: [{ exchange: 'events', queue, routingKey: '#' }],
});

describe('the contract of a queue', () => {
  it.each<[string, object | string, RegExp]>([
    ['no object', 'orders', /Expected `defineQueue\(\)` to be a queue spec with a `body`/],
    ['without a body', { name: 'q' }, /Expected `body` to be a codec, unless `bind` says/],
    ['without a body, bound to nothing', { name: 'q', bind: [] }, /Expected `body` to be a codec, unless `bind` says/],
    ['whose body is no codec', { name: 'q', body: 5 }, /Expected `body`/],
    ['whose reply is no codec', { name: 'q', body: text, reply: {} }, /Expected `reply`/],
    [
      'bound to something else',
      { name: 'q', bind: [{ exchange: 'e' }] },
      /Expected `bind` to be an array of what `on\(\)`/,
    ],
    ['bound to something else beside', { name: 'q', bind: [events.on('order.paid'), {}] }, /Expected `bind`/],
    ['with a spec that is wrong', { name: 'q', body: text, durabel: true }, /durabel/],
  ])('%s is refused', (_what, definition, sentence) => {
    const define = (): unknown => defineQueue(definition as unknown as Parameters<typeof defineQueue>[0]);
    expect(define).toThrow(OptionsError);
    expect(define).toThrow(sentence);
  });

  it('reads each message by the exchange and the key that it came with, and others by its body', async () => {
    const queue = closing(new FakeInstanceQueue());
    const orders = defineQueue({
      name: 'orders',
      body: json<number>(),
      bind: [events.on('order.paid'), events.on('order.*.cancelled')],
    });
    const deliveries = collect(queue.consume({ queue: orders, noAck: true }));
    const undecodable: string[] = [];
    await queue.rest();
    await queue.send({ exchange: events, routingKey: 'order.paid', body: 5 });
    await queue.send({ exchange: events, routingKey: 'order.de.cancelled', body: '7' });
    await queue.send({ queue: orders, body: 9 });
    await queue.rest();
    expect(deliveries.values.map(({ body }) => body)).toEqual([5, '7', 9]);
    expect(undecodable).toEqual([]);
  });

  it('without a body takes nothing that is sent to the queue itself, and no key that it is not bound to', async () => {
    const queue = closing(new FakeInstanceQueue());
    const paid = defineQueue({ name: 'paid', bind: [events.on('order.paid')] });
    const consumer = queue.consumer({ queue: paid });
    const undecodable: string[] = [];
    consumer.on('undecodable', (_message, cause) => undecodable.push(String(cause)));
    const deliveries = collect(consumer.deliveries$);
    await queue.rest();
    const error = await publishError(queue.send({ queue: paid as never, body: 5 }));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID' });
    expect(error.message).toContain('Queue `paid` gets its messages from the exchanges it is bound to');
    queue.broker.put({ queue: 'paid', body: 5 });
    await queue.rest();
    expect(deliveries.values).toEqual([]);
    expect(undecodable).toEqual([expect.stringContaining('has no message `paid` of exchange ``')]);
  });

  it('reads by each of the keys that one binding names, and by no other', async () => {
    const queue = closing(new FakeInstanceQueue());
    const orders = defineQueue({ name: 'orders', bind: [events.on('order.paid', 'order.*.cancelled')] });
    const deliveries = collect(queue.consume({ queue: orders, noAck: true }));
    await queue.rest();
    await queue.send({ exchange: events, routingKey: 'order.paid', body: 5 });
    await queue.send({ exchange: events, routingKey: 'order.de.cancelled', body: '7' });
    const other = { exchange: events, routingKey: 'order.sent', body: 'x' } as const;
    expect(await publishError(queue.send(other))).toMatchObject({ code: 'PUBLISH_RETURNED' });
    await queue.rest();
    expect(deliveries.values.map(({ body }) => body)).toEqual([5, '7']);
  });

  it('is not bound to a key that the exchange does not have, and says which one may be meant', () => {
    const strict = defineExchange({ name: 'e', type: 'topic', messages: { 'order.paid': text } });
    const bind = (key: string): unknown => strict.on(key as 'order.paid');
    expect(() => bind('order.piad')).toThrow('Exchange `e` has no message `order.piad`. Did you mean `order.paid`?');
    expect(() => bind('invoice')).toThrow(/^Exchange `e` has no message `invoice`\.$/);
    expect(() => bind('*.paid')).not.toThrow();
  });

  it.each(['fanout', 'headers'])(
    'reads all that an exchange of type %s brings, which looks at no key',
    async (type) => {
      const all = defineExchange({ name: `all.${type}`, type, messages: { paid: text, sent: json<number>() } });
      const one = (): unknown => defineQueue({ name: 'q', bind: [all.on('paid')] });
      expect(one).toThrow(OptionsError);
      expect(one).toThrow(`exchange \`all.${type}\` brings every message, whatever its key, also \`sent\``);
      const queue = closing(new FakeInstanceQueue());
      const bodies: unknown[] = [];
      for (const contract of [
        defineQueue({ name: 'q', bind: [all.on()] }),
        defineQueue({ name: 'q.each', bind: [all.on('paid'), all.on('sent')] }),
        defineQueue({ name: 'q.others', bind: [all.on('paid')], body: json<number>() }),
      ])
        queue.consume({ queue: contract, noAck: true }).subscribe(({ body }) => bodies.push(body));
      await queue.rest();
      await queue.send({ exchange: all, routingKey: 'sent', body: 1 });
      await queue.rest();
      expect([bodies, queue.metrics.undecodable]).toEqual([[1, 1, 1], 0]);
    },
  );

  it('declares each exchange that it is bound to once, and none that the broker has', async () => {
    const queue = closing(new FakeInstanceQueue());
    const topic = defineExchange({ name: 'amq.topic', type: 'topic', messages: { 'a.*': text } });
    const letters = defineQueue({ name: 'letters', bind: [topic.on(), topic.on('a.b'), events.on(), events.on()] });
    const declared = jest.spyOn(queue.broker.vhost, 'declareExchange');
    collect(queue.consume({ queue: letters }));
    await queue.rest();
    expect(declared.mock.calls.map(([name]) => name)).toEqual(['events']);
    expect(queue.broker.put({ exchange: 'amq.topic', routingKey: 'a.c', body: 'x' })).toBe(true);
  });

  it('declares the exchanges that it is bound to, and the bindings', async () => {
    const queue = closing(new FakeInstanceQueue());
    const orders = defineQueue({ name: 'orders', bind: [events.on()] });
    collect(queue.consume({ queue: orders }));
    await queue.rest();
    expect(queue.broker.put({ exchange: 'events', routingKey: 'order.at.all', body: 1 })).toBe(true);
    expect(queue.broker.put({ exchange: 'events', routingKey: 'invoice', body: 1 })).toBe(false);
  });
});
