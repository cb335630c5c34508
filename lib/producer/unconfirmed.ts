import { Ring } from '../collections/ring';

/**
 * The unconfirmed messages of one channel, in order. Pure. The broker numbers publishes from 1, and confirms a number, or all up
 * to it, in any order. https://www.rabbitmq.com/docs/confirms#publisher-confirms
 */
export class Unconfirmed<E> {
  /** The messages by number, from `#first` on; undefined: confirmed. */
  readonly #entries = new Ring<E | undefined>();
  /** The first number that may be unconfirmed. */
  #first = 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The number of messages ever written: the highest valid number of a confirm. */
  get written(): number {
    return this.#first + this.#entries.length - 1;
  }

  /** Adds the message that was written. */
  add(entry: E): void {
    this.#entries.push(entry);
    this.#size++;
  }

  /** Calls back for the messages of a confirm, in order. Ignores unknown numbers. */
  confirm(tag: number, multiple: boolean, confirmed: (entry: E) => void): void {
    const meant = tag - this.#first;
    const last = Math.min(meant, this.#entries.length - 1);
    if (!multiple && meant !== last) return;
    for (let at = multiple ? 0 : last; at <= last; at++) {
      const entry = this.#entries.at(at);
      if (entry === undefined) continue;
      this.#entries.set(at, undefined);
      this.#size--;
      confirmed(entry);
    }
    this.#forget();
  }

  /** The oldest message that matches. */
  oldest(fits: (entry: E) => boolean): E | undefined {
    for (const entry of this.#entries) if (entry !== undefined && fits(entry)) return entry;
    return undefined;
  }

  /** All remaining messages, in order. */
  all(): readonly E[] {
    return [...this.#entries].filter((entry) => entry !== undefined);
  }

  /** Removes and returns all remaining messages, in order. */
  takeAll(): readonly E[] {
    const left = this.all();
    this.#first = this.written + 1;
    this.#entries.clear();
    this.#size = 0;
    return left;
  }

  /** Skips confirmed messages. */
  #forget(): void {
    while (this.#entries.length > 0 && this.#entries.at(0) === undefined) {
      this.#entries.shift();
      this.#first++;
    }
  }
}
