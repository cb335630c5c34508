/** A producer over a broker in memory that has the queues `orders` and `others`. */
import type { ProducerOptions } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from './closing';
import { later } from './virtual-time';

export const toQueue = { queue: 'orders', body: 1 };

export function producing(options?: ProducerOptions) {
  const queue = closing(new FakeInstanceQueue({ name: 'shop' }));
  queue.broker.declare({ queues: [{ name: 'orders' }, { name: 'others' }] });
  const producer = queue.producer(options);
  return { queue, broker: queue.broker, producer };
}
/** One that has published once. */
export async function opened(options?: ProducerOptions) {
  const given = producing(options);
  const sent = given.producer.send({ ...toQueue, body: 0 });
  await later();
  await sent;
  return given;
}
