import type { Universe } from '../../lib/testing/simulation/universe';
import type { Findings } from './findings';
import { DEAD, isFaultless, type Plan } from './plan';

/** The rules about dead letters that somebody looks after: one is gone when its copy is there, or when it is to be dropped. */
export class LetterOracle {
  readonly #plan: Plan;
  readonly #findings: Findings;
  readonly #universe: Universe;
  readonly #drops: boolean;
  /** Letters that a tool has read: how many copies the broker took of each, and how many acks. */
  readonly #read = new Map<number, { copies: number; acked: number }>();
  #acked = 0;
  #done = 0;

  constructor(universe: Universe, plan: Plan, findings: Findings) {
    this.#universe = universe;
    this.#plan = plan;
    this.#findings = findings;
    this.#drops = plan.letters?.some(({ does }) => does === 'drop') ?? false;
  }

  /** The broker hands a message of a queue to a consumer. */
  delivered(id: number, queue: string): void {
    if (queue === DEAD && !this.#read.has(id)) this.#read.set(id, { copies: 0, acked: 0 });
  }

  /** May a message with this id be the copy of a letter? */
  hasRead(id: number): boolean {
    return this.#read.has(id);
  }

  copied(id: number, outcome: string): void {
    const letter = this.#read.get(id);
    if (letter && outcome === 'taken') letter.copies++;
  }

  /** A tool has settled a letter. Returns whether it is dropped. */
  settled(id: number, how: string): boolean {
    const letter = this.#read.get(id);
    if (how !== 'ack' || !letter) return false;
    this.#acked++;
    letter.acked++;
    if (!this.#drops && letter.acked > letter.copies) {
      this.#findings.violate(
        'a-letter-goes-behind-its-copy',
        `letter ${String(id)} is acked, and its copy is not there`,
      );
    }
    return this.#drops;
  }

  /** A tool says how many letters it is done with. */
  reports(done: number): void {
    this.#done += done;
  }

  /** Everything had time to mend. */
  calm(): void {
    if (!isFaultless(this.#plan) || this.#universe.broker.vhost.find(DEAD) === undefined) return;
    if (this.#acked === this.#done) return;
    const what = `${String(this.#acked)} letters are gone, ${String(this.#done)} were reported`;
    this.#findings.violate('what-is-done-with-letters-is-told', what);
  }
}
