import type { ConnectionError, InstanceQueueError } from '../errors';

/** The credentials of a connection that is up could not be renewed so far. */
export interface Expiring {
  /** When they expire. The connection works until then; after that it is dialled again. */
  readonly expiresAt: Date;
  /** Which attempt to renew them comes next, counted from 1. */
  readonly attempt: number;
  /** ms until that attempt. */
  readonly delay: number;
  readonly cause: ConnectionError;
}

/** The state of a connection. Frozen plain data; `epoch` grows by one with each established connection. */
export type ConnectionState =
  | { readonly status: 'disconnected' }
  | { readonly status: 'connecting'; readonly attempt: number }
  | {
      readonly status: 'connected';
      readonly epoch: number;
      readonly endpoint: string;
      /** Present while its credentials could not be renewed. A state of the same epoch without it: they were. */
      readonly expiring?: Expiring;
    }
  | {
      readonly status: 'reconnecting';
      /** The next attempt, counted from 1 in each outage. */
      readonly attempt: number;
      /** ms until that attempt. */
      readonly delay: number;
      readonly cause: ConnectionError;
    }
  | { readonly status: 'closing' }
  | { readonly status: 'closed'; readonly cause?: InstanceQueueError };
