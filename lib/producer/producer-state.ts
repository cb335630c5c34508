import type { InstanceQueueError } from '../errors';

/**
 * Can a producer in use confirm? `opening`: its channel is not open, or not yet; the cause of the last failure is kept
 * until one is. `open`: it can. `stopped`: with a cause it gave up, without one it was closed.
 */
export type ProducerState =
  | { readonly status: 'opening'; readonly cause?: InstanceQueueError; readonly retryIn?: number }
  | { readonly status: 'open'; readonly epoch: number }
  | { readonly status: 'stopped'; readonly cause?: InstanceQueueError };

/** Who wants to know. A producer that nobody sends with tells nothing. */
export interface ProducerWatch {
  readonly state?: (state: ProducerState) => void;
}
