import type { Interval } from './interval';
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
  /** Messages ready in the queue at most. Not for streams. */
  readonly maxLength?: number;
  /**
   * Bytes of the message bodies at most. On a stream: bytes on disk, beyond which the broker deletes the oldest segment; it
   * never deletes the segment that it is writing.
   */
  readonly maxLengthBytes?: number;
  /**
   * What happens beyond `maxLength` or `maxLengthBytes`. 'reject-publish-dlx' is for classic queues alone.
   * @default drop-head, by the broker
   */
  readonly overflow?: 'drop-head' | 'reject-publish' | 'reject-publish-dlx';
  /**
   * Quorum queues: how safely dead letters reach their queues. 'at-least-once' keeps each until they have confirmed it, and needs
   * a `deadLetter` and `overflow: 'reject-publish'`: otherwise RabbitMQ silently falls back to 'at-most-once'.
   * @default at-most-once, by the broker
   */
  readonly deadLetterStrategy?: 'at-most-once' | 'at-least-once';
  /**
   * Quorum queues: how often a message may fail (a `requeue`, a lost delivery) before the broker dead-letters or drops it;
   * -1: as often as it takes. Since RabbitMQ 4.0 it is 20 unless a policy or this says otherwise, before 4.0 there was none.
   * @default that of the broker
   */
  readonly deliveryLimit?: number;
  /**
   * Quorum queues, RabbitMQ ≥ 4.3: a message that is put back waits in the queue before it is delivered again. An older broker
   * would ignore it, so it is refused there. `retry({ waitIn: 'queue' })` uses it.
   */
  readonly delayedRetry?: DelayedRetry;
  /**
   * Quorum queues, RabbitMQ ≥ 3.12 (refused before): ms that a consumer may take to settle a delivery. Then the broker takes its
   * deliveries back: since 4.3 it cancels the consumer, before that it closes the channel, and looks once a minute.
   * @default that of the broker, usually 30 minutes
   */
  readonly consumerTimeout?: number;
  /** Streams: how long messages are kept, an interval such as `'7D'`, or ms in whole seconds. Whole segments are deleted. */
  readonly maxAge?: Interval | number;
  /** Streams: bytes of a segment file, 3 000 000 000 at most. @default 500 000 000, by the broker */
  readonly segmentSize?: number;
  /**
   * In a cluster: the node of the queue's leader, when the queue is made. 'client-local': the one that the client is connected to.
   * 'balanced': the one with the fewest leaders. @default client-local, by the broker
   */
  readonly leaderLocator?: 'client-local' | 'balanced';
  /** Quorum queues and streams: nodes with a replica, when the queue is made. @default that of the broker */
  readonly initialGroupSize?: number;
  /** Only one consumer at a time gets messages; the next takes over when it leaves. */
  readonly singleActiveConsumer?: boolean;
  /** Classic queues: number of priorities, 1 to 255. */
  readonly maxPriority?: number;
  /** Anything else, verbatim. */
  readonly arguments?: Arguments;
}

/** How long messages that are put back wait in their queue. https://www.rabbitmq.com/docs/quorum-queues */
export interface DelayedRetry {
  /**
   * Which messages wait: those that `failed` (`requeue`, or lost with their channel), those that were `returned` without having
   * failed (`release`), or all. @default 'failed'
   */
  readonly type?: 'failed' | 'returned' | 'all';
  /** ms after the first failure; twice as long after the second, and so on. */
  readonly min: number;
  /** ms at most. @default that of `min`: always the same */
  readonly max?: number;
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
} & (
  | {
      /** The destination; '': the queue that the broker names, where one is consumed, and nothing elsewhere. */
      readonly queue: string;
      readonly toExchange?: never;
    }
  | { readonly toExchange: string; readonly queue?: never }
);

/** What must stand at the broker before messages flow. Declared in this order. */
export interface Topology {
  readonly exchanges?: readonly ExchangeSpec[];
  readonly queues?: readonly QueueSpec[];
  readonly bindings?: readonly BindingSpec[];
}

/** The type that a spec asks for; undefined: that of the virtual host. */
export function queueTypeOf({ type, arguments: args = {} }: QueueSpec): string | undefined {
  const declared: unknown = type ?? args['x-queue-type'];
  return typeof declared === 'string' ? declared : undefined;
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
