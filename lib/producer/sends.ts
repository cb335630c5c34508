import type { Subscriber } from 'rxjs';
import type { Confirmation } from './pending-send';
import type { OutboundMessage } from './outbound-message';
import type { Producer } from './producer';
import type { SendOptions } from './producer-options';

/** Sends of one stream: so many at once, each confirmation to its subscriber, the first failure ends it. */
export class Sends<T> {
  readonly #producer: Pick<Producer<T>, 'send'>;
  readonly #options: SendOptions;
  readonly #most: number;
  readonly #subscriber: Subscriber<Confirmation>;
  /** Is told when one was settled. */
  readonly #settled: () => void;
  #underWay = 0;
  #finished = false;

  constructor(
    producer: Pick<Producer<T>, 'send'>,
    options: SendOptions,
    most: number,
    subscriber: Subscriber<Confirmation>,
    settled: () => void,
  ) {
    this.#producer = producer;
    this.#options = options;
    this.#most = most;
    this.#subscriber = subscriber;
    this.#settled = settled;
  }

  /** May another one start? */
  get room(): boolean {
    return this.#underWay < this.#most && !this.#subscriber.closed;
  }

  start(message: OutboundMessage<T>): void {
    this.#underWay++;
    this.#producer.send(message, this.#options).then(
      (confirmation) => {
        this.#underWay--;
        this.#subscriber.next(confirmation);
        this.#settled();
        this.#completeIfDone();
      },
      (error: unknown) => {
        this.#subscriber.error(error);
      },
    );
  }

  /** There will be no other. */
  finish(): void {
    this.#finished = true;
    this.#completeIfDone();
  }

  #completeIfDone(): void {
    if (this.#finished && this.#underWay === 0) this.#subscriber.complete();
  }
}
