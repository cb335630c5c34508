import type { Phase } from './phase';

/** A period in one phase; the present one has no `to`. Times are of the wall clock, in ms. */
export interface Span extends Phase {
  readonly id: number;
  readonly from: number;
  readonly to?: number;
}

/** The period that the page shows, in ms. */
export const WINDOW = 120_000;

/** The phases of one connection in order, as far back as the page shows. */
export class Timeline {
  #spans: readonly Span[] = [];
  #count = 0;

  get spans(): readonly Span[] {
    return this.#spans;
  }

  /** Returns the spans that are new or changed. */
  enter(phase: Phase, now = Date.now()): readonly Span[] {
    const last = this.#spans.at(-1);
    if (last?.name === phase.name && last.epoch === phase.epoch) {
      // Another attempt in the same outage. The first cause explains it.
      const longer = { ...last, ...phase, ...(last.cause !== undefined && { cause: last.cause }) };
      if (longer.attempt === last.attempt && longer.cause === last.cause) return [];
      this.#spans = [...this.#spans.slice(0, -1), longer];
      return [longer];
    }
    const ended = last ? [{ ...last, to: now }] : [];
    const begun = { ...phase, id: ++this.#count, from: now };
    const kept = this.#spans.slice(0, -1).filter(({ to = now }) => to > now - WINDOW);
    this.#spans = [...kept, ...ended, begun];
    return [...ended, begun];
  }
}
