import type { Universe } from '../../lib/testing/simulation/universe';

/** A rule of the oracle that was broken. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
}

/** Of the hash FNV-1a. */
const PRIME = 0x01000193;

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
    // To the µs.
    let trace = Math.imul(this.#trace ^ Math.round(this.#universe.now * 1000), PRIME);
    for (let i = 0; i < event.length; i++) trace = Math.imul(trace ^ event.charCodeAt(i), PRIME);
    this.#trace = trace;
  }

  violate(rule: string, what: string): void {
    if (this.violations.some((one) => one.rule === rule)) return;
    this.note(`VIOLATION of ${rule}: ${what}`);
    this.violations.push({ rule, what });
  }
}
