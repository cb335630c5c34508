import { once } from 'node:events';
import { Connection, Consumer, Producer, handle } from '../shipped';
import type { SendingOptions } from './client';
import { serve } from './serve';

/** All defaults: confirms, mandatory, message ids, deadlines, the outbox. One connection, like the peers. */
serve(async (url) => {
  const wire = !process.argv.includes('no-wire');
  const connection = new Connection({ url, wire });
  await connection.connect();
  const sender = (queue: string, { persistent }: SendingOptions): ((body: object, confirmed: () => void) => void) => {
    const producer = new Producer(connection, { persistent });
    return (body, confirmed) => {
      void producer.send({ queue, body }).then(confirmed);
    };
  };
  return {
    sender: (queue, options) => Promise.resolve(sender(queue, options)),
    jsonSender: (queue, options) => Promise.resolve(sender(queue, options)),
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
