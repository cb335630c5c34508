import { ChannelError } from '../errors';
import type { QueueSpec, Topology } from '../topology';
import { declareQueue, declareTopology } from './declare-topology';
import { onScratchChannel } from './channel';
import type { Link } from './amqp-link';

/** A queue used by name alone: as it is if it exists, durable (and of the type given) if it has to be made. */
export async function ensureQueue(link: Link, name: string, type?: QueueSpec['type']): Promise<void> {
  if (await exists(link, name)) return;
  const spec: QueueSpec = { name, ...(type && { type }) };
  await onScratchChannel(link, `Cannot declare queue \`${name}\``, (channel) => declareQueue(channel, spec));
}

/** What looking for a queue brings; hidden: one may not look. */
export type Presence = 'there' | 'missing' | 'hidden';

/** Is there a queue of this name? Rejects with ChannelError when that could not be found out. */
export async function lookFor(link: Link, name: string): Promise<Presence> {
  try {
    await onScratchChannel(link, `Cannot check queue \`${name}\``, (channel) => channel.checkQueue(name));
    return 'there';
  } catch (error) {
    const replyCode = error instanceof ChannelError ? error.replyCode : undefined;
    // Checking needs a permission that consuming and publishing do not (RabbitMQ 4.2.6).
    // https://www.rabbitmq.com/docs/access-control#authorisation
    if (replyCode === 403) return 'hidden';
    if (replyCode !== 404) throw error;
    return 'missing';
  }
}

/** The same; where nobody may look, it is believed. */
export const exists = async (link: Link, name: string): Promise<boolean> => (await lookFor(link, name)) !== 'missing';

/** Declares a topology, and the queue `own` as part of it; resolves with that queue's name. */
export function declare(link: Link, topology: Topology, own?: QueueSpec): Promise<string | undefined> {
  const what = own ? `Cannot declare queue \`${own.name}\`` : 'Cannot declare the topology';
  return onScratchChannel(link, what, (channel) => declareTopology(channel, topology, own));
}

/** Does it declare anything? */
export const isEmpty = ({ exchanges, queues, bindings }: Topology): boolean =>
  !exchanges?.length && !queues?.length && !bindings?.length;
