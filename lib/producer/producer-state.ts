import type { InstanceQueueError } from '../errors';

/**
 * Can a producer confirm? `idle`: nothing was sent with it yet. `opening`: its channel is not open, or not yet; the cause of
 * the last failure is kept until one is. `open`: it can. `stopped`: with a cause it gave up, without one it was closed.
 */
export type ProducerState =
  | { readonly status: 'idle' }
  | { readonly status: 'opening'; readonly cause?: InstanceQueueError; readonly retryIn?: number }
  | { readonly status: 'open'; readonly epoch: number }
  | { readonly status: 'stopped'; readonly cause?: InstanceQueueError };

/** What is on its way. A gauge. */
export interface OutboxState {
  /** Waiting for the wire. */
  readonly queued: number;
  /** On the wire, not confirmed. */
  readonly unconfirmed: number;
  /** Bytes of what is queued. */
  readonly bytes: number;
}
