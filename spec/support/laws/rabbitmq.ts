import { InstanceQueue } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { queueArguments } from '../../../lib/topology-arguments';
import { privateBroker } from '../brokers/test-brokers';
import { Bystander } from '../brokers/bystander';
import { closing } from '../closing';
import { uniqueName } from '../unique-name';
import type { StoredMessage, BrokerUnderTest } from './broker-under-test';

/** A RabbitMQ, behind a proxy that breaks connections. */
export async function rabbitmq(): Promise<BrokerUnderTest> {
  const broker = privateBroker();
  const bystander = closing(await Bystander.at(broker.url));
  const proxy = closing(await FaultProxy.before(broker.url));
  return {
    version: broker.version,
    newClient: (options) => closing(new InstanceQueue({ ...options, url: proxy.url(broker.url) })),
    declareQueue: (spec = {}) => {
      const name = uniqueName();
      return bystander.declareQueue(queueArguments({ ...spec, name }), name);
    },
    freeQueueName: () => bystander.freeQueueName(),
    put: (queue, content, contentType) => bystander.publishRaw('', queue, [content], { contentType }),
    takeMessages: async (queue, count) =>
      (await bystander.takeAtLeast(queue, count)).map(({ content, properties }): StoredMessage => ({
        body: JSON.parse(content.toString()),
        messageId: properties.messageId,
        headers: properties.headers ?? {},
        expiration: properties.expiration as unknown,
      })),
    count: (queue) => bystander.count(queue),
    deleteQueue: (queue) => bystander.deleteQueue(queue),
    deleteExchange: async (exchange) => {
      await bystander.onChannel((channel) => channel.deleteExchange(exchange));
    },
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
  };
}
