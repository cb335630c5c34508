import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

it.each(['quorum', 'classic'] as const)(
  'a delayed message goes to its exchange alone, or to its queue alone, whatever else has the name: %s',
  async (delayIn) => {
    const queues = ['orders', 'events', 'bound'].map((name) => ({ name }));
    const binding = { exchange: 'orders', queue: 'bound', routingKey: 'events' };
    const topology = { exchanges: [{ name: 'orders', type: 'direct' } as const], queues, bindings: [binding] };
    const queue = closing(new FakeInstanceQueue({ topology, producer: { delayIn } }));
    for (const name of ['orders', 'events']) await queue.send({ queue: name, body: `for queue ${name}`, delay: 1000 });
    await queue.send({ exchange: 'orders', routingKey: 'events', body: 'for the exchange', delay: 1000 });
    await later(5000);
    const bodies = (name: string): readonly unknown[] => queue.broker.messages(name).map(({ body }) => body);
    expect([bodies('orders'), bodies('events'), bodies('bound')]).toEqual([
      ['for queue orders'],
      ['for queue events'],
      ['for the exchange'],
    ]);
    expect(bodies(`instance-queue.delay.v1.${delayIn}.stranded`)).toEqual([]);
  },
);
