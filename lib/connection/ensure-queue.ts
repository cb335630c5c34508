import type { QueueSpec, Topology } from '../topology';
import type { Link } from '../transport/transport';

/** A queue used by name alone: as it is if it exists, else declared durable, of the type given. Rejects: ChannelError. */
export async function ensureQueue(link: Link, name: string, type?: QueueSpec['type']): Promise<void> {
  if (await exists(link, name)) return;
  await link.declare({}, { name, ...(type && { type }) });
}

/** Is the queue there? A user without the permission to check is believed. Rejects: ChannelError. */
export const exists = async (link: Link, queue: string): Promise<boolean> => (await link.check(queue)) !== 'missing';

/** Does the topology declare nothing? */
export const isEmpty = ({ exchanges, queues, bindings }: Topology): boolean =>
  !exchanges?.length && !queues?.length && !bindings?.length;
