import { createRequire } from 'node:module';
import { serve } from './serve';

/** The part of it that is used here: its types are those of an ES module. */
interface Cloudamqp {
  readonly AMQPClient: new (url: string) => { connect(): Promise<Connection> };
}
interface Connection {
  channel(): Promise<Channel>;
  close(): Promise<void>;
}
interface Channel {
  confirmSelect(): Promise<void>;
  basicPublish(exchange: string, routingKey: string, body: Buffer, properties: object): Promise<number>;
  prefetch(count: number): Promise<void>;
  basicConsume(
    queue: string,
    options: object,
    callback: (message: { ack(): Promise<void> }) => Promise<void>,
  ): Promise<object>;
  close(): Promise<void>;
}

const { AMQPClient } = createRequire(__filename)('@cloudamqp/amqp-client') as Cloudamqp;

serve(async (url) => {
  const connection = await new AMQPClient(url).connect();
  return {
    async sender(queue, { persistent }) {
      const channel = await connection.channel();
      await channel.confirmSelect();
      return (body, confirmed) => {
        void channel.basicPublish('', queue, body, { deliveryMode: persistent ? 2 : 1 }).then(confirmed);
      };
    },
    async receiver(queue, prefetch, work) {
      const channel = await connection.channel();
      await channel.prefetch(prefetch);
      await channel.basicConsume(queue, { noAck: false }, async (message) => {
        await work();
        await message.ack();
      });
      return () => channel.close();
    },
    close: () => connection.close(),
  };
});
