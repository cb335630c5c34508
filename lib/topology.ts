import type { Arguments, Route } from './properties';

/** A queue to assert (or, with `passive`, to check). Anything RabbitMQ knows beyond these goes into `arguments`. */
export interface QueueSpec {
  /** At most 255 bytes; '' lets the broker choose a name, anew at every attach. */
  readonly name: string;
  /** @default what the virtual host defaults to, usually classic */
  readonly type?: 'classic' | 'quorum' | 'stream';
  /** Survives a restart of the broker. `false` only together with `exclusive`: RabbitMQ 4.3 denies the rest. @default true */
  readonly durable?: boolean;
  /** Belongs to this connection and dies with it. @default false; true for a queue named by the broker */
  readonly exclusive?: boolean;
  /** Deleted when its last consumer leaves. @default false */
  readonly autoDelete?: boolean;
  /** Check that it exists, never create it. @default false */
  readonly passive?: boolean;
  /** Where rejected, expired and overflowing messages go. */
  readonly deadLetter?: Route;
  /** ms a message may wait in the queue. */
  readonly messageTtl?: number;
  /** ms without use after which the queue is deleted. */
  readonly expires?: number;
  /** Messages ready in the queue at most. */
  readonly maxLength?: number;
  /** What happens beyond `maxLength`. @default drop-head, by the broker */
  readonly overflow?: 'drop-head' | 'reject-publish' | 'reject-publish-dlx';
  /**
   * Quorum queues: how often a message may fail (a `requeue`, a lost delivery) before the broker dead-letters or drops it;
   * -1: as often as it takes. Since RabbitMQ 4.0 it is 20 unless a policy or this says otherwise, before 4.0 there was none.
   * @default that of the broker
   */
  readonly deliveryLimit?: number;
  /** Only one consumer at a time gets messages; the next takes over when it leaves. */
  readonly singleActiveConsumer?: boolean;
  /** Classic queues: number of priorities, 1 to 255. */
  readonly maxPriority?: number;
  /** Anything else, verbatim. */
  readonly arguments?: Arguments;
}

/** An exchange to assert (or, with `passive`, to check). */
export interface ExchangeSpec {
  readonly name: string;
  readonly type: 'direct' | 'topic' | 'fanout' | 'headers' | (string & {});
  /** @default true */
  readonly durable?: boolean;
  /** Deleted when its last binding goes. @default false */
  readonly autoDelete?: boolean;
  /** Reachable through other exchanges only. @default false */
  readonly internal?: boolean;
  /** Check that it exists, never create it. @default false */
  readonly passive?: boolean;
  /** Where messages go that this exchange cannot route. */
  readonly alternateExchange?: string;
  readonly arguments?: Arguments;
}

/** A binding of a queue, or of another exchange, to an exchange. */
export type BindingSpec = {
  /** The source. */
  readonly exchange: string;
  /** @default '' */
  readonly routingKey?: string;
  readonly arguments?: Arguments;
} & ({ readonly queue: string; readonly toExchange?: never } | { readonly toExchange: string; readonly queue?: never });

/** What must stand at the broker before messages flow. Declared in this order. */
export interface Topology {
  readonly exchanges?: readonly ExchangeSpec[];
  readonly queues?: readonly QueueSpec[];
  readonly bindings?: readonly BindingSpec[];
}

/** The entry of that name, if the topology has one. */
export function queueNamed(topology: Topology | undefined, name: string): QueueSpec | undefined {
  return topology?.queues?.find((spec) => spec.name === name);
}

/** Two topologies as one; an entry of `first` wins over one of the same name in `second`. */
export function mergeTopologies(first: Topology | undefined, second: Topology | undefined): Topology {
  const named = <S extends { readonly name: string }>(a: readonly S[] = [], b: readonly S[] = []): S[] => [
    ...a,
    ...b.filter((spec) => !a.some(({ name }) => name === spec.name)),
  ];
  return {
    exchanges: named(first?.exchanges, second?.exchanges),
    queues: named(first?.queues, second?.queues),
    bindings: [...(first?.bindings ?? []), ...(second?.bindings ?? [])],
  };
}
