import { Connection } from 'rabbitmq-client';
import { serve } from './serve';

serve(async (url) => {
  const connection = new Connection(url);
  await connection.onConnect();
  return {
    sender(queue, { persistent }) {
      const publisher = connection.createPublisher({ confirm: true });
      return Promise.resolve((body, confirmed) => {
        void publisher.send({ routingKey: queue, durable: persistent }, body).then(confirmed);
      });
    },
    async receiver(queue, prefetch, work) {
      const consumer = connection.createConsumer(
        { queue, qos: { prefetchCount: prefetch }, queueOptions: { passive: true } },
        () => work(),
      );
      await new Promise<void>((resolve) => {
        consumer.once('ready', () => {
          resolve();
        });
      });
      return () => consumer.close();
    },
    close: () => connection.close(),
  };
});
