import type { Universe } from '../../lib/testing/simulation/universe';

/** A rule of the oracle that was broken. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
}

/** What the oracle has seen and found in one run. The first violation of a rule is enough. */
export class Findings {
  readonly violations: Violation[] = [];
  readonly #universe: Universe;
  #trace = 0x811c9dc5;

  constructor(universe: Universe) {
    this.#universe = universe;
  }

  /** A number that depends on everything that happened. */
  get trace(): string {
    return (this.#trace >>> 0).toString(16).padStart(8, '0');
  }

  note(event: string): void {
    this.#universe.note(event);
    const line = `${this.#universe.now.toFixed(3)} ${event}`;
    for (let i = 0; i < line.length; i++) this.#trace = Math.imul(this.#trace ^ line.charCodeAt(i), 0x01000193);
  }

  violate(rule: string, what: string): void {
    if (this.violations.some((one) => one.rule === rule)) return;
    this.note(`VIOLATION of ${rule}: ${what}`);
    this.violations.push({ rule, what });
  }
}
