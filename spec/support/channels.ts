import type { Channel } from 'amqplib';
import type { Connection } from 'instance-queue';
import type { ChannelModel } from 'amqplib';
import { AmqpLink } from '../../lib/amqp/amqp-link';

/** What amqplib made of a connection that is up. */
export function modelOf({ core }: Pick<Connection, 'core'>): ChannelModel {
  const link = core.up?.link;
  if (!(link instanceof AmqpLink)) throw new Error('The connection has no link of amqplib.');
  return link.model;
}

/** The plain amqplib channels that a connection opens on its present link from now on, in order. */
export function channelsOf({ core }: Connection): readonly Channel[] {
  const opened: Channel[] = [];
  const model = modelOf({ core });
  const open = model.createChannel.bind(model);
  model.createChannel = async () => {
    const channel = await open();
    opened.push(channel);
    return channel;
  };
  return opened;
}

/** Asks for something that the broker answers by closing the channel: the same queue with other properties, 406. */
export function provokeException(channel: Channel | undefined, queue: string): void {
  if (!channel) throw new Error('There is no such channel.');
  channel.assertQueue(queue, { arguments: { 'x-max-length': 12_345 } }).catch(() => undefined);
}
