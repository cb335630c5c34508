import { firstValueFrom, timer } from 'rxjs';
import { ConsumerError } from '../errors';
import { DEFAULTS } from '../options';
import type { Topology } from '../topology';
import type { QueueDepth } from '../transport/transport';
import { exchangesOf, partitionQueue, partitionedTopology, type PartitionLayout } from './partition-topology';

/** The part of `Admin` that is used here. */
export interface PartitionAdmin {
  declare(topology: Topology): Promise<void>;
  inspect(queue: string): Promise<QueueDepth | undefined>;
  delete(target: { readonly queue: string } | { readonly exchange: string }): Promise<number>;
}

export interface ResizeOptions {
  /** ms for the queues to become empty and unused. @default 30 000 */
  readonly timeout?: number | undefined;
  /** Called when the queues are empty: the consumers of this process have done their work. */
  readonly stopConsumers: () => Promise<unknown>;
}

/** ms between two looks at the queues. */
const LOOK_EVERY = 100;

/**
 * Makes the partitions anew in another number, once they hold no messages and have no consumers. The exchange goes first: from then on
 * nothing is routed any more, and the queues are looked at once more before anything else changes.
 *
 * Rejects: ConsumerError NOT_DRAINED, with everything as it was; ChannelError.
 */
export async function resizePartitions(
  admin: PartitionAdmin,
  layout: PartitionLayout,
  partitions: number,
  { timeout = DEFAULTS.timeout, stopConsumers }: ResizeOptions,
): Promise<void> {
  if (partitions === layout.partitions) return;
  const deadline = performance.now() + timeout;
  await until(admin, layout, deadline, ({ messages }) => messages === 0);
  await stopConsumers();
  await until(admin, layout, deadline, ({ messages, consumers }) => messages === 0 && consumers === 0);
  for (const { name } of [...exchangesOf(layout).exchanges].reverse()) await admin.delete({ exchange: name });
  const late = await depthOf(admin, layout);
  if (late.messages > 0 || late.consumers > 0) {
    await admin.declare(partitionedTopology(layout));
    throw notDrained(layout, late);
  }
  for (let surplus = partitions; surplus < layout.partitions; surplus++) {
    await admin.delete({ queue: partitionQueue(layout.name, surplus) });
  }
  await admin.declare(partitionedTopology({ ...layout, partitions }));
}

async function until(
  admin: PartitionAdmin,
  layout: PartitionLayout,
  deadline: number,
  is: (depth: QueueDepth) => boolean,
): Promise<void> {
  for (let depth = await depthOf(admin, layout); !is(depth); depth = await depthOf(admin, layout)) {
    if (performance.now() + LOOK_EVERY > deadline) throw notDrained(layout, depth);
    await firstValueFrom(timer(LOOK_EVERY));
  }
}

/** The messages and consumers of all partitions. Without consumers no message is out and unsettled. */
async function depthOf(admin: PartitionAdmin, { name, partitions }: PartitionLayout): Promise<QueueDepth> {
  let [messages, consumers] = [0, 0];
  for (let partition = 0; partition < partitions; partition++) {
    const depth = await admin.inspect(partitionQueue(name, partition));
    messages += depth?.messages ?? 0;
    consumers += depth?.consumers ?? 0;
  }
  return { messages, consumers };
}

function notDrained({ name }: PartitionLayout, { messages, consumers }: QueueDepth): ConsumerError {
  const sentence = `Partitioned queue \`${name}\` still holds ${String(messages)} messages and has ${String(consumers)} consumers, so its number of partitions cannot be changed. Stop everything that sends to it, let its consumers work off the rest, then stop them.`;
  return new ConsumerError('NOT_DRAINED', name, sentence);
}
