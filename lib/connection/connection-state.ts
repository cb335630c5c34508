import type { ConnectionError, InstanceQueueError } from '../errors';

/** Where a connection is. Frozen plain data; `epoch` grows by one with each established connection. */
export type ConnectionState =
  | { readonly status: 'disconnected' }
  | { readonly status: 'connecting'; readonly attempt: number }
  | { readonly status: 'connected'; readonly epoch: number; readonly endpoint: string }
  | {
      readonly status: 'reconnecting';
      /** The attempt that comes next, counted from 1 in each outage. */
      readonly attempt: number;
      /** ms until that attempt. */
      readonly delay: number;
      readonly cause: ConnectionError;
    }
  | { readonly status: 'closing' }
  | { readonly status: 'closed'; readonly cause?: InstanceQueueError };
