import { Observable, concatMap, of, timer, type Subscription } from 'rxjs';
import { Ring } from './ring';

interface Timed {
  /** Monotonic, ms. */
  readonly since: number;
  readonly settled: boolean;
}
/** Entries with the same time limit, in the order in which they fall due. */
interface Lane<E> {
  readonly entries: Ring<E>;
  /** Settled entries are removed once the lane is this long. */
  limit: number;
}

const MIN_LIMIT = 1024;
const MIN_LANES = 64;

/**
 * Emits after the next round of I/O. Node runs due timers before it reads sockets: after the process was blocked, the
 * awaited answer may already lie in a socket.
 */
const afterReads$ = new Observable<void>((subscriber) => {
  const immediate = setImmediate(() => {
    subscriber.next();
    subscriber.complete();
  });
  return () => {
    clearImmediate(immediate);
  };
});

/** The first open entry. Removes the settled ones in front of it: entries that live on cost the garbage collector most. */
function firstOpen<E extends Timed>({ entries }: Lane<E>): E | undefined {
  for (let first = entries.at(0); first; first = entries.at(0)) {
    if (!first.settled) return first;
    entries.shift();
  }
  return undefined;
}

/**
 * Removes settled entries behind an open one as well, so that the lane does not hold on to messages confirmed long ago. Runs
 * only when the lane has doubled, which makes its cost per entry constant.
 */
function removeSettled<E extends Timed>(lane: Lane<E>): void {
  const { entries } = lane;
  if (entries.length < lane.limit) return;
  entries.keep(({ settled }) => !settled);
  lane.limit = Math.max(MIN_LIMIT, entries.length * 2);
}

/**
 * Time limits of any number of entries on one timer. Entries with equal limits fall due in the order in which they were
 * added: each limit has a lane, and only the first entry of each lane is looked at.
 */
export class Deadlines<E extends Timed> {
  readonly #lanes = new Map<number, Lane<E>>();
  readonly #due: (entry: E) => void;
  #timer: Subscription | undefined;
  #wakesAt = Infinity;
  /** Lanes without an open entry are removed once there are this many. */
  #mostLanes = MIN_LANES;

  /** `due` is called once per entry that is open when its time is up. */
  constructor(due: (entry: E) => void) {
    this.#due = due;
  }

  /** Adds an entry that has just begun. It falls due `within` ms after its `since`, unless it is settled by then. */
  add(entry: E, within: number): void {
    let lane = this.#lanes.get(within);
    if (!lane) {
      this.#removeLanes();
      this.#lanes.set(within, (lane = { entries: new Ring(), limit: MIN_LIMIT }));
    }
    lane.entries.push(entry);
    firstOpen(lane);
    removeSettled(lane);
    this.#wake(entry.since + within);
  }

  /** Forgets all entries and stops the timer. */
  clear(): void {
    this.#timer?.unsubscribe();
    this.#timer = undefined;
    this.#wakesAt = Infinity;
    // `due` may clear in the middle of a sweep, which still holds its lane.
    for (const { entries } of this.#lanes.values()) entries.clear();
    this.#lanes.clear();
  }

  /** There may be as many limits as entries, such as the time that is left of each. Its cost per entry is constant, as above. */
  #removeLanes(): void {
    if (this.#lanes.size < this.#mostLanes) return;
    for (const [within, lane] of this.#lanes) if (!firstOpen(lane)) this.#lanes.delete(within);
    this.#mostLanes = Math.max(MIN_LANES, 2 * this.#lanes.size);
  }

  #wake(at: number): void {
    if (at >= this.#wakesAt) return;
    this.#timer?.unsubscribe();
    this.#wakesAt = at;
    const due$ = timer(Math.max(0, Math.ceil(at - performance.now())));
    const late = (): boolean => performance.now() - at > 1;
    this.#timer = due$.pipe(concatMap(() => (late() ? afterReads$ : of(undefined)))).subscribe(() => {
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
        lane.entries.shift();
        this.#due(first);
      }
      // `due` may have added an entry, to another lane with this limit if this one was removed meanwhile.
      if (lane.entries.length === 0 && this.#lanes.get(within) === lane) this.#lanes.delete(within);
    }
    if (next !== Infinity && this.#lanes.size > 0) this.#wake(next);
  }
}
