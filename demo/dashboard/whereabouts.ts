/** A message that the broker has confirmed and no consumer has received so far. */
interface Missing {
  readonly confirmedAt: number;
  /** It was in a queue that was deleted; no client can save it. */
  sunk: boolean;
  lost: boolean;
}

/** Where the confirmed messages are that have not arrived yet. */
export interface Whereabouts {
  /** In the queue, or on the wire. */
  readonly onTheWay: number;
  /** Deleted together with their queue. */
  readonly sunk: number;
  /** Neither: they should have arrived. */
  readonly lost: number;
}

/** ms within which an attached consumer gets what is still queued: a broker requeues the messages of a dead link within two heartbeats. */
const GRACE = 12_000;
/** ms after delete-ok in which a confirm may still arrive. */
const CONFIRM_IS_LATE = 1000;

/**
 * Distinguishes late messages from lost ones. A queue is first in, first out: a message is lost if later ones arrived at a consumer
 * that was attached all the time. A message that arrives after all is no longer lost.
 */
export class Search {
  readonly #missing = new Map<number, Missing>();
  /** Received before their confirm. */
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

  /** At the end: what is not sunk is lost. */
  close(): void {
    for (const missing of this.#missing.values()) missing.lost ||= !missing.sunk;
  }

  #isOverdue(n: number, { confirmedAt, sunk, lost }: Missing, now: number): boolean {
    if (sunk || lost || this.#attachedSince === undefined || this.#latest < n) return false;
    return now - Math.max(confirmedAt, this.#attachedSince) > GRACE;
  }
}
