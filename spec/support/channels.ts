import type { Channel } from 'amqplib';
import type { Connection } from 'instance-queue';

/** The plain amqplib channels that a connection opens on its present link from now on, in order. */
export function channelsOf({ core }: Connection): readonly Channel[] {
  const opened: Channel[] = [];
  if (!core.up) throw new Error('The connection has no link to open channels on.');
  const { model } = core.up.link;
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
