import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { closeAll, closing, uniqueName } from './cleanup';
import { eventually } from './waiting';
import type { World } from './world';

/** The world of the double. */
export function memoryWorld(): World {
  const broker = new MemoryBroker();
  const done = Promise.resolve();
  return {
    open: (options) => closing(new FakeInstanceQueue({ ...options, broker })),
    queue: (spec = {}) => {
      const name = uniqueName();
      broker.declare({ ...spec, name });
      return Promise.resolve(name);
    },
    freeName: uniqueName,
    put: (queue, body, contentType) => {
      broker.put({ queue, body, contentType });
      return done;
    },
    letters: async (queue, count) => {
      await eventually(() => broker.messages(queue).length >= count);
      const letters = broker.messages(queue).map(({ body, properties }) => ({
        body,
        messageId: properties.messageId,
        headers: properties.headers ?? {},
        expiration: properties.expiration,
      }));
      broker.purge(queue);
      return letters;
    },
    count: (name) => {
      const found = broker.queues.find((queue) => queue.name === name);
      return Promise.resolve({ ready: found?.messages.length ?? 0, consumers: found?.consumers ?? 0 });
    },
    deleteQueue: (queue) => {
      broker.deleteQueue(queue);
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
    end: closeAll,
  };
}
