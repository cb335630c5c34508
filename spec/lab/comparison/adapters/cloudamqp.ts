import type { Numbered } from '../adapter';
import { serve } from '../serve';

/**
 * As in its README: a session (which reconnects and consumes again), a queue handle that publishes persistent messages and waits for
 * the confirm, and a callback after which the message is acked. Its default: 1 s before the first attempt.
 * Its crashes are its own: a failed ack is followed by a nack whose rejection is unhandled.
 */
serve(async ({ url, queue, names, heartbeat, prefetch, received }) => {
  // The compiler treats it as an ES module.
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
    // It has no handle for an exchange that it did not declare.
    async aim(name) {
      const exchange = await producing.directExchange(name);
      await exchange.delete();
      return () => exchange.publish('{}');
    },
  };
});
