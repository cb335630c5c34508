import type { Broker } from '../../../compose/broker';
import type { FaultProxy } from 'instance-queue/testing';
import type { Ledger } from '../../../compose/ledger';
import type { ClientProcess } from './client-process';

/** What a fault is given to break. */
export interface Scene {
  readonly broker: Broker;
  /** Both connections of the client go through it. */
  readonly proxy: FaultProxy;
  readonly client: ClientProcess;
  readonly queue: string;
  readonly names: { readonly producer: string; readonly consumer: string };
  readonly ledger: Ledger;
  /** Something worth a word in the table. */
  readonly note: (text: string) => void;
  /** The same, and not as it should be. */
  readonly complain: (text: string) => void;
}

/** When a fault was, by `monotonic()`. The gap is from `over` to the first new message sent since `began`. */
export interface Moment {
  readonly began: number;
  /** The same as `began` for a fault that does not last. */
  readonly over: number;
  /** When the broker said that the queue is deleted, if it was. */
  readonly deletedAt?: number;
  /** Looks at what is left, once messages flow again. */
  readonly after?: () => Promise<void>;
}

export interface Fault {
  readonly title: string;
  /** How often within one experiment. @default 1 */
  readonly times?: number;
  /** Bytes that each message carries. @default 0 */
  readonly padding?: number;
  /** With so many unsettled messages the application waits. @default it never does */
  readonly window?: number;
  /** ms: the median gap that our own client may have at the most. */
  readonly limit: number;
  readonly act: (scene: Scene) => Promise<Moment>;
}
