import { Subject, map, of, startWith, switchMap, take, timer, type Observable } from 'rxjs';

/** ms after which a setup without an answer is no longer waited for, nor suspected of closing the connection. */
const ANSWERED_WITHIN = 3000;

/** The setup of one consumer or producer (declare, open, consume). The broker may answer any step by closing the connection. */
export interface SetupTurn {
  /** Was no other setup under way at any time? */
  readonly alone: boolean;
  /** The broker has answered. A turn given up earlier stays under way for a while: the answer may still come. */
  end(): void;
}

interface UnderWay {
  alone: boolean;
  readonly exclusive: boolean;
  readonly overdue: number;
}

/** The setups under way on one connection: side by side, unless one asks to be alone. */
export class SetupLock {
  static readonly #locks = new WeakMap<object, SetupLock>();

  readonly #underWay = new Set<UnderWay>();
  readonly #changed = new Subject<void>();

  /** The lock of a connection, one for all who use it. */
  static of(link: object): SetupLock {
    let lock = this.#locks.get(link);
    if (!lock) this.#locks.set(link, (lock = new SetupLock()));
    return lock;
  }

  /** Cold. Emits: the turn when it comes, once; then completes. Errors: never. Unsubscribe: waits no longer. */
  take(exclusive: boolean): Observable<SetupTurn> {
    return this.#changed.pipe(
      startWith(undefined),
      switchMap(() => {
        const wait = this.#wait(exclusive);
        return wait > 0 ? timer(Math.ceil(wait)) : of(0);
      }),
      take(1),
      map(() => this.#begin(exclusive)),
    );
  }

  /** ms until no turn is in the way any more, unless those end sooner. */
  #wait(exclusive: boolean): number {
    const now = performance.now();
    const inTheWay = [...this.#underWay].filter((turn) => exclusive || turn.exclusive);
    return Math.max(0, ...inTheWay.map(({ overdue }) => overdue - now));
  }

  #begin(exclusive: boolean): SetupTurn {
    const now = performance.now();
    const others = [...this.#underWay];
    for (const other of others) {
      other.alone = false;
      if (other.overdue <= now) this.#underWay.delete(other);
    }
    const turn: UnderWay = { alone: this.#underWay.size === 0, exclusive, overdue: now + ANSWERED_WITHIN };
    this.#underWay.add(turn);
    this.#changed.next();
    return {
      get alone() {
        return turn.alone;
      },
      end: () => {
        if (this.#underWay.delete(turn)) this.#changed.next();
      },
    };
  }
}
