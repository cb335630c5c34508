/**
 * What one confirm channel has sent and not yet heard of, in order. Pure. The broker counts publishes from 1 and
 * confirms by that number, one or all up to it, in any order. https://www.rabbitmq.com/docs/confirms#publisher-confirms
 */
export class InFlight<E> {
  readonly #entries = new Map<number, E>();
  #next = 1;

  get size(): number {
    return this.#entries.size;
  }

  /** How many were ever written: the highest number that a confirm can speak of. */
  get written(): number {
    return this.#next - 1;
  }

  /** The next one was written. */
  add(entry: E): void {
    this.#entries.set(this.#next++, entry);
  }

  /** Those that a confirm speaks of, in order; unknown numbers are ignored. */
  confirm(tag: number, multiple: boolean): readonly E[] {
    const confirmed: E[] = [];
    if (multiple) {
      // A Map iterates in the order of insertion, here that of the numbers.
      for (const [number, entry] of this.#entries) {
        if (number > tag) break;
        confirmed.push(entry);
        this.#entries.delete(number);
      }
      return confirmed;
    }
    const entry = this.#entries.get(tag);
    if (entry === undefined) return confirmed;
    this.#entries.delete(tag);
    confirmed.push(entry);
    return confirmed;
  }

  /** The oldest that fits. */
  oldest(fits: (entry: E) => boolean): E | undefined {
    for (const entry of this.#entries.values()) if (fits(entry)) return entry;
    return undefined;
  }

  /** All that is left, in order. */
  all(): readonly E[] {
    return [...this.#entries.values()];
  }

  /** The same; it is empty from here on. */
  takeAll(): readonly E[] {
    const left = this.all();
    this.#entries.clear();
    return left;
  }
}
