/** So many places that are free may lie around before it is worth the while to move up. */
const LITTLE = 32;

/**
 * What began and has not ended, by numbers that grow. A Map makes its table anew every few of them when most end
 * soon after they began, which was a sixth of the garbage of consuming.
 */
export class OrderedMap<T extends object> implements Iterable<T> {
  readonly #numberOf: (item: T) => number;
  /** Ascending. What has ended leaves its number in its place, and nothing else. */
  #places: (T | number)[] = [];
  /** All before it have ended. */
  #head = 0;
  #size = 0;

  constructor(numberOf: (item: T) => number) {
    this.#numberOf = numberOf;
  }

  get size(): number {
    return this.#size;
  }

  /** The one that began first. */
  get first(): T | undefined {
    const place = this.#places[this.#head];
    return typeof place === 'object' ? place : undefined;
  }

  /** The number of the latest one. It stays the same while nothing begins and nothing ends. */
  get latest(): number {
    return this.#places.length === 0 ? 0 : this.#numberAt(this.#places.length - 1);
  }

  /** Takes the place of one of the same number. */
  add(item: T): void {
    const number = this.#numberOf(item);
    const { length } = this.#places;
    if (length === 0 || number > this.#numberAt(length - 1)) this.#places.push(item);
    else {
      // Of a broker that counts backward.
      const at = this.#find(number);
      const known = this.#numberAt(at) === number;
      if (known && typeof this.#places[at] === 'object') this.#size--;
      this.#places.splice(at, known ? 1 : 0, item);
    }
    this.#size++;
  }

  /** `false`: it is not among them. */
  delete(number: number): boolean {
    const at = this.#find(number);
    if (typeof this.#places[at] !== 'object' || this.#numberAt(at) !== number) return false;
    this.#places[at] = number;
    this.#size--;
    while (typeof this.#places[this.#head] === 'number') this.#head++;
    // However long one of them takes, what is remembered is in proportion to what is outstanding.
    if (this.#places.length > 2 * this.#size + LITTLE) {
      this.#places = this.#open();
      this.#head = 0;
    }
    return true;
  }

  clear(): void {
    this.#places = [];
    this.#head = this.#size = 0;
  }

  /** Those there are now, in order; one that ends before its turn is passed over. */
  *[Symbol.iterator](): Iterator<T> {
    for (const item of this.#open()) if (this.#places[this.#find(this.#numberOf(item))] === item) yield item;
  }

  #open(): T[] {
    return this.#places.filter((place) => typeof place === 'object');
  }

  /** Where it stands, or would stand. Most end in the order in which they began. */
  #find(number: number): number {
    let low = this.#head;
    if (this.#numberAt(low) === number) return low;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#numberAt(middle) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #numberAt(at: number): number {
    const place = this.#places[at];
    return typeof place === 'object' ? this.#numberOf(place) : (place ?? Infinity);
  }
}
