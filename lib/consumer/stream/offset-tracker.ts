/** The place of a message in its stream, and how often it was handed out before: on a stream the broker does not count. */
export interface StreamPlace {
  readonly offset: number;
  readonly attempts: number;
}

interface Entry {
  /** How often it was handed out, without the times it was released. */
  attempts: number;
  settled: boolean;
}

/**
 * Which offsets of a stream a consumer was handed, and up to which of them everything is settled. Pure.
 *
 * Offsets arrive in growing order from the start of an attachment, possibly with gaps; after the next attach those from
 * `resumeAt` on arrive again.
 */
export class OffsetTracker {
  #position: number | undefined;
  /** What was handed out above the position, in growing order. */
  readonly #above = new Map<number, Entry>();

  /** Everything handed out up to this offset is settled. */
  get position(): number | undefined {
    return this.#position;
  }
  /** Where to attach so that nothing is skipped. Undefined: nothing was handed out yet. */
  get resumeAt(): number | undefined {
    if (this.#position !== undefined) return this.#position + 1;
    const [first] = this.#above.keys();
    return first;
  }
  /** How many were handed out from the first unsettled one on. */
  get ahead(): number {
    return this.#above.size;
  }

  /** Was this offset handed out before? Then it is settled, or counted in `ahead`. */
  knows(offset: number): boolean {
    return (this.#position !== undefined && offset <= this.#position) || this.#above.has(offset);
  }

  /** A message came. Returns how often it was handed out before, or 'settled': it is not handed out again. */
  arrive(offset: number): number | 'settled' {
    if (this.#position !== undefined && offset <= this.#position) return 'settled';
    const entry = this.#above.get(offset);
    if (entry) return entry.settled ? 'settled' : entry.attempts++;
    this.#above.set(offset, { attempts: 1, settled: false });
    return 0;
  }

  /** It was released without a try, which does not count. */
  release(offset: number): void {
    const entry = this.#above.get(offset);
    if (entry) entry.attempts--;
  }

  /** It is acked or rejected. `true`: the position moved. */
  settle(offset: number): boolean {
    const entry = this.#above.get(offset);
    if (!entry) return false;
    entry.settled = true;
    return this.#advance();
  }

  /**
   * The first message of an attachment has this offset: those below it do not come again. Returns how many of them were
   * handed out before and are not settled.
   */
  resumedAt(offset: number): number {
    let gone = 0;
    for (const [below, { settled }] of this.#above) {
      if (below >= offset) break;
      if (!settled) gone++;
      this.#above.delete(below);
    }
    this.#advance();
    return gone;
  }

  /** Starts over on another stream. */
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
