import { once } from 'node:events';
import { Connection, Consumer, Producer, handle } from 'instance-queue';
import { serve } from './serve';

/** Everything as it comes: confirms, mandatory, message ids, deadlines, the outbox; one connection, as the peers have. */
serve(async (url) => {
  const wire = !process.argv.includes('no-wire');
  const connection = new Connection({ url, wire });
  await connection.connect();
  return {
    sender(queue, { persistent }) {
      const producer = new Producer(connection, { persistent });
      return Promise.resolve((body, confirmed) => {
        void producer.send({ queue, body }).then(confirmed);
      });
    },
    async receiver(queue, prefetch, work) {
      const consumer = new Consumer(connection, { queue, prefetch });
      const attached = once(consumer, 'attached');
      consumer.deliveries$.pipe(handle(() => work())).subscribe();
      await attached;
      return () => consumer.close();
    },
    close: () => connection.close(),
  };
});
