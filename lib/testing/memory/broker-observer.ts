import type { Settlement } from '../../transport/transport';
import type { Refusal } from './refusal';
import type { StoredMessage } from './stored-message';

/** Sees what happens at a broker in memory. `channel` identifies a channel. */
export interface BrokerObserver {
  readonly published?: (message: StoredMessage, outcome: 'taken' | 'unroutable' | 'full' | 'returned') => void;
  readonly delivered?: (channel: object, tag: number, message: StoredMessage, queue: string) => void;
  /** A client settled a delivery. */
  readonly settled?: (channel: object, tag: number, message: StoredMessage, how: Settlement) => void;
  /** The broker refuses what a client asked for. */
  readonly refused?: (refusal: Refusal) => void;
}
