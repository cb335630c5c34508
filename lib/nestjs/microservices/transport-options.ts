import { InstanceQueue } from '../../client/instance-queue';
import type { InstanceQueueOptions } from '../../client/instance-queue-options';
import type { InstanceQueueEvents } from '../../client/connection-pair';
import type { QueueSpec } from '../../topology';
import { nestLogger } from '../nest-logger';

/** Which broker and which queue: options for an `InstanceQueue` of its own, or one that exists, which its owner closes. */
export type TransportOptions = (InstanceQueueOptions | { readonly connection: InstanceQueue }) & {
  /** The queue that the server consumes, by name or with how to declare it. */
  readonly queue: string | QueueSpec;
};

/** What `on` of a server or client tells: the events of the InstanceQueue. */
export type TransportEvents = {
  [K in keyof InstanceQueueEvents]: (...args: InstanceQueueEvents[K]) => void;
};

/** The InstanceQueue of a server or client. */
export interface Transported {
  readonly instanceQueue: InstanceQueue;
  /** Is it of its own? */
  readonly owned: boolean;
}

/** The given InstanceQueue, or one that declares the queue. @throws OptionsError */
export function transported(options: TransportOptions): Transported {
  if ('connection' in options) return { instanceQueue: options.connection, owned: false };
  const { queue, topology = {}, logger = nestLogger(), ...others } = options;
  const queues = typeof queue === 'string' ? topology.queues : [...(topology.queues ?? []), queue];
  return {
    instanceQueue: new InstanceQueue({ ...others, logger, topology: { ...topology, ...(queues && { queues }) } }),
    owned: true,
  };
}

/** The name of a queue, however it is given. */
export const nameOfQueue = (queue: string | QueueSpec): string => (typeof queue === 'string' ? queue : queue.name);
