/** Places that it begins with, and keeps. A power of two, as all that follow. */
const LEAST = 16;
/** More are let go of once it is empty. */
const MOST = 2048;

/**
 * A line, first in, first out, whose places are used again and again: an array whose front is cut off is made anew every
 * few messages. Pure.
 */
export class Ring<T> implements Iterable<T> {
  #places: (T | undefined)[] = places(LEAST);
  #head = 0;
  #length = 0;

  constructor(items: Iterable<T> = []) {
    for (const item of items) this.push(item);
  }

  get length(): number {
    return this.#length;
  }

  /** The first is at 0; undefined: there is none. */
  at(index: number): T | undefined {
    return index < this.#length ? this.#places[this.#place(index)] : undefined;
  }

  /** In the place of the one that is there. */
  set(index: number, item: T): void {
    if (index < this.#length) this.#places[this.#place(index)] = item;
  }

  push(item: T): void {
    if (this.#length === this.#places.length) this.#grow();
    this.#places[this.#place(this.#length++)] = item;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#places[this.#head];
    this.#places[this.#head] = undefined;
    this.#head = this.#place(1);
    if (--this.#length === 0 && this.#places.length > MOST) this.#places = places(LEAST);
    return item;
  }

  /** Throws out all others. */
  keep(which: (item: T) => boolean): void {
    const kept = [...this].filter(which);
    this.clear();
    for (const item of kept) this.push(item);
  }

  clear(): void {
    this.#places = places(LEAST);
    this.#head = this.#length = 0;
  }

  *[Symbol.iterator](): Iterator<T> {
    // Within its length each place is taken, be it by an undefined.
    for (let index = 0; index < this.#length; index++) yield this.#places[this.#place(index)] as T;
  }

  #place(index: number): number {
    return (this.#head + index) & (this.#places.length - 1);
  }

  #grow(): void {
    const all = [...this];
    this.#places = [...all, ...places(all.length)];
    this.#head = 0;
  }
}

const places = (count: number): undefined[] => new Array<undefined>(count).fill(undefined);
