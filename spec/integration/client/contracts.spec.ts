import {
  bytes,
  defineExchange,
  defineQueue,
  handle,
  json,
  type Delivery,
  type InstanceQueue,
  type InstanceQueueOptions,
} from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { firstValueFrom } from 'rxjs';
import { z } from 'zod';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

const given = rabbitmqFixture();

const order = z.object({ id: z.number(), at: z.string().transform((at) => new Date(at)) });
const paid = json(z.object({ paid: z.number() }));
const cancelled = json(z.object({ reason: z.string() }));
const good = { id: 1, at: '2026-01-02T00:00:00.000Z' };

type NewQueue = (options?: Omit<InstanceQueueOptions, 'url'>) => InstanceQueue;
const BROKERS: readonly (readonly [name: string, create: NewQueue])[] = [
  ['RabbitMQ', (options) => given.newClient(options)],
  ['the broker in memory', (options) => closing(new FakeInstanceQueue(options))],
];

describe.each(BROKERS)('with %s', (name, newQueue) => {
  const real = name === 'RabbitMQ';
  /** Names of their own, deleted after the test. */
  const named = (): string => {
    const queue = uniqueName();
    if (real) given.bystander.deletesQueue(queue);
    return queue;
  };
  const exchangeNamed = (): string => uniqueName();
  const newEvents = () =>
    defineExchange({
      name: exchangeNamed(),
      type: 'topic',
      autoDelete: true,
      messages: { 'order.paid': paid, 'order.*.cancelled': cancelled, 'raw.#': bytes },
    });

  it('a queue contract is declared by its spec, and its bodies are written and read by its codec', async () => {
    const orders = defineQueue({ name: named(), maxLength: 10, body: json(order) });
    const queue = newQueue();
    await queue.send({ queue: orders, body: good });
    expect(await queue.admin.inspect(orders)).toMatchObject({ messages: 1 });
    // Declared otherwise it would be refused.
    await expect(queue.admin.declare({ queues: [{ name: orders.name, maxLength: 11 }] })).rejects.toMatchObject({
      replyCode: 406,
    });
    const delivery = await firstValueFrom(queue.consume({ queue: orders }));
    expect(delivery.body).toEqual({ id: 1, at: new Date(good.at) });
    delivery.ack();
  });

  it('a wrong body is not sent, and one that arrives is undecodable', async () => {
    const orders = defineQueue({ name: named(), body: json(order) });
    const queue = newQueue();
    await expect(queue.send({ queue: orders, body: { nonsense: true } as never })).rejects.toMatchObject({
      code: 'PUBLISH_INVALID',
      message: expect.stringContaining('`body.id`, `body.at`') as string,
    });
    expect(queue.state.producer.status).toBe('disconnected');
    const consumer = closing(queue.consumer({ queue: orders }));
    const refused: string[] = [];
    consumer.on('undecodable', (_message, cause) => refused.push(cause.message));
    const { values } = collect(consumer.deliveries$);
    await queue.send({ queue: orders.name, body: { nonsense: true } });
    await queue.send({ queue: orders.name, body: good });
    await eventually(() => values.length === 1);
    expect(refused).toEqual([expect.stringContaining('The schema (zod) refuses the body at `body.id`, `body.at`.')]);
    values[0]!.ack();
  });

  it('an exchange contract is declared before the first message to it, whose codec its routing key decides', async () => {
    const events = newEvents();
    const everything = defineQueue({ name: named(), bind: [events.on()] });
    const queue = newQueue();
    const consumer = closing(queue.consumer({ queue: everything }));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await queue.send({ exchange: events, routingKey: 'order.paid', body: { paid: 1 } });
    await queue.send({ exchange: events, routingKey: 'order.de.cancelled', body: { reason: 'late' } });
    await queue.send({ exchange: events, routingKey: 'raw.a.b', body: Buffer.from('raw') });
    await eventually(() => values.length === 3);
    expect(values.map(({ routingKey, body }) => [routingKey, body])).toEqual([
      ['order.paid', { paid: 1 }],
      ['order.de.cancelled', { reason: 'late' }],
      ['raw.a.b', Buffer.from('raw')],
    ]);
    for (const delivery of values) delivery.ack();
  });

  it('an exchange that nothing else declares is there for the first message, and again when it was deleted', async () => {
    const events = newEvents();
    const queue = newQueue();
    const send = () => queue.send({ exchange: events, routingKey: 'order.paid', body: { paid: 1 }, mandatory: false });
    await send();
    await queue.admin.delete({ exchange: events });
    await send();
    await expect(queue.admin.delete({ exchange: events })).resolves.toBe(0);
  });

  it('a key that the contract does not have is refused, with a suggestion', async () => {
    const events = newEvents();
    const queue = newQueue();
    const sending = queue.send({ exchange: events, routingKey: 'order.pad' as never, body: { paid: 1 } });
    await expect(sending).rejects.toMatchObject({
      code: 'PUBLISH_INVALID',
      message: `This message cannot be sent: The contract of exchange \`${events.name}\` has no message \`order.pad\`. Did you mean \`order.paid\`? Its messages: order.paid, order.*.cancelled, raw.#.`,
    });
    for (const routingKey of ['order.*.cancelled', 'order.de.by.cancelled', '', undefined])
      await expect(queue.send({ exchange: events, routingKey: routingKey as never, body: {} })).rejects.toMatchObject({
        code: 'PUBLISH_INVALID',
      });
  });

  it('a queue gets what it is bound to, and keeps its types after a retry', async () => {
    const events = newEvents();
    const shipping = defineQueue({ name: named(), bind: [events.on('order.paid', 'order.*.cancelled')] });
    const queue = newQueue({ topology: { queues: [shipping] } });
    const got: unknown[] = [];
    queue
      .consume({ queue: shipping })
      .pipe(
        handle(
          ({ body, deliveryCount, routingKey }) => {
            got.push([routingKey, body, deliveryCount]);
            if (deliveryCount === 0) throw new Error('again');
          },
          { onError: queue.retry({ attempts: 2, delay: 10 }) },
        ),
      )
      .subscribe();
    await queue.send({ exchange: events, routingKey: 'order.paid', body: { paid: 7 } });
    await eventually(() => got.length === 2);
    expect(got).toEqual([
      ['order.paid', { paid: 7 }, 0],
      ['order.paid', { paid: 7 }, 1],
    ]);
  });

  it('what comes some other way is undecodable without a `body`, and read by it otherwise', async () => {
    const events = newEvents();
    const strict = defineQueue({ name: named(), bind: [events.on('order.paid')] });
    const loose = defineQueue({ name: named(), bind: [events.on('order.paid')], body: json<string>() });
    const queue = newQueue();
    const consumer = closing(queue.consumer({ queue: strict }));
    const refused: string[] = [];
    consumer.on('undecodable', (_message, cause) => refused.push(cause.message));
    collect(consumer.deliveries$);
    const { values } = collect<Delivery<unknown>>(queue.consume({ queue: loose }));
    await queue.send({ queue: strict.name, body: 'other' });
    await queue.send({ queue: loose, body: 'other' });
    await eventually(() => refused.length === 1 && values.length === 1);
    expect(refused[0]).toContain(`has no message \`${strict.name}\` of exchange \`\`.`);
    expect(values[0]!.body).toBe('other');
    values[0]!.ack();
    await expect(queue.send({ queue: strict, body: 'other' as never })).rejects.toMatchObject({
      code: 'PUBLISH_INVALID',
      message: expect.stringContaining('its contract has no `body` to send to it.') as string,
    });
  });

  it('a queue that the broker names is bound as well', async () => {
    const events = newEvents();
    const own = defineQueue({ name: '', bind: [events.on('order.paid')] });
    const queue = newQueue();
    const consumer = closing(queue.consumer({ queue: own }));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await queue.send({ exchange: events, routingKey: 'order.paid', body: { paid: 1 } });
    await eventually(() => values.length === 1);
    values[0]!.ack();
  });

  it('requests and replies go by the contract', async () => {
    const prices = defineQueue({ name: named(), body: json(z.string()), reply: json(z.number()) });
    const queue = newQueue();
    queue.respond({ queue: prices }, ({ body }) => body.length).subscribe();
    await eventually(() => queue.health.consumers[0]?.status === 'attached');
    expect((await queue.request({ queue: prices, body: 'apple' })).body).toBe(5);
    await expect(queue.request({ queue: prices, body: 5 as never })).rejects.toMatchObject({ code: 'PUBLISH_INVALID' });
    await expect(queue.request({ queue: prices, body: 'apple' }, { codec: json(z.string()) })).rejects.toMatchObject({
      code: 'OPTIONS_INVALID',
      option: 'codec',
    });
  });

  it('producers, streams of messages and `admin` take contracts', async () => {
    const orders = defineQueue({ name: named(), body: json(order) });
    const queue = newQueue();
    await queue.producer().send({ queue: orders, body: good });
    await firstValueFrom(queue.publish([{ queue: orders, body: good }]));
    const first = await queue.admin.get(orders);
    expect(first?.body).toEqual({ id: 1, at: new Date(good.at) });
    first?.ack();
    expect(await queue.admin.purge(orders)).toBe(1);
    await queue.send({ queue: orders.name, body: 'nonsense' });
    await expect(queue.admin.get(orders)).rejects.toMatchObject({ code: 'UNDECODABLE' });
    await queue.admin.delete({ queue: orders });
    expect(await queue.admin.inspect(orders)).toBeUndefined();
  });

  it("`names: 'declared'` knows the names of contracts, once they are used", async () => {
    const events = newEvents();
    const orders = defineQueue({ name: named(), body: json(order), bind: [events.on('order.paid')] });
    const queue = newQueue({ names: 'declared' });
    await expect(queue.send({ queue: orders.name, body: good })).rejects.toMatchObject({ code: 'PUBLISH_INVALID' });
    await queue.send({ queue: orders, body: good });
    await queue.send({ queue: orders.name, body: good });
    await queue.send({ exchange: events.name, routingKey: 'order.paid', body: { paid: 1 } });
    await expect(queue.send({ queue: `${orders.name}x`, body: 1 })).rejects.toThrow(`Did you mean \`${orders.name}\`?`);
  });

  it('a codec beside a contract is refused at once', () => {
    const orders = defineQueue({ name: named(), body: json(order) });
    const queue = newQueue();
    expect(() => queue.consume({ queue: orders, codec: bytes as never })).toThrow('Expected no `codec`');
  });
});

test('the broker in memory puts and shows messages of contracts', async () => {
  const orders = defineQueue({ name: 'orders', body: json(order) });
  const queue = closing(new FakeInstanceQueue());
  queue.broker.put({ queue: orders, body: good });
  expect(queue.broker.messages(orders)).toMatchObject([{ body: good }]);
  const delivery = await firstValueFrom(queue.consume({ queue: orders }));
  expect(delivery.body.at).toEqual(new Date(good.at));
  delivery.ack();
});
