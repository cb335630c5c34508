import { Observable, concatMap, of, timer, type Subscription } from 'rxjs';
import { Ring } from './ring';

interface Timed {
  /** Monotonic, ms. */
  readonly since: number;
  readonly settled: boolean;
}
interface Lane<E> {
  readonly line: Ring<E>;
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
function firstOpen<E extends Timed>({ line }: Lane<E>): E | undefined {
  for (let first = line.at(0); first; first = line.at(0)) {
    if (!first.settled) return first;
    line.shift();
  }
  return undefined;
}

/**
 * Throws out what is settled, lest a lane holds messages long confirmed: also those behind one that is open for long.
 * Only when it has doubled, so that it costs next to nothing for each.
 */
function forgetSettled<E extends Timed>(lane: Lane<E>): void {
  const { line } = lane;
  if (line.length < lane.limit) return;
  line.keep(({ settled }) => !settled);
  lane.limit = Math.max(LANE, line.length * 2);
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

  /** `entry` has just begun; it falls due `within` ms after that, unless it is settled by then. */
  add(entry: E, within: number): void {
    let lane = this.#lanes.get(within);
    if (!lane) this.#lanes.set(within, (lane = { line: new Ring(), limit: LANE }));
    lane.line.push(entry);
    firstOpen(lane);
    forgetSettled(lane);
    this.#wake(entry.since + within);
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
        const at = first.since + within;
        if (at > now) {
          next = Math.min(next, at);
          break;
        }
        lane.line.shift();
        this.#due(first);
      }
      if (lane.line.length === 0) this.#lanes.delete(within);
    }
    if (next !== Infinity) this.#wake(next);
  }
}
