import { firstValueFrom, timer } from 'rxjs';
import { ChannelError, ConsumerError, OptionsError } from '../errors';
import { DEFAULTS } from '../options';
import type { QueueSpec, Topology } from '../topology';
import type { QueueDepth } from '../transport/transport';

/** The options of the queues behind a partitioned queue; each is a quorum queue with a single active consumer. */
export type PartitionQueueOptions = Pick<
  QueueSpec,
  | 'deadLetter'
  | 'deadLetterStrategy'
  | 'deliveryLimit'
  | 'messageTtl'
  | 'maxLength'
  | 'maxLengthBytes'
  | 'overflow'
  | 'consumerTimeout'
  | 'leaderLocator'
  | 'initialGroupSize'
  | 'arguments'
>;

/** What decides the names and arguments of everything at the broker. */
export interface PartitionLayout {
  readonly name: string;
  readonly partitions: number;
  readonly queues: PartitionQueueOptions;
}

/** Members announce themselves here. */
export const presenceExchange = (name: string): string => `${name}.presence`;
/**
 * The routing key of a partition. It has the number of partitions in it, so that nothing is routed for a producer that still counts
 * with another one.
 */
export const partitionKey = (partition: number, partitions: number): string =>
  `${String(partition)}/${String(partitions)}`;
export const partitionQueue = (name: string, partition: number): string => `${name}.${String(partition)}`;

export function partitionSpec({ name, queues }: PartitionLayout, partition: number): QueueSpec {
  return { ...queues, name: partitionQueue(name, partition), type: 'quorum', singleActiveConsumer: true };
}

/**
 * The exchanges. The main one has the number of partitions in its alternate exchange, since that is an argument in which RabbitMQ
 * compares declarations: it refuses another number, and names the present one. Other clients can publish to the main exchange, with
 * the routing key of the partition.
 */
export function exchangesOf({ name, partitions }: PartitionLayout): Required<Pick<Topology, 'exchanges'>> {
  const marker = `${name}.of-${String(partitions)}`;
  return {
    exchanges: [
      { name: marker, type: 'fanout' },
      { name, type: 'direct', alternateExchange: marker },
      { name: presenceExchange(name), type: 'fanout' },
    ],
  };
}

/** The exchanges, queues and bindings of a partitioned queue. */
export function partitionedTopology(layout: PartitionLayout): Topology {
  const { name, partitions } = layout;
  const all = Array.from({ length: partitions }, (_, i) => i);
  const bindings = all.map((partition) => ({
    exchange: name,
    queue: partitionQueue(name, partition),
    routingKey: partitionKey(partition, partitions),
  }));
  return { ...exchangesOf(layout), queues: all.map((partition) => partitionSpec(layout, partition)), bindings };
}

/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const PRECONDITION_FAILED = 406;
const MARKER = /\.of-(\d+)'/g;

/** The refusal of another number of partitions as an error that names both; any other error as it is. */
export function withCount(error: unknown, { name, partitions }: PartitionLayout): unknown {
  if (!(error instanceof ChannelError) || error.replyCode !== PRECONDITION_FAILED) return error;
  const counts = [...error.message.matchAll(MARKER)].map(([, count]) => Number(count));
  const present = counts.find((count) => count !== partitions);
  if (!error.message.includes("'alternate-exchange'") || present === undefined) return error;
  const sentence = `Partitioned queue \`${name}\` has ${String(present)} partitions, and \`partitions\` is ${String(partitions)} here. All services have to use the same number. To change it, stop them and call \`resize()\` on the drained queue.`;
  return new OptionsError('partitions', sentence, { cause: error });
}

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
