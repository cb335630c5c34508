import { Observable, concatMap, of, timer, type Subscription } from 'rxjs';

interface Timed {
  readonly settled: boolean;
}
interface Lane<E> {
  /** undefined: settled, and let go of. */
  entries: (E | undefined)[];
  /** When each falls due; beside them, since an object for each would be one more per message. */
  ats: number[];
  head: number;
  /** How long it may grow before settled entries are thrown out. */
  limit: number;
}

const LANE = 1024;

/** Node fires what is due before it reads: of a process that stood still, the answer may lie in its socket already. */
const behindReads$ = new Observable<void>((subscriber) => {
  const immediate = setImmediate(() => {
    subscriber.next();
    subscriber.complete();
  });
  return () => {
    clearImmediate(immediate);
  };
});

/** Steps over what is settled, and lets go of it: what lives longer than it has to costs the garbage collector most. */
function firstOpen<E extends Timed>(lane: Lane<E>): E | undefined {
  const { entries } = lane;
  while (lane.head < entries.length) {
    const first = entries[lane.head];
    if (first?.settled === false) return first;
    entries[lane.head++] = undefined;
  }
  return undefined;
}

/**
 * Throws out what is settled, lest a lane holds messages long confirmed: also those behind one that is open for long.
 * Only when it has doubled, so that it costs next to nothing for each.
 */
function forgetSettled<E extends Timed>(lane: Lane<E>): void {
  if (lane.entries.length < lane.limit) return;
  const { entries } = lane;
  const open = (_: unknown, i: number): boolean => entries[i]?.settled === false;
  lane.ats = lane.ats.filter(open);
  lane.entries = entries.filter(open);
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

  /** `entry` falls due `within` ms after `from` (monotonic), unless it is settled by then. */
  add(entry: E, within: number, from = performance.now()): void {
    let lane = this.#lanes.get(within);
    if (!lane) this.#lanes.set(within, (lane = { entries: [], ats: [], head: 0, limit: LANE }));
    const at = from + within;
    lane.entries.push(entry);
    lane.ats.push(at);
    firstOpen(lane);
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
    const due$ = timer(Math.max(0, Math.ceil(at - performance.now())));
    const late = (): boolean => performance.now() - at > 1;
    this.#timer = due$.pipe(concatMap(() => (late() ? behindReads$ : of(undefined)))).subscribe(() => {
      this.#wakesAt = Infinity;
      this.#sweep();
    });
  }

  #sweep(): void {
    const now = performance.now();
    let next = Infinity;
    for (const [within, lane] of this.#lanes) {
      for (let first = firstOpen(lane); first; first = firstOpen(lane)) {
        const at = lane.ats[lane.head] ?? 0;
        if (at > now) {
          next = Math.min(next, at);
          break;
        }
        lane.entries[lane.head++] = undefined;
        this.#due(first);
      }
      if (lane.head === lane.entries.length) this.#lanes.delete(within);
    }
    if (next !== Infinity) this.#wake(next);
  }
}
