import { Connection } from 'rabbitmq-client';
import type { Numbered } from '../adapter';
import { serve } from '../serve';

/** As in its README: a Consumer, and a Publisher with `confirm` and `maxAttempts: 2`. Reconnects with its defaults. */
serve(async ({ url, queue, names, heartbeat, prefetch, received }) => {
  const connectTo = (connectionName: string): Connection => {
    const connection = new Connection({ url, connectionName, heartbeat });
    connection.on('error', () => undefined);
    return connection;
  };
  const producing = connectTo(names.producer);
  const consuming = connectTo(names.consumer);
  await Promise.all([producing.onConnect(), consuming.onConnect()]);

  const publisher = producing.createPublisher({ confirm: true, maxAttempts: 2, queues: [{ queue, durable: true }] });
  const consumer = consuming.createConsumer(
    { queue, queueOptions: { durable: true }, qos: { prefetchCount: prefetch } },
    ({ body }: { readonly body: Numbered }) => Promise.resolve(received(body.n, undefined)),
  );
  consumer.on('error', () => undefined);
  await new Promise<void>((resolve) => consumer.on('ready', resolve));
  return {
    send: (message) => publisher.send({ routingKey: queue, durable: true }, message),
    aim: (exchange) => Promise.resolve(() => publisher.send({ exchange, routingKey: '' }, {})),
  };
});
