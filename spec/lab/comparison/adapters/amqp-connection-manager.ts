import type { Channel, ConsumeMessage } from 'amqplib';
import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type { Numbered } from '../adapter';
import { serve } from '../serve';

/** The part of it that is used here: its types do not compile with `exactOptionalPropertyTypes`. */
interface ConnectionManager {
  connect(urls: readonly string[], options: object): { createChannel(options: object): ChannelWrapper };
}
interface ChannelWrapper extends EventEmitter {
  waitForConnect(): Promise<void>;
  sendToQueue(queue: string, message: object, options: object): Promise<boolean>;
  publish(exchange: string, routingKey: string, message: object): Promise<boolean>;
  consume(queue: string, listener: (message: ConsumeMessage) => void, options: object): Promise<unknown>;
  ack(message: ConsumeMessage): void;
}

const { connect } = createRequire(__filename)('amqp-connection-manager') as ConnectionManager;

/**
 * As in its README: a channel with a setup function that declares, and a wrapper that publishes and consumes. Its defaults: a new
 * attempt 5 s after a loss (`reconnectTimeInSeconds` is the heartbeat), no time limit for a publish.
 */
serve(async ({ url, queue, names, heartbeat, prefetch, received }) => {
  const open = async (name: string): Promise<ChannelWrapper> => {
    const channel = connect([url], {
      heartbeatIntervalInSeconds: heartbeat,
      connectionOptions: { clientProperties: { connection_name: name } },
    }).createChannel({ json: true, setup: (raw: Channel) => raw.assertQueue(queue, { durable: true }) });
    channel.on('error', () => undefined);
    await channel.waitForConnect();
    return channel;
  };
  const [producer, consumer] = await Promise.all([open(names.producer), open(names.consumer)]);

  const work = async (message: ConsumeMessage): Promise<void> => {
    const { n } = JSON.parse(message.content.toString()) as Numbered;
    await received(n, undefined);
    consumer.ack(message);
  };
  await consumer.consume(queue, (message) => void work(message), { prefetch });
  return {
    send: (message) => producer.sendToQueue(queue, message, { persistent: true }),
    aim: (exchange) => Promise.resolve(() => producer.publish(exchange, '', {})),
  };
});
