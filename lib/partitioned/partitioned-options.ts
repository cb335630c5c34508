import type { Codec } from '../codec';
import type { ConsumeOptions } from '../consumer/consume-options';
import {
  type Check,
  checkOptions,
  codec,
  duration,
  entityName,
  expected,
  integer,
  object,
  observableInput,
  oneOf,
} from '../options';
import { shortString, type Shape } from '../options';
import { checkQueueSpec } from '../topology-checks';
import type { PartitionConsumeOptions } from './partition-consumers';
import { type PartitionQueueOptions, partitionSpec } from './partition-topology';

/** A partitioned queue: its name, its number of partitions, and how its bodies are written and read. */
export interface PartitionedOptions<T = unknown> {
  /** At most 200 bytes. The queues are called `name.0`, `name.1` and so on, their exchange has the name itself. */
  readonly name: string;
  /**
   * From 1 to 1000, the same in all services; it bounds the number of processes that can share the work. The queue remembers it, and
   * refuses another one.
   */
  readonly partitions: number;
  /** How bodies are written and read. @default auto */
  readonly codec?: Codec<T>;
  /** Further options of the queues. */
  readonly queues?: PartitionQueueOptions;
}

/** What follows it in the names of its queues and exchanges fits into the rest of a name. */
const fitting = shortString(200);
const name: Check = (value) => fitting(value) ?? entityName(value);
export const PARTITIONS = integer(1, 1000);
const OPTIONS: Shape<PartitionedOptions> = { name, partitions: PARTITIONS, codec, queues: object };

/** @throws OptionsError if an option cannot be right */
export function checkPartitioned<T>(options: PartitionedOptions<T>): void {
  const of = 'partitioned()';
  checkOptions<Pick<PartitionedOptions<T>, 'name' | 'partitions'>>(options, OPTIONS, {
    of,
    required: ['name', 'partitions'],
  });
  const { name, partitions, queues = {} } = options;
  if (name === '' || name.startsWith('amq.')) throw expected('name', 'a name of your own', name);
  for (const option of ['name', 'type', 'singleActiveConsumer'] as const) {
    if (Reflect.has(queues, option)) throw expected(`queues.${option}`, 'absent: every partition has its own', queues);
  }
  checkQueueSpec(partitionSpec({ name, partitions, queues }, 0), 'queues');
}

const CONSUME: Shape<PartitionConsumeOptions> = {
  prefetch: integer(1, 65_535),
  tagPrefix: shortString(218),
  checkAfter: duration(),
  onUndecodable: oneOf('reject', 'requeue'),
  consumerTimeout: integer(1, 2 ** 32 - 1),
  until: observableInput,
} satisfies Shape<Pick<ConsumeOptions, keyof PartitionConsumeOptions>>;

/** @throws OptionsError if an option cannot be right */
export function checkConsume(options: PartitionConsumeOptions): void {
  checkOptions(options, CONSUME, { of: 'consume()' });
}
