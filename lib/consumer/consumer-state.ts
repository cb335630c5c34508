import type { Member } from '../connection/connection-core';
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

/** Who wants to know what is no message. */
export interface ConsumerWatch {
  readonly started?: (consumption: Pick<Member, 'close'>) => void;
  readonly state?: (state: ConsumerState) => void;
  readonly undecodable?: (message: Message<Buffer>, cause: ConsumerError) => void;
  readonly lost?: (message: Message<unknown>) => void;
}
