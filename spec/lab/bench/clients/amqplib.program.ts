import { connect } from 'amqplib';
import { serve } from './serve';

/**
 * amqplib alone, the baseline: a callback per confirm, an ack per message. `no-delay` switches off Nagle's algorithm, which amqplib
 * leaves on: it delays single messages, and lets many share a packet.
 */
serve(async (url) => {
  const model = await connect(url, { noDelay: process.argv.includes('no-delay') });
  return {
    async sender(queue, { persistent }) {
      const channel = await model.createConfirmChannel();
      return (body, confirmed) => {
        channel.publish('', queue, body, { persistent }, confirmed);
      };
    },
    async receiver(queue, prefetch, work) {
      const channel = await model.createChannel();
      await channel.prefetch(prefetch);
      const { consumerTag } = await channel.consume(queue, (message) => {
        if (!message) return;
        const working = work();
        if (working) void working.then(() => channel.ack(message));
        else channel.ack(message);
      });
      return async () => {
        await channel.cancel(consumerTag);
        await channel.close();
      };
    },
    close: () => model.close(),
  };
});
