import type { InstanceQueueError } from '../errors';

/**
 * Where a consumer is. `detached` without a cause: waiting for its first connection, or about to attach again after a
 * pause. `paused`: on purpose; what was handed out before can still be settled.
 */
export type ConsumerState =
  | { readonly status: 'detached'; readonly cause?: InstanceQueueError; readonly retryIn?: number }
  | { readonly status: 'attached'; readonly tag: string; readonly queue: string; readonly epoch: number }
  | { readonly status: 'paused' }
  | { readonly status: 'draining'; readonly unsettled: number }
  | { readonly status: 'stopped'; readonly cause?: InstanceQueueError };

/** The deliveries of an attached consumer that are not settled. A sample. */
export interface Backlog {
  readonly unsettled: number;
  readonly prefetch: number;
  /** The tag of the latest delivery. It changes with each new one. */
  readonly latest: number;
}
