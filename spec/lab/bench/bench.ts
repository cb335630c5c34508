import type { Broker } from '../../../compose/broker';
import type { ClientName } from './clients/all';
import type { Programs } from './programs';
import type { Queues } from './queues';

/** What the parts of the bench share. */
export interface Bench {
  readonly broker: Broker;
  readonly queues: Queues;
  readonly programs: Programs;
  readonly rounds: number;
  /** 1: long enough for reliable figures. */
  readonly scale: number;
  /** Those asked for that are installed. */
  readonly clients: readonly ClientName[];
  /** Is a scenario of this title asked for? */
  readonly wants: (title: string) => boolean;
}

/** A part of the bench: measures, and resolves with Markdown. */
export type Part = (bench: Bench) => Promise<string>;
