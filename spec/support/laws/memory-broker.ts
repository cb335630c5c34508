import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { Random } from '../../../lib/testing/simulation/random';
import { SimulatedTransport } from '../../../lib/testing/simulation/simulated-transport';
import { closing } from '../closing';
import { uniqueName } from '../unique-name';
import { eventually } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** The memory broker of `instance-queue/testing`. */
export const memoryBroker = (): BrokerUnderTest => underTest(new MemoryBroker(), '4.3.0');

/** The same behind the network of simulations, in real time, as a RabbitMQ of that version. */
export function simulatedBroker(version: string): BrokerUnderTest {
  const latency = { least: 0.1, most: 2 };
  const broker = new MemoryBroker({
    version,
    transport: (host) => new SimulatedTransport(host, new Random(1), latency),
  });
  return underTest(broker, version);
}

function underTest(broker: MemoryBroker, version: string): BrokerUnderTest {
  const done = Promise.resolve();
  return {
    version,
    newClient: (options) => closing(new FakeInstanceQueue({ ...options, broker })),
    declareQueue: (spec = {}) => {
      const name = uniqueName();
      broker.declare({ ...spec, name });
      return Promise.resolve(name);
    },
    freeQueueName: uniqueName,
    put: (queue, body, contentType) => {
      broker.put({ queue, body, contentType });
      return done;
    },
    takeMessages: async (queue, count) => {
      await eventually(() => broker.messages(queue).length >= count);
      const messages = broker.messages(queue).map(({ body, properties }) => ({
        body,
        messageId: properties.messageId,
        headers: properties.headers ?? {},
        expiration: properties.expiration,
      }));
      broker.purge(queue);
      return messages;
    },
    count: (name) => {
      const found = broker.queues.find((queue) => queue.name === name);
      return Promise.resolve({ ready: found?.messages.length ?? 0, consumers: found?.consumers ?? 0 });
    },
    deleteQueue: (queue) => {
      broker.deleteQueue(queue);
      return done;
    },
    deleteExchange: (exchange) => {
      broker.deleteExchange(exchange);
      return done;
    },
    disconnect: () => {
      broker.disconnect();
      return done;
    },
    reconnect: () => {
      broker.reconnect();
      return done;
    },
    hold: () => {
      broker.hold();
    },
    release: () => {
      broker.release();
    },
    block: () => {
      broker.block('low on memory');
      return done;
    },
    unblock: () => {
      broker.unblock();
      return done;
    },
  };
}
