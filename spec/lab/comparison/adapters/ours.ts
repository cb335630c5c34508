import { handle, InstanceQueue } from 'instance-queue';
import type { Numbered } from '../adapter';
import { serve } from '../serve';

/** All defaults except heartbeat and prefetch, which are the same for all clients. */
serve(async ({ url, queue, names, heartbeat, prefetch, received }) => {
  const service = new InstanceQueue({ url, name: names.producer.replace(/\.producer$/, ''), heartbeat });
  await service.connect();
  service
    .consume<Numbered>({ queue, prefetch })
    .pipe(handle(({ body, properties }) => received(body.n, properties.messageId)))
    .subscribe();
  return {
    send: (body) => service.send({ queue, body }),
    aim: (exchange) => Promise.resolve(() => service.send({ exchange, body: {} })),
  };
});
