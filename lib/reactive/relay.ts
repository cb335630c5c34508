import { Observable, type Observer, type Subscriber, type Unsubscribable } from 'rxjs';

/**
 * What `share()` needs of a Subject: tells everybody who has subscribed by then. A Subject makes closures and iterators for
 * each message, which were a fifth of the garbage of consuming.
 */
export class Relay<T> implements Observer<T> {
  /** Replaced and never changed: whoever comes or goes in the middle of a message is not in its way. */
  #subscribers: readonly Subscriber<T>[] = [];
  readonly #relayed$ = new Observable<T>((subscriber) => {
    this.#subscribers = [...this.#subscribers, subscriber];
    return () => {
      this.#subscribers = this.#subscribers.filter((other) => other !== subscriber);
    };
  });

  subscribe(observer: Partial<Observer<T>>): Unsubscribable {
    return this.#relayed$.subscribe(observer);
  }

  next(value: T): void {
    for (const subscriber of this.#subscribers) subscriber.next(value);
  }

  error(error: unknown): void {
    for (const subscriber of this.#subscribers) subscriber.error(error);
  }

  complete(): void {
    for (const subscriber of this.#subscribers) subscriber.complete();
  }
}
