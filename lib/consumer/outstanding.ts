/** So many places that are free may lie around before it is worth the while to move up. */
const LITTLE = 32;

/**
 * What began and has not ended, by numbers that only ever grow. A Map makes its table anew every few of them when most end
 * soon after they began, which was a sixth of the garbage of consuming.
 */
export class Outstanding<T> implements Iterable<T> {
  /** Ascending; beside them what they stand for, undefined once it has ended: nothing is kept any longer. */
  #numbers: number[] = [];
  #items: (T | undefined)[] = [];
  /** All before it have ended. */
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Of all numbers; undefined: there is none. */
  get lowest(): number | undefined {
    return this.#numbers[this.#head];
  }

  /** Numbers grow from call to call. */
  add(number: number, item: T): void {
    this.#numbers.push(number);
    this.#items.push(item);
    this.#size++;
  }

  /** `false`: it is not among them. */
  delete(number: number): boolean {
    const at = this.#find(number);
    if (this.#items[at] === undefined) return false;
    this.#items[at] = undefined;
    this.#size--;
    while (this.#head < this.#items.length && this.#items[this.#head] === undefined) this.#head++;
    // However long one of them takes, what is remembered is in proportion to what is outstanding.
    if (this.#items.length > 2 * this.#size + LITTLE) this.#moveUp();
    return true;
  }

  clear(): void {
    this.#numbers = [];
    this.#items = [];
    this.#head = this.#size = 0;
  }

  /** Those there are now, in order. */
  [Symbol.iterator](): Iterator<T> {
    return this.#items.filter((item) => item !== undefined)[Symbol.iterator]();
  }

  /** Where it stands; -1: nowhere. Most end in the order in which they began. */
  #find(number: number): number {
    let low = this.#head;
    if (this.#numbers[low] === number) return low;
    let high = this.#numbers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#numbers[middle] ?? Infinity) < number) low = middle + 1;
      else high = middle;
    }
    return this.#numbers[low] === number ? low : -1;
  }

  #moveUp(): void {
    const items = this.#items;
    this.#numbers = this.#numbers.filter((_, at) => items[at] !== undefined);
    this.#items = items.filter((item) => item !== undefined);
    this.#head = 0;
  }
}
