import type { Numbered } from '../adapter';
import { serve } from '../serve';

/**
 * As in its README: a session (reconnects and consumes again of itself), a queue handle that publishes persistently and
 * waits for the confirm, a callback after which the message is acked. Its defaults: 1 s before the first attempt.
 * Where it crashes, it does so of itself: an ack that fails is followed by a nack whose rejection nobody hears.
 */
serve(async ({ url, queue, names, heartbeat, prefetch, received }) => {
  // An ES module to the compiler.
  const { AMQPSession } = await import('@cloudamqp/amqp-client');
  const connectTo = (name: string) => AMQPSession.connect(url, { name, heartbeat, logger: null });
  const [producing, consuming] = await Promise.all([connectTo(names.producer), connectTo(names.consumer)]);
  const outbound = await producing.queue(queue, { durable: true });
  const inbound = await consuming.queue(queue, { durable: true });
  await inbound.subscribe({ prefetch }, async (message) => {
    const { n } = JSON.parse(message.bodyString() ?? '') as Numbered;
    await received(n, undefined);
  });
  return {
    send: (message) => outbound.publish(JSON.stringify(message)),
    // It has no handle on an exchange that it did not declare.
    async aim(name) {
      const exchange = await producing.directExchange(name);
      await exchange.delete();
      return () => exchange.publish('{}');
    },
  };
});
