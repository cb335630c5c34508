/**
 * Data structures for what comes and goes with every message, where an array or a Map would allocate too much. This room
 * imports nothing of the library.
 */

/** Slots of an empty ring. A power of two, like every later size. */
const MIN_SLOTS = 16;
/** A ring that has grown beyond this many slots shrinks once it is empty. */
const MAX_IDLE_SLOTS = 2048;

/**
 * A first-in, first-out queue in a circular buffer. An array used with `push` and `shift` allocates a new backing store every
 * few items, and moves all that are left where there are many; a ring reuses its slots. Pure.
 */
export class Ring<T> implements Iterable<T> {
  #slots: (T | undefined)[] = empty(MIN_SLOTS);
  #head = 0;
  #length = 0;

  constructor(items: Iterable<T> = []) {
    for (const item of items) this.push(item);
  }

  get length(): number {
    return this.#length;
  }

  /** Counts from the front; undefined beyond either end. */
  at(index: number): T | undefined {
    return this.#has(index) ? this.#slots[this.#slot(index)] : undefined;
  }

  /** Replaces an item; ignored beyond either end. */
  set(index: number, item: T): void {
    if (this.#has(index)) this.#slots[this.#slot(index)] = item;
  }

  push(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[this.#slot(this.#length++)] = item;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = this.#slot(1);
    if (--this.#length === 0 && this.#slots.length > MAX_IDLE_SLOTS) this.clear();
    return item;
  }

  /** Removes every item that does not match, and keeps the order of the rest. */
  keep(matches: (item: T) => boolean): void {
    const kept = [...this].filter(matches);
    this.clear();
    for (const item of kept) this.push(item);
  }

  clear(): void {
    this.#slots = empty(MIN_SLOTS);
    this.#head = this.#length = 0;
  }

  *[Symbol.iterator](): Iterator<T> {
    // Every slot within the length holds an item, even if that item is undefined.
    for (let index = 0; index < this.#length; index++) yield this.#slots[this.#slot(index)] as T;
  }

  /** In front of the first item of a ring that is full lies its last one. */
  #has(index: number): boolean {
    return index >= 0 && index < this.#length;
  }

  #slot(index: number): number {
    return (this.#head + index) & (this.#slots.length - 1);
  }

  #grow(): void {
    const items = [...this];
    this.#slots = [...items, ...empty(items.length)];
    this.#head = 0;
  }
}

const empty = (slots: number): undefined[] => new Array<undefined>(slots).fill(undefined);
