import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { opened, toQueue } from '../../support/memory-producer';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

/** What is published on a diagnostics channel until `stop`. */
function listening(name: string): { readonly seen: unknown[]; readonly stop: () => void } {
  const seen: unknown[] = [];
  const listener = (event: unknown): void => void seen.push(event);
  subscribe(name, listener);
  return { seen, stop: () => void unsubscribe(name, listener) };
}

describe('what a producer publishes on diagnostics channels', () => {
  it('is each attempt and each confirm of a message, with its route', async () => {
    const { producer, broker } = await opened();
    broker.declare({
      exchanges: [{ name: 'events', type: 'topic' }],
      bindings: [{ exchange: 'events', queue: 'orders', routingKey: 'paid' }],
    });
    const publishes = listening('instance-queue:publish');
    const confirms = listening('instance-queue:confirm');
    broker.nackNext();
    const sent = producer.send({ ...toQueue, messageId: 'twice' });
    await later(200);
    await sent;
    await producer.send({ exchange: 'events', routingKey: 'paid', body: 1, messageId: 'paid' });
    const [twice, paid] = [
      { messageId: 'twice', exchange: '', routingKey: 'orders', epoch: 1 },
      { messageId: 'paid', exchange: 'events', routingKey: 'paid', epoch: 1 },
    ];
    expect(publishes.seen).toEqual([
      { ...twice, attempt: 1 },
      { ...twice, attempt: 2 },
      { ...paid, attempt: 1 },
    ]);
    expect(confirms.seen).toEqual([
      { ...twice, attempts: 2 },
      { ...paid, attempts: 1 },
    ]);
    for (const { stop } of [publishes, confirms]) stop();
  });

  it('names the exchange that a message is for, not the one in which it waits there', async () => {
    const { producer, broker } = await opened();
    broker.declare({ exchanges: [{ name: 'events', type: 'topic' }] });
    const publishes = listening('instance-queue:publish');
    const confirms = listening('instance-queue:confirm');
    const sent = producer.send({ exchange: 'events', routingKey: 'paid', body: 1, messageId: 'm', delay: 3_600_000 });
    await later(100);
    await sent;
    const event = { messageId: 'm', exchange: 'events', routingKey: 'paid', epoch: 1 };
    expect(publishes.seen).toEqual([{ ...event, attempt: 1 }]);
    expect(confirms.seen).toEqual([{ ...event, attempts: 1 }]);
    for (const { stop } of [publishes, confirms]) stop();
  });
});

describe('the events of a producer', () => {
  it('tell of each confirm and of each attempt but the first', async () => {
    const { producer, broker, queue } = await opened();
    const seen: unknown[] = [];
    producer.on('confirmed', (confirmation) => seen.push(confirmation));
    producer.on('resent', (...what) => seen.push(what));
    broker.nackNext();
    const sent = producer.send({ ...toQueue, messageId: 'm' });
    await later(200);
    await sent;
    expect(seen).toEqual([['m', 2], { messageId: 'm', attempts: 2, epoch: 1 }]);
    expect(queue.metrics).toMatchObject({ resent: 1 });
  });
});
