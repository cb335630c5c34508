/**
 * Small pieces on top of RxJS that several rooms share: values over time (`StateSubject`), abort signals (`onAbort`),
 * typed events. This room imports RxJS and Node, and nothing of the library.
 */
import { BehaviorSubject, Observable } from 'rxjs';

/** The events of an emitter, derived from a union of states: one event per status, with that state as its argument. */
export type EventsOf<S extends { readonly status: string }> = { [K in S as K['status']]: [state: K] };

/**
 * A value over time with one writer. Late subscribers get the present value, even after the end.
 *
 * A write from inside a subscriber is queued until every subscriber has seen the current one. A BehaviorSubject would
 * deliver the two to later subscribers in reverse order, and leave them with the older value.
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
      // A BehaviorSubject that has completed emits nothing to late subscribers.
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

  /** Writes the last value and completes. Later writes are ignored. */
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
