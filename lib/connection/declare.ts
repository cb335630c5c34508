import { ChannelError } from '../errors';
import { declareQueue, declareTopology, type QueueSpec, type Topology } from '../topology';
import { onScratchChannel } from './channel';
import type { Link } from './link';

/** A queue used by name alone: as it is if it exists, durable (and of the type given) if it has to be made. */
export async function ensureQueue(link: Link, name: string, type?: QueueSpec['type']): Promise<void> {
  if (await exists(link, name)) return;
  const spec: QueueSpec = { name, ...(type && { type }) };
  await onScratchChannel(link, `Cannot declare queue \`${name}\``, (channel) => declareQueue(channel, spec));
}

/** Is there a queue of this name? Where nobody may look, it is believed. */
export async function exists(link: Link, name: string): Promise<boolean> {
  try {
    await onScratchChannel(link, `Cannot check queue \`${name}\``, (channel) => channel.checkQueue(name));
    return true;
  } catch (error) {
    const replyCode = error instanceof ChannelError ? error.replyCode : undefined;
    // Checking needs a permission that consuming and publishing do not (RabbitMQ 4.2.6): then the queue is trusted.
    // https://www.rabbitmq.com/docs/access-control#authorisation
    if (replyCode === 403) return true;
    if (replyCode !== 404) throw error;
    return false;
  }
}

/** Declares a topology, and the queue `own` as part of it; resolves with that queue's name. */
export function declare(link: Link, topology: Topology, own?: QueueSpec): Promise<string | undefined> {
  const what = own ? `Cannot declare queue \`${own.name}\`` : 'Cannot declare the topology';
  return onScratchChannel(link, what, (channel) => declareTopology(channel, topology, own));
}

/** Does it declare anything? */
export const isEmpty = ({ exchanges, queues, bindings }: Topology): boolean =>
  !exchanges?.length && !queues?.length && !bindings?.length;
