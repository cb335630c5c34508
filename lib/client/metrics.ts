import type { OutboxState } from '../producer/producer-state';

/** Counters since the start, and gauges now. Gauges say so. */
export interface Metrics {
  /** Messages published for the first time. */
  readonly sent: number;
  /** Messages that the broker confirmed in time. */
  readonly confirmed: number;
  /** Publishes of messages published before. */
  readonly resent: number;
  /** Messages that no queue took, including those that are sent again after their queue was declared. */
  readonly returned: number;
  /** Nacks received: a message that is sent again can count several times. */
  readonly nacked: number;
  /** Messages whose deadline or expiration passed before they were confirmed. */
  readonly timedOut: number;
  /** Messages that a full outbox (`drop-oldest`) rejected in favour of newer ones. */
  readonly dropped: number;
  /** Deliveries handed out, redelivered ones included. */
  readonly delivered: number;
  /** Those of them that the broker marked as redelivered. */
  readonly redelivered: number;
  /** Deliveries settled with `ack()`. */
  readonly acked: number;
  /** Deliveries settled with `requeue()`. */
  readonly requeued: number;
  /** Deliveries settled with `release()`. */
  readonly released: number;
  /** Deliveries settled with `reject()`. */
  readonly rejected: number;
  /** Deliveries whose channel ended before they were settled. */
  readonly lost: number;
  /** Deliveries whose body the codec could not decode. */
  readonly undecodable: number;
  /** Copies that `retry` put into a wait queue. They also count as `sent`. */
  readonly retried: number;
  /** Replies without a pending request: late ones, and those with an unknown correlation id. */
  readonly unclaimed: number;
  /** Connections established again after a loss. */
  readonly reconnects: number;
  /** Channels opened, and consumers attached, again. */
  readonly reopens: number;
  /** Gauge: deliveries handed out and not settled. */
  readonly inFlight: number;
  /** Gauge: the outboxes of all producers, summed. */
  readonly outbox: OutboxState;
}
