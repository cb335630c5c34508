import {
  defineExchange,
  defineQueue,
  json,
  type InstanceQueue,
  type Message,
  type OutboundMessage,
} from 'instance-queue';
import { from, lastValueFrom, toArray } from 'rxjs';
import { runInNewContext } from 'node:vm';
import { collect } from '../collect';
import { publishError } from '../publish-error';
import { uniqueName } from '../unique-name';
import { eventually, until } from '../waiting';
import type { BrokerUnderTest, StoredMessage } from './broker-under-test';

const PREFIX = 'instance-queue.delay.v1.';
const KINDS = ['quorum', 'classic'] as const;

interface Arrival {
  readonly message: Message<unknown>;
  readonly at: number;
}

/** What holds for messages with a `delay` or an `at`, on any broker. */
export function delayingLaws(given: { readonly broker: BrokerUnderTest }): void {
  const consuming = (queue: InstanceQueue, name: string): readonly Arrival[] => {
    const arrivals: Arrival[] = [];
    queue.consume({ queue: name, noAck: true }).subscribe((message) => {
      arrivals.push({ message, at: performance.now() });
    });
    return arrivals;
  };
  /** The message with this id among those stranded: another law's queue may have been deleted while a message for it waited. */
  const stranded = (messageId: string): Promise<StoredMessage> =>
    eventually(async () => {
      const taken = await given.broker.takeMessages(`${PREFIX}classic.stranded`, 1);
      return taken.find((message) => message.messageId === messageId);
    });
  const client = (delayIn: (typeof KINDS)[number]): InstanceQueue => given.broker.newClient({ producer: { delayIn } });

  describe.each(KINDS)('a message that waits in %s queues', (kind) => {
    it('arrives when its time has come, not before, and as it was sent', async () => {
      const name = await given.broker.declareQueue();
      const queue = client(kind);
      const arrivals = consuming(queue, name);
      await queue.send({ queue: name, body: 'warm', delay: 600 });
      const timestamp = new Date(1_700_000_000_000);
      const properties = {
        messageId: 'm1',
        correlationId: 'c1',
        replyTo: 'answers',
        type: 'order',
        appId: 'shop',
        timestamp,
        priority: 3,
        expiration: 60_000,
        headers: { mine: { a: [1, 'two'] } },
      };
      const began = performance.now();
      const confirmation = await queue.send({ queue: name, body: { id: 1 }, delay: 1000, ...properties });
      expect(confirmation).toMatchObject({ messageId: 'm1', attempts: 1 });
      expect(performance.now() - began).toBeLessThan(1000);
      const { message, at } = await eventually(() => arrivals[1]);
      expect(at - began).toBeGreaterThanOrEqual(1000);
      expect(message).toMatchObject({
        body: { id: 1 },
        exchange: '',
        routingKey: name,
        redelivered: false,
        deliveryCount: 0,
      });
      expect(message.properties).toMatchObject(properties);
      expect(message.properties.headers).toEqual({ mine: { a: [1, 'two'] } });
    });

    it('is not late because others of another priority wait as well', async () => {
      const name = await given.broker.declareQueue();
      const queue = client(kind);
      const arrivals = consuming(queue, name);
      await queue.send({ queue: name, body: 'warm', priority: 0, delay: 20 });
      const began = performance.now();
      await queue.send({ queue: name, body: 'low', priority: 0, delay: 300 });
      const low = (): boolean => arrivals.some(({ message }) => message.body === 'low');
      for (let at = began + 50; !low() && at < began + 2000; at += 50) {
        await queue.send({ queue: name, body: 'another', delay: 300 });
        await eventually(() => low() || performance.now() >= at);
      }
      expect(performance.now() - began).toBeLessThan(1000);
    });

    it('keeps its exchange and its routing key', async () => {
      const exchange = uniqueName('exchange');
      const name = given.broker.freeQueueName();
      const queue = client(kind);
      await queue.admin.declare({
        exchanges: [{ name: exchange, type: 'topic' }],
        queues: [{ name }],
        bindings: [{ exchange, queue: name, routingKey: 'orders.#' }],
      });
      const arrivals = consuming(queue, name);
      await queue.send({ exchange, routingKey: 'orders.eu.paid', body: 1, delay: 100 });
      await queue.send({ exchange, routingKey: 'orders.us.paid', body: 2, delay: 100 });
      await eventually(() => arrivals.length === 2);
      expect(arrivals.map(({ message: { exchange, routingKey, body } }) => ({ exchange, routingKey, body }))).toEqual(
        expect.arrayContaining([
          { exchange, routingKey: 'orders.eu.paid', body: 1 },
          { exchange, routingKey: 'orders.us.paid', body: 2 },
        ]),
      );
      await given.broker.deleteExchange(exchange);
    });

    it('is confirmed by a level, which is declared again after it was deleted', async () => {
      const name = await given.broker.declareQueue();
      const queue = client(kind);
      const arrivals = consuming(queue, name);
      await queue.send({ queue: name, body: 1, delay: 300 });
      await given.broker.deleteQueue(`${PREFIX}${kind}.8`);
      await queue.send({ queue: name, body: 2, delay: 300 });
      await given.broker.deleteExchange(`${PREFIX}${kind}.8.enter`);
      await queue.send({ queue: name, body: 3, delay: 300 });
      // The first one went with its level if that was deleted in time; the other two may arrive in either order.
      const arrived = (body: number): boolean => arrivals.some(({ message }) => message.body === body);
      await eventually(() => arrived(2) && arrived(3));
    });

    it('comes back to a queue that goes with its connection', async () => {
      const queue = client(kind);
      const named = queue.consumer({ queue: '' });
      const { values } = collect(named.deliveries$);
      const state = await until(named.state$, ({ status }) => status === 'attached');
      await queue.send({ queue: state.status === 'attached' ? state.queue : '', body: 1, delay: 100 });
      const mine = given.broker.freeQueueName();
      const arrivals = collect(queue.consume({ queue: { name: mine, exclusive: true } }));
      await until(queue.health$, ({ status }) => status === 'up');
      await queue.send({ queue: mine, body: 2, delay: 100 });
      await eventually(() => values.length + arrivals.values.length === 2);
    });
  });

  it('a level that was deleted while a message waits above it does not make that message come early', async () => {
    const name = await given.broker.declareQueue();
    const queue = client('classic');
    const arrivals = consuming(queue, name);
    await queue.send({ queue: name, body: 'warm', delay: 2000 });
    await eventually(() => arrivals.length === 1);
    // What is left of it when it is written takes the levels of 1024 and of 512 ms, unless that takes 464 ms. The first lasts long enough
    // for the second to be deleted meanwhile.
    const messageId = uniqueName();
    await queue.send({ queue: name, body: 1, delay: 2000, messageId });
    await given.broker.deleteQueue(`${PREFIX}classic.9`);
    expect(await stranded(messageId)).toMatchObject({ body: 1 });
    expect(arrivals).toHaveLength(1);
  });

  it('a message whose classic way ends at a deleted queue is stranded, and no more is lost', async () => {
    const name = await given.broker.declareQueue();
    const queue = client('classic');
    const messageId = uniqueName();
    // Long enough for the queue to be deleted before the message is in it.
    await queue.send({ queue: name, body: 'late', delay: 2000, messageId });
    await given.broker.deleteQueue(name);
    expect(await stranded(messageId)).toMatchObject({ body: 'late' });
  });

  it('a dead letter of the target says nothing of levels, and a retry counts from one', async () => {
    const dead = await given.broker.declareQueue();
    const name = await given.broker.declareQueue({ deadLetter: { queue: dead } });
    const queue = given.broker.newClient();
    const seen: unknown[] = [];
    queue.consume({ queue: name }).subscribe((delivery) => {
      seen.push(delivery.deliveryCount);
      delivery.reject();
    });
    const arrivals = consuming(queue, dead);
    await queue.send({ queue: name, body: 1, delay: 100 });
    const { message } = await eventually(() => arrivals[0]);
    expect(seen).toEqual([0]);
    const { headers } = message.properties;
    expect(headers?.['x-death']).toMatchObject([{ queue: name, reason: 'rejected', count: 1 }]);
    expect(headers).toMatchObject({ 'x-first-death-queue': name, 'x-first-death-reason': 'rejected' });
    expect(Object.keys(headers ?? {}).filter((header) => header.startsWith('iq-delay'))).toEqual([]);
  });

  it('`at` is a time, also one of another realm; one that has passed means now, as does a delay of 0', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const arrivals = consuming(queue, name);
    await queue.send({ queue: name, body: 'past', at: new Date(Date.now() - 1000) });
    await queue.send({ queue: name, body: 'zero', delay: 0 });
    await eventually(() => arrivals.length === 2);
    const due = Date.now() + 500;
    const at = runInNewContext('new Date(due)', { due }) as Date;
    await queue.send({ queue: name, body: 'foreign', at });
    await eventually(() => arrivals.length === 3);
    expect(Date.now()).toBeGreaterThanOrEqual(due);
    expect(arrivals.map(({ message }) => message.properties.headers ?? {})).toEqual([{}, {}, {}]);
  });

  it('works for all that sends: contracts, streams of messages, and many at once', async () => {
    const orders = defineQueue({ name: given.broker.freeQueueName(), body: json<{ id: number }>() });
    const messages = { 'order.paid': json<{ id: number }>() };
    const events = defineExchange({ name: uniqueName('exchange'), type: 'topic', messages });
    const queue = given.broker.newClient();
    await queue.admin.declare({
      exchanges: [events],
      queues: [orders],
      bindings: [{ exchange: events.name, queue: orders.name, routingKey: '#' }],
    });
    const arrivals = consuming(queue, orders.name);
    const began = performance.now();
    await queue.send({ queue: orders, body: { id: 1 }, delay: 100 });
    await queue.send({ exchange: events, routingKey: 'order.paid', body: { id: 2 }, delay: 100 });
    const many: OutboundMessage[] = [3, 4].map((id) => ({ queue: orders.name, body: { id }, delay: 100 }));
    await lastValueFrom(queue.publish(many).pipe(toArray()));
    await lastValueFrom(from(many).pipe(queue.publish(), toArray()));
    await eventually(() => arrivals.length === 6);
    for (const { at } of arrivals) expect(at - began).toBeGreaterThanOrEqual(100);
    await given.broker.deleteExchange(events.name);
  });

  it('a target that does not exist is refused at once', async () => {
    const queue = given.broker.newClient({ producer: { declare: false } });
    const missing = { queue: given.broker.freeQueueName(), body: 1, delay: 500 };
    expect(await publishError(queue.send(missing))).toMatchObject({ code: 'PUBLISH_RETURNED', maybeDelivered: false });
    const nowhere = { exchange: uniqueName('exchange'), routingKey: 'a', body: 1, delay: 500 };
    expect(await publishError(queue.send(nowhere))).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404 });
    const name = given.broker.freeQueueName();
    await given.broker.newClient().send({ queue: name, body: 1, delay: 50 });
    expect(await given.broker.takeMessages(name, 1)).toMatchObject([{ body: 1 }]);
  });

  it.each([
    [{ delay: -1 }, 'delay'],
    [{ delay: Number.NaN }, 'delay'],
    [{ delay: 9 * 366 * 86_400_000 }, 'delay'],
    [{ delay: '5' as unknown as number }, 'delay'],
    [{ at: new Date(Number.NaN) }, 'at'],
    [{ at: 5 as unknown as Date }, 'at'],
    [{ at: new Date(Date.now() + 9 * 366 * 86_400_000) }, '8 years'],
    [{ delay: 5, at: new Date() }, 'not both'],
    [{ delay: 5, headers: { CC: ['a'] } }, 'CC'],
  ])('%p is refused at once', async (wrong, word) => {
    const queue = given.broker.newClient();
    const error = await publishError(queue.send({ queue: 'never', body: 1, ...wrong }));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', maybeDelivered: false });
    expect(error.message).toContain(word);
  });

  it('a request cannot be delayed', async () => {
    const queue = given.broker.newClient();
    const error = await publishError(queue.request({ queue: 'never', body: 1, delay: 5 }));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', message: expect.stringContaining('delay') as string });
  });
}
