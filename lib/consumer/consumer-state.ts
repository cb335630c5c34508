import type { Member } from '../connection/member';
import type { ConsumerError, InstanceQueueError } from '../errors';
import type { Message } from './delivery';

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

/** One subscription of `consume()`, as its watchers see it. */
export interface WatchedConsumption extends Pick<Member, 'close'> {
  /** `undefined` while detached. */
  readonly backlog: Backlog | undefined;
}

/** Callbacks for everything other than a delivery. */
export interface ConsumerWatch {
  readonly started?: (consumption: WatchedConsumption) => void;
  readonly state?: (state: ConsumerState) => void;
  readonly undecodable?: (message: Message<Buffer>, cause: ConsumerError) => void;
  readonly lost?: (message: Message<unknown>) => void;
}
