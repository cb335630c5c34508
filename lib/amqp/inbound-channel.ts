import type { Message as AmqpMessage } from 'amqplib';
import { plainTable } from '../field-table';
import type {
  ConsumeListener,
  ConsumeRequest,
  InboundChannel,
  InboundMessage,
  Settlement,
} from '../transport/transport';
import { AmqpChannel } from './amqp-channel';
import { AmqplibMessage } from './amqplib-message';

const NOTHING = Buffer.alloc(0);
const NO_PROPERTIES: AmqpMessage['properties'] = Object.freeze({
  contentType: undefined,
  contentEncoding: undefined,
  headers: undefined,
  deliveryMode: undefined,
  priority: undefined,
  correlationId: undefined,
  replyTo: undefined,
  expiration: undefined,
  messageId: undefined,
  timestamp: undefined,
  type: undefined,
  userId: undefined,
  appId: undefined,
  clusterId: undefined,
});

/** amqplib settles a message, of which it reads nothing but the tag. */
const tagged = (deliveryTag: number): AmqpMessage => ({
  content: NOTHING,
  properties: NO_PROPERTIES,
  fields: { deliveryTag, redelivered: false, exchange: '', routingKey: '' },
});

/** The channel of one consumer, on amqplib. */
export class AmqpInboundChannel extends AmqpChannel implements InboundChannel {
  async consume(request: ConsumeRequest, listener: ConsumeListener): Promise<void> {
    const { queue, tag, prefetch, noAck, exclusive, priority, arguments: args } = request;
    const options = {
      consumerTag: tag,
      noAck,
      exclusive,
      arguments: plainTable(args, 'arguments'),
      ...(priority !== undefined && { priority }),
    };
    await this.ask(`Cannot consume from queue \`${queue}\``, (channel) =>
      // Sent together, the prefetch first: the broker answers in order.
      Promise.all([
        noAck || channel.prefetch(prefetch),
        channel.consume(
          queue,
          (message) => {
            if (message) listener.message(new AmqplibMessage(message));
            else listener.cancelled();
          },
          options,
        ),
      ]),
    );
    this.host.receiver?.register(this.channel, tag, listener.message);
  }

  async get(queue: string): Promise<InboundMessage | undefined> {
    const message = await this.ask(`Cannot get a message of queue \`${queue}\``, (channel) => channel.get(queue));
    if (message === false) return undefined;
    return new AmqplibMessage({ ...message, fields: { consumerTag: '', ...message.fields } });
  }

  settle(deliveryTag: number, how: Settlement, multiple = false): boolean {
    if (this.ended) return false;
    const { channel } = this;
    const message = tagged(deliveryTag);
    try {
      if (how === 'ack') channel.ack(message, multiple);
      else if (how === 'release') channel.nack(message, false, true);
      else channel.reject(message, how === 'requeue');
    } catch {
      // amqplib throws from the moment in which the channel starts to close; the broker takes everything unsettled back.
      return false;
    }
    this.host.cork?.gather();
    return true;
  }

  async cancel(tag: string): Promise<void> {
    // A refusal can only mean that the channel is gone.
    await this.channel.cancel(tag).catch(() => undefined);
  }
}
