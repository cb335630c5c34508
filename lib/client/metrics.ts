import type { OutboxState } from '../producer/producer-state';

/** Counters since the start, and gauges now. */
export interface Metrics {
  /** Messages published for the first time. */
  readonly sent: number;
  readonly confirmed: number;
  /** Publishes of messages published before. */
  readonly resent: number;
  readonly returned: number;
  readonly nacked: number;
  /** Messages whose deadline or expiration passed before they were confirmed. */
  readonly timedOut: number;
  /** Messages that a full outbox (`drop-oldest`) rejected in favour of newer ones. */
  readonly dropped: number;
  readonly delivered: number;
  readonly redelivered: number;
  readonly acked: number;
  readonly requeued: number;
  readonly released: number;
  readonly rejected: number;
  /** Deliveries whose channel ended before they were settled. */
  readonly lost: number;
  readonly undecodable: number;
  /** Copies that `retry` put into a wait queue. They also count as `sent`. */
  readonly retried: number;
  /** Replies without a pending request: late ones, and those with an unknown correlation id. */
  readonly unclaimed: number;
  readonly reconnects: number;
  /** Channels opened, and consumers attached, again. */
  readonly reopens: number;
  /** Gauge: deliveries handed out and not settled. */
  readonly inFlight: number;
  /** Gauge. */
  readonly outbox: OutboxState;
}
