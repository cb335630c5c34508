import { Subject, map, of, startWith, switchMap, take, timer, type Observable } from 'rxjs';

/** ms after which steps without an answer are no longer waited for, nor taken for what closed the connection. */
const ANSWERED_WITHIN = 3000;

/** Somebody's steps on a connection (declare, open, consume) of which each can make the broker close all of it. */
export interface Turn {
  /** Was nobody else under way at any time? */
  readonly alone: boolean;
  /** The broker has answered. A turn given up before that stays under way for a while: the answer may still come. */
  end(): void;
}

interface UnderWay {
  alone: boolean;
  readonly exclusive: boolean;
  readonly overdue: number;
}

/** Who is under way on one connection: all side by side, unless one asks to be alone. */
export class Turns {
  readonly #underWay = new Set<UnderWay>();
  readonly #changed = new Subject<void>();

  /** Cold. Emits: the turn when it comes, once; then completes. Errors: never. Unsubscribe: waits no longer. */
  take(exclusive: boolean): Observable<Turn> {
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

  /** ms until nobody is in the way any more, unless they end before. */
  #wait(exclusive: boolean): number {
    const now = performance.now();
    const inTheWay = [...this.#underWay].filter((turn) => exclusive || turn.exclusive);
    return Math.max(0, ...inTheWay.map(({ overdue }) => overdue - now));
  }

  #begin(exclusive: boolean): Turn {
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
