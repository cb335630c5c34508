import { createRequire } from 'node:module';
import type { EventEmitter } from 'node:events';
import type { BenchClient } from './client';
import { serve } from './serve';

/** The part of rascal that is used here: it has no types. */
interface Rascal {
  readonly BrokerAsPromised: { create(config: object): Promise<Broker> };
  withDefaultConfig(config: object): object;
}
interface Broker extends EventEmitter {
  publish(name: string, body: Buffer, overrides?: object): Promise<EventEmitter>;
  subscribe(name: string, overrides?: object): Promise<Subscription>;
  shutdown(): Promise<void>;
}
interface Subscription extends EventEmitter {
  cancel(): Promise<void>;
}

const rascal = createRequire(__filename)('rascal') as Rascal;

/**
 * rascal names everything in its configuration, so this uses one broker object per use: unlike the others, a connection each for
 * sending and receiving.
 */
serve((url) => {
  const brokers: Broker[] = [];
  const open = async (queue: string, more: object): Promise<Broker> => {
    const config = {
      vhosts: { '/': { connection: { url }, queues: { [queue]: { check: true, assert: false } }, ...more } },
    };
    const broker = await rascal.BrokerAsPromised.create(rascal.withDefaultConfig(config));
    broker.on('error', () => undefined);
    brokers.push(broker);
    return broker;
  };
  return Promise.resolve({
    async sender(queue, { persistent }) {
      const broker = await open(queue, { publications: { out: { queue, confirm: true, options: { persistent } } } });
      return (body, confirmed) => {
        void broker.publish('out', body).then((publication) => {
          publication.on('success', confirmed);
        });
      };
    },
    async receiver(queue, prefetch, work) {
      const broker = await open(queue, {
        subscriptions: { in: { queue, prefetch, contentType: 'application/octet-stream' } },
      });
      const subscription = await broker.subscribe('in');
      subscription.on('message', (_message: unknown, _content: unknown, ack: () => void) => {
        const working = work();
        if (working) void working.then(ack);
        else ack();
      });
      return () => broker.shutdown();
    },
    close: () => Promise.all(brokers.map((broker) => broker.shutdown())),
  } satisfies BenchClient);
});
