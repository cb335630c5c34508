import { worthCutting } from './outbox';

/**
 * What one confirm channel has sent and not yet heard of, in order. Pure. The broker counts publishes from 1 and
 * confirms by that number, one or all up to it, in any order. https://www.rabbitmq.com/docs/confirms#publisher-confirms
 */
export class InFlight<E> {
  /** By their numbers, from `#first` on; undefined: confirmed. */
  #entries: (E | undefined)[] = [];
  #first = 1;
  /** Before it, all are confirmed. */
  #head = 0;
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
    const last = Math.min(tag - this.#first, this.#entries.length - 1);
    if (!multiple && tag - this.#first !== last) return;
    for (let at = multiple ? this.#head : last; at <= last; at++) {
      const entry = this.#entries[at];
      if (entry === undefined) continue;
      this.#entries[at] = undefined;
      this.#size--;
      confirmed(entry);
    }
    this.#forget();
  }

  /** The oldest that fits. */
  oldest(fits: (entry: E) => boolean): E | undefined {
    for (let at = this.#head; at < this.#entries.length; at++) {
      const entry = this.#entries[at];
      if (entry !== undefined && fits(entry)) return entry;
    }
    return undefined;
  }

  /** All that is left, in order. */
  all(): readonly E[] {
    return this.#entries.filter((entry) => entry !== undefined);
  }

  /** The same; it is empty from here on. */
  takeAll(): readonly E[] {
    const left = this.all();
    this.#first = this.written + 1;
    this.#entries = [];
    this.#head = this.#size = 0;
    return left;
  }

  /** Steps over what is confirmed. */
  #forget(): void {
    const { length } = this.#entries;
    while (this.#head < length && this.#entries[this.#head] === undefined) this.#head++;
    if (!worthCutting(this.#head, length)) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#first += this.#head;
    this.#head = 0;
  }
}
