import type { Observable, Subscription } from 'rxjs';

/**
 * The values of an Observable for a `for await` loop: for `state$`, `health$` and others of which the latest value is what counts. A
 * value that comes while the loop is busy takes the place of one that came before, so that a slow loop needs no memory and never
 * sees an old state. For an Observable whose every value counts, use RxJS.
 *
 * Subscribes at the first step. Ends when the Observable completes, throws what it errors with; `break`, `return` and a throw unsubscribe.
 *
 * @example
 * for await (const { status } of iterate(queue.health$)) console.log(status);
 */
export function iterate<T>(source$: Observable<T>): AsyncIterableIterator<T, undefined> {
  let latest: { readonly value: T } | undefined;
  return pull(source$, {
    put: (value) => {
      latest = { value };
    },
    take: () => {
      const taken = latest;
      latest = undefined;
      return taken;
    },
  });
}

/** What becomes of the values that a loop has not asked for yet. */
export interface Pulled<T> {
  put(value: T): void;
  /** The next one; undefined: there is none yet. */
  take(): { readonly value: T } | undefined;
  /** There will be no other. */
  ended?(): void;
  /** The loop has left before the end. */
  left?(): Promise<void>;
}

/** The values of an Observable, one by one, by way of `store`. */
export function pull<T>(source$: Observable<T>, store: Pulled<T>): AsyncIterableIterator<T, undefined> {
  return new Puller(source$, store);
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

class Puller<T> implements AsyncIterableIterator<T, undefined> {
  readonly #source$: Observable<T>;
  readonly #store: Pulled<T>;
  readonly #waiting: Waiting<T>[] = [];
  #subscription: Subscription | undefined;
  #ended = false;
  /** An error that no step has thrown yet. */
  #failed: { readonly error: unknown } | undefined;
  #left: Promise<void> | undefined;

  constructor(source$: Observable<T>, store: Pulled<T>) {
    this.#source$ = source$;
    this.#store = store;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (!this.#ended) this.#subscription ??= this.#subscribe();
      this.#serve();
    });
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    if (!this.#left) {
      // First: what `left` settles must not reach the loop any more.
      this.#end();
      this.#left = this.#store.left?.() ?? Promise.resolve();
      this.#subscription?.unsubscribe();
      this.#serve();
    }
    await this.#left;
    return { done: true, value: undefined };
  }

  #subscribe(): Subscription {
    return this.#source$.subscribe({
      next: (value) => {
        this.#store.put(value);
        this.#serve();
      },
      error: (error: unknown) => {
        this.#failed = { error };
        this.#end();
        this.#serve();
      },
      complete: () => {
        this.#end();
        this.#serve();
      },
    });
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#store.ended?.();
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      const taken = this.#left || this.#failed ? undefined : this.#store.take();
      if (!taken && !this.#ended) return;
      const waiting = this.#waiting.shift();
      if (taken) waiting?.resolve({ done: false, value: taken.value });
      else if (this.#failed) {
        const { error } = this.#failed;
        this.#failed = undefined;
        waiting?.reject(error);
      } else waiting?.resolve({ done: true, value: undefined });
    }
  }
}
