import type { Codec } from 'instance-queue';
import { MemoryBroker, FakeInstanceQueue } from 'instance-queue/testing';
import { type ChannelError, ConnectionError, PublishError } from '../../../lib/errors';
import { channelRefused } from '../../../lib/transport/link-errors';
import { firstValueFrom, timer } from 'rxjs';
import { closing } from '../../support/closing';
import { fixture } from '../../support/fixtures/fixture';
import { memoryBroker } from '../../support/laws/memory-broker';
import { partitionLaws } from '../../support/laws/partitions';
import { withoutWaiting } from '../../support/virtual-time';
import { rejection, until } from '../../support/waiting';

withoutWaiting();

// A RabbitMQ obeys the same laws: spec/integration/partitioned/partitioned.spec.ts
describe('a partitioned queue of the double', () => {
  partitionLaws(fixture(() => ({ broker: memoryBroker() })));
});

describe('declaring the partitions', () => {
  const crash = (): ChannelError =>
    channelRefused('Cannot declare the topology', new Error('541 INTERNAL_ERROR'), {
      replyCode: 541,
      text: 'INTERNAL_ERROR',
    });

  it('is done again when it crashed the broker, as two members that start together can', async () => {
    const broker = new MemoryBroker();
    const queue = new FakeInstanceQueue({ broker });
    const declare = jest.spyOn(queue.admin, 'declare').mockRejectedValueOnce(crash());
    const orders = queue.partitioned({ name: 'orders', partitions: 2 });
    orders.consume().subscribe();
    await until(orders.assignment$, ({ length }) => length === 2);
    await orders.send({ key: 'a', body: 1 });
    expect(declare).toHaveBeenCalledTimes(2);
    await queue.close();
  });

  it('fails when it crashes the broker each time', async () => {
    const broker = new MemoryBroker();
    const queue = new FakeInstanceQueue({ broker });
    jest.spyOn(queue.admin, 'declare').mockImplementation(() => Promise.reject(crash()));
    const orders = queue.partitioned({ name: 'orders', partitions: 2 });
    await expect(orders.send({ key: 'a', body: 1 })).rejects.toMatchObject({ replyCode: 541 });
    await queue.close();
  });

  it.each(['the partitioned queue', 'its connection'])('is not tried again when %s is closed', async (which) => {
    const queue = new FakeInstanceQueue({ broker: new MemoryBroker() });
    const passing = channelRefused('Cannot declare', new Error('405'), { replyCode: 405, text: 'RESOURCE_LOCKED' });
    expect(passing.retryable).toBe(true);
    const declare = jest.spyOn(queue.admin, 'declare').mockRejectedValue(passing);
    const orders = queue.partitioned({ name: 'orders', partitions: 2 });
    const sent = rejection(orders.send({ key: 'a', body: 1 }));
    await firstValueFrom(timer(1200));
    expect(declare).toHaveBeenCalledTimes(3);
    await (which === 'its connection' ? queue : orders).close({ drainTimeout: 0 });
    expect(await sent).toMatchObject({ code: 'PUBLISH_CLOSED' });
    await firstValueFrom(timer(5000));
    expect(declare).toHaveBeenCalledTimes(3);
    await queue.close();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is refused to a send as to any other: a PublishError with the refusal as its cause', async () => {
    const queue = new FakeInstanceQueue({ broker: new MemoryBroker() });
    const refusal = channelRefused('Cannot declare', new Error('403'), { replyCode: 403, text: 'ACCESS_REFUSED' });
    const declare = jest.spyOn(queue.admin, 'declare').mockRejectedValueOnce(refusal);
    const orders = queue.partitioned({ name: 'orders', partitions: 2 });
    const message = { key: 'a', body: 1, messageId: 'm' };
    const refused = await rejection(orders.send(message));
    expect(refused).toBeInstanceOf(PublishError);
    expect(refused).toMatchObject({ code: 'PUBLISH_REFUSED', messageId: 'm', replyCode: 403, cause: refusal });
    const closed = new ConnectionError('CONNECTION_CLOSED', 'host', 'It was closed.');
    declare.mockRejectedValueOnce(closed);
    expect(await rejection(orders.send(message))).toMatchObject({
      code: 'PUBLISH_CLOSED',
      messageId: 'm',
      cause: closed,
    });
    // The next one asks again.
    expect(await orders.send(message)).toMatchObject({ messageId: 'm' });
    await queue.close();
  });
});

describe.each(['the queue', 'the partitioned queue'] as const)('closing %s', (which) => {
  /** Sends three messages of one key while there is no broker, and closes. */
  function closing() {
    const broker = new MemoryBroker();
    broker.disconnect();
    const queue = new FakeInstanceQueue({ broker, reconnect: { min: 10, max: 10 } });
    const orders = queue.partitioned({ name: 'orders', partitions: 2 });
    const outcomes = Promise.allSettled([1, 2, 3].map((body) => orders.send({ key: 'a', body })));
    const began = performance.now();
    const close = (drainTimeout: number) => (which === 'the queue' ? queue : orders).close({ drainTimeout });
    return { broker, queue, orders, outcomes, close, elapsed: () => performance.now() - began };
  }
  const refused = Array.from({ length: 3 }, () => ({
    status: 'rejected',
    reason: expect.objectContaining({ code: 'PUBLISH_CLOSED', maybeDelivered: false }) as object,
  }));

  it('waits for messages whose partitions were not declared yet', async () => {
    const { broker, queue, outcomes, close } = closing();
    const closed = close(5000);
    await firstValueFrom(timer(1000));
    broker.reconnect();
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    await queue.close();
  });

  it('rejects them when the time is up', async () => {
    const { queue, outcomes, close, elapsed } = closing();
    const closed = close(5000);
    expect(await outcomes).toEqual(refused);
    expect(elapsed()).toBeGreaterThanOrEqual(4990);
    await closed;
    expect(elapsed()).toBeLessThan(6000);
    await queue.close();
  });

  it('again, with less time, shortens it', async () => {
    const { queue, outcomes, close, elapsed } = closing();
    const closed = close(30_000);
    void close(1000);
    expect(await outcomes).toEqual(refused);
    await closed;
    expect(elapsed()).toBeLessThan(2000);
    await queue.close();
  });

  it('while the other closes, too, and the connection comes and goes, settles each message once and ends', async () => {
    const { broker, queue, orders, outcomes, close } = closing();
    const both = Promise.all([close(5000), queue.close({ drainTimeout: 5000 }), orders.close({ drainTimeout: 5000 })]);
    for (let i = 0; i < 3; i++) {
      broker.reconnect();
      await firstValueFrom(timer(5));
      broker.disconnect();
      await firstValueFrom(timer(50));
    }
    broker.reconnect();
    const settled = await outcomes;
    await both;
    const kept = broker.queues.flatMap(({ messages }) => messages);
    expect(kept.length).toBeGreaterThanOrEqual(settled.filter(({ status }) => status === 'fulfilled').length);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('refuses what is sent after it', async () => {
    const { orders, queue, close } = closing();
    await close(0);
    expect(await rejection(orders.send({ key: 'b', body: 4 }))).toMatchObject({ code: 'PUBLISH_CLOSED' });
    await queue.close();
  });
});

it('its messages are encoded by its codec, and by that of its InstanceQueue where it has none', async () => {
  const counting = (prefix: string): Codec<number> => ({
    contentType: 'text/x-number',
    encode: (body) => Buffer.from(`${prefix}${String(body)}`),
    decode: (content) => Number(content.toString().slice(prefix.length)),
  });
  const broker = new MemoryBroker();
  const queue = closing(new FakeInstanceQueue({ broker, producer: { codec: counting('own ') } }));
  const encoded: string[] = [];
  for (const codec of [counting('given '), undefined]) {
    const orders = queue.partitioned<number>({ name: 'orders', partitions: 1, ...(codec && { codec }) });
    await orders.send({ key: 'k', body: 5 });
    encoded.push(broker.published.at(-1)?.content.toString() ?? '');
    await orders.close();
  }
  expect(encoded).toEqual(['given 5', 'own 5']);
});
