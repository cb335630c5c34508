/** Compact once more than this many slots are empty. */
const SLACK = 32;

/**
 * Items by a number that usually grows, such as a delivery tag, iterated in ascending order. Pure.
 *
 * Made for items that come and go quickly: when most entries of a `Map` are deleted soon after they were added, it rebuilds
 * its table every few entries, which was a sixth of the garbage made while consuming.
 */
export class OrderedMap<T extends object> implements Iterable<T> {
  readonly #numberOf: (item: T) => number;
  /** Ascending. A deleted item leaves its number behind, so that the binary search still works. */
  #slots: (T | number)[] = [];
  /** Every slot before this one is empty. */
  #head = 0;
  #size = 0;

  constructor(numberOf: (item: T) => number) {
    this.#numberOf = numberOf;
  }

  get size(): number {
    return this.#size;
  }

  /** The item with the lowest number. */
  get first(): T | undefined {
    const slot = this.#slots[this.#head];
    return typeof slot === 'object' ? slot : undefined;
  }

  /** The highest number added so far. It stays the same while nothing is added and nothing is deleted. */
  get latest(): number {
    return this.#slots.length === 0 ? 0 : this.#numberAt(this.#slots.length - 1);
  }

  /** Replaces an item with the same number. */
  add(item: T): void {
    const number = this.#numberOf(item);
    const { length } = this.#slots;
    if (length === 0 || number > this.#numberAt(length - 1)) this.#slots.push(item);
    else {
      // Only if the broker repeats a tag, or counts backwards.
      const at = this.#find(number);
      const known = this.#numberAt(at) === number;
      if (known && typeof this.#slots[at] === 'object') this.#size--;
      this.#slots.splice(at, known ? 1 : 0, item);
    }
    this.#size++;
  }

  /** `false`: there is no item with this number. */
  delete(number: number): boolean {
    const at = this.#find(number);
    if (typeof this.#slots[at] !== 'object' || this.#numberAt(at) !== number) return false;
    this.#slots[at] = number;
    this.#size--;
    while (typeof this.#slots[this.#head] === 'number') this.#head++;
    // Keeps memory in proportion to the number of items, however long the first of them stays.
    if (this.#slots.length > 2 * this.#size + SLACK) {
      this.#slots = this.#items();
      this.#head = 0;
    }
    return true;
  }

  clear(): void {
    this.#slots = [];
    this.#head = this.#size = 0;
  }

  /** The items of this moment in order, without those that are deleted before their turn. */
  *[Symbol.iterator](): Iterator<T> {
    for (const item of this.#items()) if (this.#slots[this.#find(this.#numberOf(item))] === item) yield item;
  }

  #items(): T[] {
    return this.#slots.filter((slot) => typeof slot === 'object');
  }

  /** The slot of this number, or the one to insert it at. The first slot is tried first: most items leave in order. */
  #find(number: number): number {
    let low = this.#head;
    if (this.#numberAt(low) === number) return low;
    let high = this.#slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#numberAt(middle) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #numberAt(at: number): number {
    const slot = this.#slots[at];
    return typeof slot === 'object' ? this.#numberOf(slot) : (slot ?? Infinity);
  }
}
