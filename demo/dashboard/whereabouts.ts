/** A message that the broker confirmed and nobody has received so far. */
interface Missing {
  readonly confirmedAt: number;
  /** It was in a queue that somebody deleted: nobody can save it. */
  sunk: boolean;
  lost: boolean;
}

/** Where confirmed messages are that did not come yet. */
export interface Whereabouts {
  /** In the queue, or on the wire. */
  readonly onTheWay: number;
  /** Gone with a queue that was deleted. */
  readonly sunk: number;
  /** Neither: it should have come. */
  readonly lost: number;
}

/** ms of being attached in which what is still in the queue comes: a broker gives a dead link's messages back within two heartbeats. */
const GRACE = 12_000;
/** ms behind delete-ok in which a confirm may still be on its way. */
const CONFIRM_IS_LATE = 1000;

/**
 * Tells a late message from a lost one. A queue is first in, first out: lost is what a consumer that was attached without
 * a break all the time did not get, though later ones came. What comes after all is not lost any more.
 */
export class Search {
  readonly #missing = new Map<number, Missing>();
  /** Received before their confirm came. */
  readonly #early = new Set<number>();
  readonly #deletions: { readonly at: number; readonly before: number }[] = [];
  #attachedSince: number | undefined;
  #latest = -1;

  confirm(n: number, at: number): void {
    if (this.#early.delete(n)) return;
    const sunk = this.#deletions.some(({ at: deleted, before }) => n < before && at <= deleted + CONFIRM_IS_LATE);
    this.#missing.set(n, { confirmedAt: at, sunk, lost: false });
  }

  /** For the first copy of each message. */
  receive(n: number): void {
    this.#latest = Math.max(this.#latest, n);
    if (!this.#missing.delete(n)) this.#early.add(n);
  }

  /** It will never be confirmed. */
  fail(n: number): void {
    this.#early.delete(n);
  }

  /** The queue was deleted; `next` is the number of the next message. */
  deleted(at: number, next: number): void {
    this.#deletions.push({ at, before: next });
    for (const missing of this.#missing.values()) missing.sunk ||= !missing.lost;
  }

  attached(yes: boolean, at: number): void {
    if (yes && this.#attachedSince === undefined) this.#latest = -1;
    this.#attachedSince = yes ? (this.#attachedSince ?? at) : undefined;
  }

  count(now: number): Whereabouts {
    const counts = { onTheWay: 0, sunk: 0, lost: 0 };
    for (const [n, missing] of this.#missing) {
      if (this.#isOverdue(n, missing, now)) missing.lost = true;
      counts[missing.sunk ? 'sunk' : missing.lost ? 'lost' : 'onTheWay']++;
    }
    return counts;
  }

  /** When nothing comes any more: what is not sunk is lost. */
  close(): void {
    for (const missing of this.#missing.values()) missing.lost ||= !missing.sunk;
  }

  #isOverdue(n: number, { confirmedAt, sunk, lost }: Missing, now: number): boolean {
    if (sunk || lost || this.#attachedSince === undefined || this.#latest < n) return false;
    return now - Math.max(confirmedAt, this.#attachedSince) > GRACE;
  }
}
