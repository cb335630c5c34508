import { InstanceQueue } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { queueArguments } from '../../lib/topology-arguments';
import { privateBroker } from './broker';
import { Bystander } from './bystander';
import { closeAll, closing, uniqueName } from './cleanup';
import { arrivals } from './mailbox';
import type { Letter, World } from './world';

/** The world of a RabbitMQ, with a proxy in front of it that breaks connections. */
export async function rabbitmqWorld(): Promise<World> {
  const broker = privateBroker();
  const bystander = closing(await Bystander.at(broker.url));
  const proxy = closing(await FaultProxy.before(broker.url));
  return {
    open: (options) => closing(new InstanceQueue({ ...options, url: proxy.url(broker.url) })),
    queue: (spec = {}) => {
      const name = uniqueName();
      return bystander.queue(queueArguments({ ...spec, name }), name);
    },
    freeName: () => bystander.tidies(),
    put: (queue, content, contentType) => bystander.raw('', queue, [content], { contentType }),
    letters: async (queue, count) =>
      (await arrivals(bystander, queue, count)).map(({ content, properties }): Letter => ({
        body: JSON.parse(content.toString()),
        messageId: properties.messageId,
        headers: properties.headers ?? {},
        expiration: properties.expiration as unknown,
      })),
    count: (queue) => bystander.count(queue),
    deleteQueue: (queue) => bystander.deleteQueue(queue),
    disconnect: () => {
      proxy.refuse();
      proxy.cut();
      return Promise.resolve();
    },
    reconnect: () => proxy.restore(),
    hold: () => {
      proxy.hold('toClient');
    },
    release: () => {
      proxy.release();
    },
    block: () => broker.memoryAlarm(true),
    unblock: () => broker.memoryAlarm(false),
    end: closeAll,
  };
}
