import { Ring } from '../collections/ring';

/**
 * What one confirm channel has sent and not yet heard of, in order. Pure. The broker counts publishes from 1 and
 * confirms by that number, one or all up to it, in any order. https://www.rabbitmq.com/docs/confirms#publisher-confirms
 */
export class Unconfirmed<E> {
  /** By their numbers, from `#first` on; undefined: confirmed. */
  readonly #entries = new Ring<E | undefined>();
  /** Before it, all are confirmed. */
  #first = 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** How many were ever written: the highest number that a confirm can speak of. */
  get written(): number {
    return this.#first + this.#entries.length - 1;
  }

  /** The next one was written. */
  add(entry: E): void {
    this.#entries.push(entry);
    this.#size++;
  }

  /** Tells of those that a confirm speaks of, in order; unknown numbers are ignored. */
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

  /** The oldest that fits. */
  oldest(fits: (entry: E) => boolean): E | undefined {
    for (const entry of this.#entries) if (entry !== undefined && fits(entry)) return entry;
    return undefined;
  }

  /** All that is left, in order. */
  all(): readonly E[] {
    return [...this.#entries].filter((entry) => entry !== undefined);
  }

  /** The same; it is empty from here on. */
  takeAll(): readonly E[] {
    const left = this.all();
    this.#first = this.written + 1;
    this.#entries.clear();
    this.#size = 0;
    return left;
  }

  /** Steps over what is confirmed. */
  #forget(): void {
    while (this.#entries.length > 0 && this.#entries.at(0) === undefined) {
      this.#entries.shift();
      this.#first++;
    }
  }
}
