import { BehaviorSubject, Observable } from 'rxjs';

/** Derives an emitter map from a state union: one event per status, payload = that state. */
export type EventsOf<S extends { readonly status: string }> = { [K in S as K['status']]: [state: K] };

/**
 * A value over time with one writer. Late subscribers get the present value, also after the end.
 *
 * Writes are trampolined: a subscriber that causes the next write while it is being told of this one would otherwise
 * make later subscribers see the two in the wrong order, and stay at the wrong one for ever.
 */
export class StateSubject<T> {
  readonly #subject: BehaviorSubject<T>;
  readonly #pending: (() => void)[] = [];
  #writing = false;
  #ended = false;
  /** Read-only view. Hot. Emits: the present value, then each new one. Completes: at the end. Errors: never. */
  readonly value$: Observable<T>;

  constructor(initial: T) {
    this.#subject = new BehaviorSubject(initial);
    this.value$ = new Observable((subscriber) => {
      // A completed BehaviorSubject tells late subscribers nothing; the last state is what they came for.
      if (this.#ended) {
        subscriber.next(this.#subject.value);
        subscriber.complete();
        return undefined;
      }
      return this.#subject.subscribe(subscriber);
    });
  }

  get value(): T {
    return this.#subject.value;
  }

  get ended(): boolean {
    return this.#ended;
  }

  next(value: T): void {
    this.#write(() => {
      if (!this.#ended) this.#subject.next(value);
    });
  }

  /** The last value; the stream completes behind it, and later writes are ignored. */
  end(value: T): void {
    this.#write(() => {
      if (this.#ended) return;
      this.#subject.next(value);
      this.#ended = true;
      this.#subject.complete();
    });
  }

  #write(write: () => void): void {
    this.#pending.push(write);
    if (this.#writing) return;
    this.#writing = true;
    try {
      for (let next = this.#pending.shift(); next; next = this.#pending.shift()) next();
    } finally {
      this.#writing = false;
    }
  }
}
