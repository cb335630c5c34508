import type { MessageProperties } from '../properties';
import type { Settlement } from '../transport/transport';

/** An inbound message, as handlers see it: it has no settle methods. */
export interface Message<T> {
  /** The content as decoded by the codec. */
  readonly body: T;
  /** The bytes as they arrived. */
  readonly content: Buffer;
  /** The queue it was consumed from. */
  readonly queue: string;
  /** The exchange it was published to; for a message that comes back from `retry`, or by a replay of dead letters, that of the first publish. */
  readonly exchange: string;
  /** Its routing key; for a message that comes back from `retry`, or by a replay of dead letters, that of the first publish. */
  readonly routingKey: string;
  /** Was it delivered before, to any consumer? */
  readonly redelivered: boolean;
  /**
   * Earlier attempts: those that `retry` counted in this queue, and those that the broker reports. Quorum queues count them;
   * a classic queue only reports none (0) or some (1).
   */
  readonly deliveryCount: number;
  /** Its offset, if it was read from a stream. */
  readonly offset?: number;
  /** The partition that it came from, if its queue is a partitioned one: from 0. */
  readonly partition?: number;
  /** The filter value that it was sent with, if any: its header `x-stream-filter-value`. */
  readonly streamFilter?: string | undefined;
  readonly properties: MessageProperties;
}

export type { Settlement };

/**
 * An inbound message to settle once, on the channel it came on. The first settlement counts. A later one, or one after the
 * channel is gone, does nothing and returns `false`. No method throws.
 */
export interface Delivery<T> extends Message<T> {
  /** How it was settled; 'lost' if its channel ended first (the broker delivers it again); undefined while unsettled. */
  readonly settled: Settlement | 'lost' | undefined;
  /** Done. `true`: accepted here (the channel may still end before it is sent). `false`: already settled, or lost. */
  ack(): boolean;
  /**
   * Failed, try again: `basic.reject` with requeue. It counts towards the delivery limit of a quorum queue, which since
   * RabbitMQ 4.0 is 20 unless its `deliveryLimit` says otherwise: then the broker dead-letters or drops the message.
   * Returns as `ack` does.
   */
  requeue(): boolean;
  /** Not tried: `basic.nack` with requeue, which does not count as a failure (RabbitMQ ≥ 4.3). Returns as `ack` does. */
  release(): boolean;
  /** Failed for good: dead-lettered if the queue has a dead-letter route, else dropped. Returns as `ack` does. */
  reject(): boolean;
}
