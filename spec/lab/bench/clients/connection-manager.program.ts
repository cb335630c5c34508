import type { ConfirmChannel, ConsumeMessage, Options } from 'amqplib';
import { createRequire } from 'node:module';
import { serve } from './serve';

/** The part of it that is used here: its types do not compile with `exactOptionalPropertyTypes`. */
interface ConnectionManager {
  connect(urls: readonly string[]): {
    connect(): Promise<void>;
    createChannel(options: object): ChannelWrapper;
    close(): Promise<void>;
  };
}
interface ChannelWrapper {
  waitForConnect(): Promise<void>;
  publish(exchange: string, routingKey: string, body: Buffer, options: Options.Publish): Promise<boolean>;
  consume(queue: string, onMessage: (message: ConsumeMessage) => void): Promise<object>;
  ack(message: ConsumeMessage): void;
  close(): Promise<void>;
}

const { connect } = createRequire(__filename)('amqp-connection-manager') as ConnectionManager;

serve(async (url) => {
  const connection = connect([url]);
  await connection.connect();
  return {
    async sender(queue, { persistent }) {
      const channel = connection.createChannel({ confirm: true, publishTimeout: 30_000 });
      await channel.waitForConnect();
      return (body, confirmed) => {
        void channel.publish('', queue, body, { persistent }).then(confirmed);
      };
    },
    async receiver(queue, prefetch, work) {
      const channel = connection.createChannel({
        setup: (inner: ConfirmChannel) => inner.prefetch(prefetch),
      });
      await channel.waitForConnect();
      await channel.consume(queue, (message) => {
        const working = work();
        if (working) void working.then(() => channel.ack(message));
        else channel.ack(message);
      });
      return () => channel.close();
    },
    close: () => connection.close(),
  };
});
