import type { Channel, ChannelModel } from 'amqplib';
import type { Connection } from 'instance-queue';
import { AmqpLink } from '../../../lib/amqp/amqp-link';

/** The amqplib connection behind a Connection that is connected. */
export function modelOf({ core }: Pick<Connection, 'core'>): ChannelModel {
  const link = core.up?.link;
  if (!(link instanceof AmqpLink)) throw new Error('The connection has no link of amqplib.');
  return link.model;
}

/** The amqplib channels without confirms that a connection opens on its current link from now on, in order. */
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

/** Makes the broker close the channel with 406: it declares the same queue with different arguments. */
export function provokeException(channel: Channel | undefined, queue: string): void {
  if (!channel) throw new Error('There is no such channel.');
  channel.assertQueue(queue, { arguments: { 'x-max-length': 12_345 } }).catch(() => undefined);
}
