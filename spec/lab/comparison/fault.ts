import type { Broker } from '../../../compose/broker';
import type { FaultProxy } from 'instance-queue/testing';
import type { Ledger } from '../../../compose/ledger';
import type { ClientProcess } from './client-process';

/** What faults act on. */
export interface Scene {
  readonly broker: Broker;
  /** Both connections of the client go through it. */
  readonly proxy: FaultProxy;
  readonly client: ClientProcess;
  readonly queue: string;
  readonly names: { readonly producer: string; readonly consumer: string };
  readonly ledger: Ledger;
  /** Adds a note to the table. */
  readonly note: (text: string) => void;
  /** Adds a note that counts as a failure. */
  readonly complain: (text: string) => void;
}

/** The times of a fault, by `monotonic()`. The gap lasts from `over` to the first new message sent since `began`. */
export interface Moment {
  readonly began: number;
  /** Equal to `began` for a fault without duration. */
  readonly over: number;
  /** The time at which the broker confirmed the deletion of the queue, if it was deleted. */
  readonly deletedAt?: number;
  /** Checks what is left when messages flow again. */
  readonly after?: () => Promise<void>;
}

export interface Fault {
  readonly title: string;
  /** Repetitions within one experiment. @default 1 */
  readonly times?: number;
  /** Bytes of padding per message. @default 0 */
  readonly padding?: number;
  /** The number of unsettled messages at which the application waits. @default unlimited */
  readonly window?: number;
  /** The limit for the median gap of our own client, ms. */
  readonly limit: number;
  readonly act: (scene: Scene) => Promise<Moment>;
}
