import type { InstanceQueueError } from '../errors';

/**
 * The state of a consumer. `detached` without a cause: it waits for its first connection, or is about to attach again after
 * a pause. `paused`: by its option `pause`; what was handed out before can still be settled. `retryIn`: ms until the next
 * attempt; without it, the next connection starts one.
 */
export type ConsumerState =
  | { readonly status: 'detached'; readonly cause?: InstanceQueueError; readonly retryIn?: number }
  | { readonly status: 'attached'; readonly tag: string; readonly queue: string; readonly epoch: number }
  | { readonly status: 'paused' }
  | { readonly status: 'draining'; readonly unsettled: number }
  | { readonly status: 'stopped'; readonly cause?: InstanceQueueError };

/** The unsettled deliveries of an attached consumer, at one moment. */
export interface Backlog {
  readonly unsettled: number;
  readonly prefetch: number;
  /** The tag of the latest delivery: it changes with each new one. */
  readonly latest: number;
}
