import { bytes, json, OptionsError, type PartitionedOptions, text } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

function given<T = number>(more: Partial<PartitionedOptions<T>> = {}) {
  const broker = new MemoryBroker();
  const queue = closing(new FakeInstanceQueue({ broker }));
  const orders = queue.partitioned<T>({ name: 'orders', partitions: 2, ...more });
  const bodies = (): unknown[] => broker.published.map(({ body }) => body);
  return { broker, queue, orders, bodies };
}
/** When something has settled, in ms from now. */
function clocked(settling: Promise<unknown>): { readonly after: () => number | undefined } {
  const began = performance.now();
  let after: number | undefined;
  const note = (): void => void (after = Math.round(performance.now() - began));
  settling.then(note, note);
  return { after: () => after };
}

describe('a keyed message', () => {
  it('is published with what it says, and without its key', async () => {
    const { broker, orders } = given();
    const at = new Date(1_600_000_000_000);
    const said = { messageId: 'm', type: 't', headers: { tenant: 'x' }, priority: 3, timestamp: at };
    await orders.send({ key: 'a', body: 1, ...said });
    await orders.send({ key: 'a', body: 2 });
    const [first, second] = broker.published;
    expect(first).toMatchObject({ exchange: 'orders', body: 1, properties: said });
    expect(first?.properties).not.toHaveProperty('key');
    expect(second).toMatchObject({ exchange: 'orders', body: 2, routingKey: first?.routingKey });
    expect(second?.properties).not.toHaveProperty('type');
  });

  it('whose members are getters of its class is published whole, also if it waits for its turn or has to be sent again', async () => {
    class Order {
      readonly #customer: string;
      constructor(customer: string) {
        this.#customer = customer;
      }
      get key(): string {
        return this.#customer;
      }
      get body(): number {
        return this.#customer.length;
      }
      get type(): string {
        return `order of ${this.#customer}`;
      }
      get headers(): Record<string, unknown> {
        return { customer: this.#customer };
      }
    }
    const { broker, orders } = given();
    const sent = (): Promise<unknown> => orders.send(new Order('anna'));
    await sent();
    broker.nackNext(1);
    const both = Promise.all([sent(), sent()]);
    await later(1000);
    await both;
    const said = { body: 4, properties: { type: 'order of anna', headers: { customer: 'anna' } } };
    expect(broker.published).toMatchObject([said, said, said, said]);
  });

  const cause = new Error('not yet');
  it.each<[string, object]>([
    [
      'key',
      {
        get key(): never {
          throw cause;
        },
        body: 1,
        messageId: 'm',
      },
    ],
    [
      'body',
      {
        key: 'a',
        get body(): never {
          throw cause;
        },
        messageId: 'm',
      },
    ],
    [
      'headers',
      {
        key: 'a',
        body: 1,
        get headers(): never {
          throw cause;
        },
        messageId: 'm',
      },
    ],
  ])('whose `%s` throws is refused, with the error as the cause', async (_, message) => {
    const { orders, broker } = given();
    const refused = await rejection(orders.send(message as never));
    expect(refused).toMatchObject({ code: 'PUBLISH_INVALID', messageId: 'm', cause, maybeDelivered: false });
    expect(broker.published).toEqual([]);
    await orders.send({ key: 'a', body: 2 });
    expect(await rejection(orders.send(message as never))).toMatchObject({ code: 'PUBLISH_INVALID', cause });
  });

  it('is written by the codec of its queue, or else by that of all producers', async () => {
    const broker = new MemoryBroker();
    const queue = closing(new FakeInstanceQueue({ broker, producer: { codec: text } }));
    await queue.partitioned({ name: 'orders', partitions: 1 }).send({ key: 'a', body: '1' });
    await queue.partitioned({ name: 'sums', partitions: 1, codec: json() }).send({ key: 'a', body: 1, type: 't' });
    await queue.partitioned({ name: 'raw', partitions: 1, codec: bytes }).send({ key: 'a', body: Buffer.of(1) });
    expect(broker.published.map(({ content, properties: { contentType } }) => [[...content], contentType])).toEqual([
      [[0x31], 'text/plain; charset=utf-8'],
      [[0x31], 'application/json'],
      [[1], 'application/octet-stream'],
    ]);
    const refused = await rejection(queue.partitioned({ name: 'orders', partitions: 1 }).send({ key: 'a', body: 1 }));
    expect(refused).toMatchObject({ code: 'PUBLISH_INVALID', message: expect.stringContaining('a string') as unknown });
  });

  it('is sent as it was when it was sent, whatever its sender makes of the message while it waits', async () => {
    const { orders, broker } = given<{ state: string }>();
    const body = { state: 'paid' };
    const message = { key: 'a', body, type: 'paid' };
    const first = orders.send(message);
    message.type = body.state = 'packed';
    const second = orders.send(message);
    message.type = body.state = 'shipped';
    await Promise.all([first, second, later(100)]);
    broker.nackNext(1);
    const third = orders.send(message);
    message.type = body.state = 'delivered';
    await Promise.all([third, later(1000)]);
    const said = broker.published.map(({ body, properties: { type } }) => [body, type]);
    expect(said).toEqual(['paid', 'packed', 'shipped', 'shipped'].map((state) => [{ state }, state]));
  });

  it.each<[string, unknown, string]>([
    ['message', null, 'Expected `message` to be an object with a `key` and a `body`'],
    ['message', 'a', 'Expected `message` to be an object with a `key` and a `body`'],
    ['key', { body: 1 }, 'Expected `key` to be a string'],
    ['key', { key: 7, body: 1 }, 'Expected `key` to be a string'],
  ])('is refused with a wrong `%s`: %j', async (option, message, words) => {
    const { orders, broker } = given();
    const refused = await rejection(orders.send(message as never));
    expect(refused).toBeInstanceOf(OptionsError);
    expect(refused).toMatchObject({ option, message: expect.stringContaining(words) as unknown });
    expect(broker.queues).toEqual([]);
  });

  it('is refused with wrong options, which are named', async () => {
    const { orders } = given();
    const message = { key: 'a', body: 1 };
    expect(await rejection(orders.send(message, { timeout: -1 }))).toMatchObject({ option: 'timeout' });
    expect(String(await rejection(orders.send(message, { timout: 1 } as never)))).toContain(
      'Unknown option `timout` for send(). Did you mean `timeout`?',
    );
  });

  it('that its partition does not take for a while is sent again until it does, with pauses that grow', async () => {
    const { broker, orders } = given();
    await orders.send({ key: 'a', body: 0 });
    broker.nackNext(6);
    const sent = orders.send({ key: 'a', body: 1, messageId: 'm' });
    await later(29_000);
    expect(await sent).toMatchObject({ messageId: 'm' });
    const copies = broker.published.slice(1);
    expect(copies.map(({ body, properties }) => [body, properties.messageId])).toEqual(Array(7).fill([1, 'm']));
  });

  it.each([1500, 12_000])(
    'that its partition does not take before its deadline of %i ms is rejected by then, and the next one is sent',
    async (timeout) => {
      const { broker, orders } = given();
      await orders.send({ key: 'a', body: 0 });
      broker.nackNext(1000);
      const first = orders.send({ key: 'a', body: 1 }, { timeout });
      const [failed, next] = [rejection(first), orders.send({ key: 'a', body: 2 })];
      const time = clocked(first);
      await later(timeout + 1000);
      broker.nackNext(0);
      expect(await failed).toMatchObject({ code: 'PUBLISH_NACKED' });
      expect(time.after()).toBeGreaterThan(timeout / 2);
      expect(time.after()).toBeLessThanOrEqual(timeout + 110);
      await later(5000);
      await next;
      expect(
        broker
          .messages('orders.0')
          .concat(broker.messages('orders.1'))
          .map(({ body }) => body),
      ).toEqual([0, 2]);
    },
  );

  it('whose queue was deleted is sent once more, and its confirmation counts both attempts', async () => {
    const { broker, queue, orders } = given();
    await orders.send({ key: 'a', body: 0 });
    for (const name of ['orders.0', 'orders.1']) broker.deleteQueue(name);
    const sent = orders.send({ key: 'a', body: 1 });
    await later(1000);
    expect(await sent).toMatchObject({ attempts: 2 });
    expect(queue.metrics.returned).toBe(1);
  });

  it.each<[string, string, (broker: MemoryBroker) => void]>([
    ['the broker blocks', 'PUBLISH_TIMEOUT', (broker) => broker.block()],
    [
      'the partitions cannot be declared',
      'PUBLISH_REFUSED',
      (broker) => {
        broker.deleteExchange('orders');
        broker.declare({ exchanges: [{ name: 'orders', type: 'fanout' }] });
      },
    ],
    [
      'the partitions cannot be declared in time',
      'PUBLISH_TIMEOUT',
      (broker) => {
        for (const name of ['orders.0', 'orders.1']) broker.deleteQueue(name);
        broker.returnNext(1);
        broker.disconnect();
      },
    ],
  ])('may be at the broker from an attempt before %s', async (_, code, fail) => {
    const broker = new MemoryBroker();
    const queue = closing(new FakeInstanceQueue({ broker, producer: { onNack: 'reject' } }));
    const orders = queue.partitioned<number>({ name: 'orders', partitions: 2 });
    await orders.send({ key: 'a', body: 0 });
    broker.nackNext();
    const failed = rejection(orders.send({ key: 'a', body: 1, messageId: 'm' }, { timeout: 3000 }));
    await later(20);
    fail(broker);
    await later(5000);
    const error = await failed;
    expect(error).toMatchObject({ code, messageId: 'm', maybeDelivered: true });
    expect(String(error)).not.toMatch(/was not sent\.$/);
  });

  it('that has waited for those in front of it has the rest of its time', async () => {
    const { broker, orders } = given();
    await orders.send({ key: 'a', body: 0 });
    broker.block();
    const first = rejection(orders.send({ key: 'a', body: 1 }, { timeout: 500 }));
    const second = orders.send({ key: 'a', body: 2 }, { timeout: 900 });
    const [failed, time] = [rejection(second), clocked(second)];
    await later(2000);
    expect(await first).toMatchObject({ code: 'PUBLISH_TIMEOUT' });
    expect(await failed).toMatchObject({ code: 'PUBLISH_TIMEOUT' });
    expect(time.after()).toBeGreaterThanOrEqual(890);
    expect(time.after()).toBeLessThan(920);
  });

  it('that has waited has no more than the rest of its time, also where that is long', async () => {
    const { broker, orders } = given();
    await orders.send({ key: 'a', body: 0 });
    broker.block();
    const first = rejection(orders.send({ key: 'a', body: 1 }, { timeout: 1100 }));
    const second = orders.send({ key: 'a', body: 2 }, { timeout: 3500 });
    const [failed, time] = [rejection(second), clocked(second)];
    await later(6000);
    expect(await first).toMatchObject({ code: 'PUBLISH_TIMEOUT' });
    expect(await failed).toMatchObject({ code: 'PUBLISH_TIMEOUT' });
    expect(time.after()).toBeGreaterThanOrEqual(3490);
    expect(time.after()).toBeLessThanOrEqual(3610);
  });

  it('gives up in time where the partitions cannot be declared, and the next one asks again', async () => {
    const { broker, orders } = given();
    broker.disconnect();
    const sent = orders.send({ key: 'a', body: 1, messageId: 'm' }, { timeout: 700 });
    const [failed, time] = [rejection(sent), clocked(sent)];
    await later(1000);
    expect(await failed).toMatchObject({
      code: 'PUBLISH_TIMEOUT',
      messageId: 'm',
      maybeDelivered: false,
      message: expect.stringContaining(
        'The partitions could not be declared in time. The message was not sent.',
      ) as unknown,
    });
    expect(time.after()).toBe(700);
    broker.reconnect();
    const next = orders.send({ key: 'a', body: 2 });
    await later(100);
    expect(await next).toMatchObject({ attempts: 1 });
    expect(broker.published.map(({ body }) => body)).toEqual([2]);
  });

  it.each<[string, string, (given: { abort: () => void; close: () => Promise<unknown> }) => unknown]>([
    ['its signal is aborted', 'PUBLISH_ABORTED', ({ abort }) => abort()],
    ['the queue is closed', 'PUBLISH_CLOSED', ({ close }) => close()],
  ])('that waits to be sent again is given up as soon as %s', async (_, code, giveUp) => {
    const broker = new MemoryBroker();
    const queue = closing(new FakeInstanceQueue({ broker, producer: { onNack: 'reject' } }));
    const orders = queue.partitioned<number>({ name: 'orders', partitions: 2 });
    await orders.send({ key: 'a', body: 0 });
    broker.nackNext(1000);
    const aborting = new AbortController();
    const sent = orders.send({ key: 'a', body: 1, messageId: 'm' }, { signal: aborting.signal });
    const [failed, time] = [rejection(sent), clocked(sent)];
    // Its pauses are two seconds long by then, and one has just begun.
    await later(9300);
    const abort = (): void => {
      aborting.abort(new Error('enough'));
    };
    const closed = giveUp({ abort, close: () => queue.close({ drainTimeout: 0 }) });
    await later(100);
    expect(time.after()).toBeLessThan(9500);
    expect(await failed).toMatchObject({ code, messageId: 'm', maybeDelivered: true });
    await closed;
  });

  it('is not sent any more once its signal is aborted while the partitions are declared', async () => {
    const { broker, orders } = given();
    broker.disconnect();
    const aborting = new AbortController();
    const failed = rejection(orders.send({ key: 'a', body: 1 }, { signal: aborting.signal }));
    await later(10);
    aborting.abort(new Error('enough'));
    expect(await failed).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: false });
    broker.reconnect();
    await later(1000);
    expect(broker.published).toEqual([]);
  });

  it('does not wait for messages of other keys', async () => {
    const { broker, orders } = given({ partitions: 1 });
    await orders.send({ key: 'a', body: 0 });
    broker.nackNext(1);
    const slow = orders.send({ key: 'a', body: 1 });
    const others = ['b', 'c'].map((key) => orders.send({ key, body: 2 }));
    let settled = false;
    void slow.then(() => (settled = true));
    await later(5);
    expect(await Promise.all(others)).toHaveLength(2);
    expect(settled).toBe(false);
    await later(10_000);
    await slow;
  });

  it('keeps no memory of keys whose messages are sent', async () => {
    const { orders } = given();
    for (let key = 0; key < 100; key++) await orders.send({ key: String(key), body: key });
    const closed = clocked(orders.close());
    await later(0);
    expect(closed.after()).toBe(0);
  });
});
