import { ChannelError, OptionsError } from '../errors';
import type { QueueSpec, Topology } from '../topology';

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

/** Everything. */
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
