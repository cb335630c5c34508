import { MemoryBroker } from 'instance-queue/testing';

// https://www.rabbitmq.com/tutorials/tutorial-five-javascript
it.each<[string, readonly string[], readonly string[]]>([
  ['order.paid', ['order.paid'], ['order', 'order.paid.eu', 'order.sent', '']],
  ['order.*', ['order.paid', 'order.'], ['order', 'order.paid.eu', 'invoice.paid']],
  ['*', ['order'], ['', 'order.paid']],
  ['#', ['', 'order', 'order.paid.eu'], []],
  ['order.#', ['order', 'order.paid', 'order.paid.eu'], ['orders', 'invoice.order']],
  ['#.eu', ['eu', 'order.eu', 'order.paid.eu'], ['order.paid', 'eu.order']],
  ['order.#.eu', ['order.eu', 'order.paid.eu', 'order.paid.late.eu'], ['order', 'eu', 'order.paid', 'order.eu.paid']],
  ['#.paid.#', ['paid', 'order.paid', 'paid.eu', 'order.paid.eu'], ['order', 'order.eu']],
  ['order.*.#', ['order.paid', 'order.paid.eu'], ['order']],
])('a topic exchange takes `%s` for %j, and not for %j', (routingKey, taken, refused) => {
  const broker = new MemoryBroker();
  broker.declare({
    exchanges: [{ name: 'events', type: 'topic' }],
    queues: [{ name: 'orders' }],
    bindings: [{ exchange: 'events', queue: 'orders', routingKey }],
  });
  const takes = (key: string): boolean => broker.put({ exchange: 'events', routingKey: key, body: 1 });
  expect([taken, refused].map((keys) => keys.map(takes))).toEqual([taken.map(() => true), refused.map(() => false)]);
});
