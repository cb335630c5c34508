import type { InstanceQueueError } from '../errors';

/**
 * The state of a producer. `idle`: it has not sent anything yet. `opening`: its channel is being opened, or opened again, with the
 * cause of the last failure and `retryIn`, the ms until the next attempt (absent: it is made once there is a connection). `open`: it
 * can confirm messages. `stopped`: it gave up, with a cause, or was closed, without one.
 */
export type ProducerState =
  | { readonly status: 'idle' }
  | { readonly status: 'opening'; readonly cause?: InstanceQueueError; readonly retryIn?: number }
  | { readonly status: 'open'; readonly epoch: number }
  | { readonly status: 'stopped'; readonly cause?: InstanceQueueError };

/** Gauges of the messages that are not settled yet. */
export interface OutboxState {
  /** Messages that wait for the wire. */
  readonly queued: number;
  /** Published messages without a confirm. */
  readonly unconfirmed: number;
  /** Bytes of the queued messages. */
  readonly bytes: number;
}
