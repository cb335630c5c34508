import { timer, type Subscription } from 'rxjs';

interface Timed {
  readonly settled: boolean;
}
interface Lane<E> {
  entries: { readonly entry: E; readonly at: number }[];
  head: number;
  /** How long it may grow before settled entries are thrown out. */
  limit: number;
}

const LANE = 1024;

/** Steps over what is settled; returns the first that is not. */
function firstOpen<E extends Timed>(lane: Lane<E>): Lane<E>['entries'][number] | undefined {
  let first = lane.entries[lane.head];
  while (first?.entry.settled) first = lane.entries[++lane.head];
  return first;
}

/**
 * Throws out what is settled, lest a lane holds messages long confirmed: also those behind one that is open for long.
 * Only when it has doubled, so that it costs next to nothing for each.
 */
function forgetSettled<E extends Timed>(lane: Lane<E>): void {
  if (lane.entries.length < lane.limit) return;
  lane.entries = lane.entries.filter(({ entry }, i) => i >= lane.head && !entry.settled);
  lane.head = 0;
  lane.limit = Math.max(LANE, lane.entries.length * 2);
}

/**
 * One timer for any number of deadlines. Those of equal length fall due in the order in which they began, so that each
 * length has a lane of its own and only the first of each lane is looked at.
 */
export class Deadlines<E extends Timed> {
  readonly #lanes = new Map<number, Lane<E>>();
  readonly #due: (entry: E) => void;
  #timer: Subscription | undefined;
  #wakesAt = Infinity;

  constructor(due: (entry: E) => void) {
    this.#due = due;
  }

  /** `entry` falls due in `within` ms, unless it is settled by then. */
  add(entry: E, within: number): void {
    let lane = this.#lanes.get(within);
    if (!lane) this.#lanes.set(within, (lane = { entries: [], head: 0, limit: LANE }));
    const at = performance.now() + within;
    lane.entries.push({ entry, at });
    forgetSettled(lane);
    this.#wake(at);
  }

  /** No timer is left. */
  clear(): void {
    this.#timer?.unsubscribe();
    this.#timer = undefined;
    this.#wakesAt = Infinity;
    this.#lanes.clear();
  }

  #wake(at: number): void {
    if (at >= this.#wakesAt) return;
    this.#timer?.unsubscribe();
    this.#wakesAt = at;
    this.#timer = timer(Math.max(0, Math.ceil(at - performance.now()))).subscribe(() => {
      this.#wakesAt = Infinity;
      this.#sweep();
    });
  }

  #sweep(): void {
    const now = performance.now();
    let next = Infinity;
    for (const [within, lane] of this.#lanes) {
      for (let first = firstOpen(lane); first; first = firstOpen(lane)) {
        if (first.at > now) {
          next = Math.min(next, first.at);
          break;
        }
        lane.head++;
        this.#due(first.entry);
      }
      if (lane.head === lane.entries.length) this.#lanes.delete(within);
    }
    if (next !== Infinity) this.#wake(next);
  }
}
