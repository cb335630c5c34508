/** Where in its stream a message stands, and how often it was tried before: the broker does not count there. */
export interface StreamPlace {
  readonly offset: number;
  readonly attempts: number;
}

/** A message that was handed out, or may be again. */
interface Entry {
  /** How often it was handed out and was, or may have been, tried. */
  attempts: number;
  settled: boolean;
}

/**
 * The place of a consumer in a stream: which offsets it was handed, and up to where all of them are settled. Pure.
 *
 * Offsets arrive in growing order, from wherever an attach began; after a new attach those from `resumeAt` on arrive
 * again. They need not be without gaps.
 */
export class StreamOffset {
  #position: number | undefined;
  /** Handed out above the position, in growing order. */
  readonly #above = new Map<number, Entry>();

  /** All that was handed out up to here is settled. */
  get position(): number | undefined {
    return this.#position;
  }
  /** Where to begin so that nothing is skipped; undefined when nothing was handed out. */
  get resumeAt(): number | undefined {
    if (this.#position !== undefined) return this.#position + 1;
    const [first] = this.#above.keys();
    return first;
  }
  /** Handed out from the first one on that is not settled. */
  get ahead(): number {
    return this.#above.size;
  }

  /** Was it handed out before? Then it is one of those `ahead`, or settled. */
  knows(offset: number): boolean {
    return (this.#position !== undefined && offset <= this.#position) || this.#above.has(offset);
  }

  /** It came: how often it was tried before; 'settled' if it need not be handed out again. */
  arrive(offset: number): number | 'settled' {
    if (this.#position !== undefined && offset <= this.#position) return 'settled';
    const entry = this.#above.get(offset);
    if (entry) return entry.settled ? 'settled' : entry.attempts++;
    this.#above.set(offset, { attempts: 1, settled: false });
    return 0;
  }

  /** It was not tried: what was handed out does not count. */
  release(offset: number): void {
    const entry = this.#above.get(offset);
    if (entry) entry.attempts--;
  }

  /** It is done with. `true`: the position moved. */
  settle(offset: number): boolean {
    const entry = this.#above.get(offset);
    if (!entry) return false;
    entry.settled = true;
    return this.#advance();
  }

  /** The stream begins here now: what lay below does not come again. `true`: the position moved. */
  begin(offset: number): boolean {
    for (const below of this.#above.keys()) {
      if (below >= offset) break;
      this.#above.delete(below);
    }
    return this.#advance();
  }

  /** Another stream, of which nothing was handed out. */
  reset(): void {
    this.#position = undefined;
    this.#above.clear();
  }

  #advance(): boolean {
    const before = this.#position;
    for (const [next, { settled }] of this.#above) {
      if (!settled) break;
      this.#position = next;
      this.#above.delete(next);
    }
    return this.#position !== before;
  }
}
