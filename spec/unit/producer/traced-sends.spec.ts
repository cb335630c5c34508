import { tracingChannel } from 'node:diagnostics_channel';
import { Connection, Producer, defineExchange, defineQueue, json } from 'instance-queue';
import { traceSends } from 'instance-queue/opentelemetry';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

const ORDERS = defineQueue({ name: 'orders', body: json() });
const EVENTS = defineExchange({ name: 'events', type: 'topic', messages: { paid: json() } });

/** What a caller without a compiler may send. */
const WRONG: readonly (readonly [what: string, message: () => unknown])[] = [
  ['nothing', () => undefined],
  ['a text', () => 'orders'],
  ['a number', () => 5],
  ['a list', () => ['orders']],
  ['queue null', () => ({ queue: null, body: 1 })],
  ['exchange null', () => ({ exchange: null, routingKey: 'paid', body: 1 })],
  ['queue a number', () => ({ queue: 5, body: 1 })],
  ['queue a list', () => ({ queue: ['orders'], body: 1 })],
  ['queue a symbol', () => ({ queue: Symbol('orders'), body: 1 })],
  ['queue without a name', () => ({ queue: {}, body: 1 })],
  ['queue with the name of a number', () => ({ queue: { name: 5 }, body: 1 })],
  ['routing key a symbol', () => ({ exchange: 'events', routingKey: Symbol('paid'), body: 1 })],
  ['id a symbol', () => ({ queue: 'orders', messageId: Symbol('id'), body: 1 })],
  ['headers a list', () => ({ queue: 'orders', headers: [1], body: 1 })],
  [
    'a body that throws',
    () => ({
      queue: 'orders',
      get body() {
        throw new Error('not yet');
      },
    }),
  ],
  [
    'an id that throws',
    () => ({
      queue: 'orders',
      body: 1,
      get messageId() {
        throw new Error('not yet');
      },
    }),
  ],
  [
    'a getter that throws',
    () => ({
      get queue() {
        throw new Error('not yet');
      },
      body: 1,
    }),
  ],
];

test.each(WRONG)(
  'a message that cannot be sent is refused in the same way while sends are traced: %s',
  async (_, message) => {
    const queue = closing(new FakeInstanceQueue());
    const refusal = async (): Promise<unknown> => {
      const sent = queue.send(message() as never);
      return sent.then(
        () => 'sent',
        (error: unknown) => error,
      );
    };
    const untraced = await refusal();
    const stop = traceSends();
    const traced = await refusal();
    stop();
    expect(untraced).toMatchObject({ code: 'PUBLISH_INVALID' });
    expect(traced).toMatchObject({ code: 'PUBLISH_INVALID', message: (untraced as Error).message });
  },
);

test('a message whose headers cannot be sent is traced with its error', async () => {
  const queue = closing(new FakeInstanceQueue());
  const errors: unknown[] = [];
  const subscribers = {
    start: () => undefined,
    end: () => undefined,
    asyncStart: () => undefined,
    asyncEnd: () => undefined,
    error: ({ error }: { readonly error?: unknown }) => errors.push(error),
  };
  const channel = tracingChannel<unknown, { readonly error?: unknown }>('instance-queue:publish');
  channel.subscribe(subscribers);
  const sent = queue.send({ queue: 'orders', body: 1, headers: { price: NaN } });
  await expect(sent).rejects.toMatchObject({ code: 'PUBLISH_INVALID' });
  channel.unsubscribe(subscribers);
  expect(errors).toEqual([expect.objectContaining({ code: 'PUBLISH_INVALID' })]);
});

test.each<[string, (queue: FakeInstanceQueue) => Promise<unknown>, object]>([
  [
    'a queue',
    (queue) => queue.send({ queue: ORDERS, body: 1, messageId: 'm' }),
    { exchange: '', routingKey: 'orders', messageId: 'm', headers: {} },
  ],
  [
    'an exchange',
    (queue) => queue.send({ exchange: EVENTS, routingKey: 'paid', body: 1, messageId: 'm', headers: { a: 1 } }),
    { exchange: 'events', routingKey: 'paid', messageId: 'm', headers: { a: 1 } },
  ],
  [
    'a queue without an id, which gets one',
    (queue) => queue.send({ queue: 'orders', body: 1 }),
    { exchange: '', routingKey: 'orders', messageId: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown, headers: {} },
  ],
])('a trace says where a message goes: to %s', async (_to, send, said) => {
  const queue = closing(new FakeInstanceQueue());
  queue.broker.declare({
    queues: [{ name: 'orders' }],
    exchanges: [{ name: 'events', type: 'topic' }],
    bindings: [{ exchange: 'events', queue: 'orders', routingKey: '#' }],
  });
  const seen: object[] = [];
  const channel = tracingChannel<unknown, { headers: Record<string, unknown> }>('instance-queue:publish');
  const subscribers = {
    start: (trace: { headers: Record<string, unknown> }) => {
      seen.push({ ...trace, headers: { ...trace.headers } });
      trace.headers['traceparent'] = 'from here';
    },
    end: () => undefined,
    asyncStart: () => undefined,
    asyncEnd: () => undefined,
    error: () => undefined,
  };
  channel.subscribe(subscribers);
  const sent = send(queue);
  await later();
  const confirmation = await sent;
  channel.unsubscribe(subscribers);
  expect(seen).toEqual([said]);
  const { headers, messageId } = said as { readonly headers: object; readonly messageId: unknown };
  expect(queue.broker.messages('orders')).toMatchObject([
    { properties: { messageId, headers: { ...headers, traceparent: 'from here' } } },
  ]);
  expect(confirmation).toMatchObject({ messageId });
});

class Order {
  readonly #id = 7;
  readonly queue = 'orders';
  get body(): unknown {
    return { id: this.#id };
  }
  get type(): string {
    return `order ${String(this.#id)}`;
  }
}

test('a message whose members are getters of its class is sent whole, traced or not', async () => {
  const queue = closing(new FakeInstanceQueue());
  const { values } = collect(queue.consume({ queue: 'orders' }));
  const sent = async (): Promise<unknown> => {
    await Promise.all([queue.send(new Order()), later()]);
    await later();
    const { body, properties } = values.at(-1)!;
    return [values.length, body, properties.type];
  };
  expect(await sent()).toEqual([1, { id: 7 }, 'order 7']);
  const stop = traceSends();
  expect(await sent()).toEqual([2, { id: 7 }, 'order 7']);
  stop();
});

test('what the library sends for itself is in no trace', async () => {
  const broker = new MemoryBroker();
  broker.declare({ name: 'orders' });
  const connection = closing(new Connection('amqp://in-memory', broker.transport));
  const producers = [{ internal: true }, {}].map((inside) => closing(new Producer(connection, {}, inside)));
  const seen: unknown[] = [];
  const subscribers = { start: ({ messageId }: { messageId: string }) => void seen.push(messageId) } as never;
  const channel = tracingChannel('instance-queue:publish');
  channel.subscribe(subscribers);
  const sent = producers.map((producer, i) => producer.send({ queue: 'orders', body: 1, messageId: String(i) }));
  await later();
  channel.unsubscribe(subscribers);
  expect(await Promise.all(sent)).toMatchObject([{ messageId: '0' }, { messageId: '1' }]);
  expect(seen).toEqual(['1']);
});
