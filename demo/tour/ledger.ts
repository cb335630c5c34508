/** What became of each numbered message. */
interface Line {
  readonly sentAt: number;
  confirmedAt?: number;
  failed?: string;
  received: number;
  receivedAt?: number;
}

/** The counts of one chapter of the tour. */
export interface Counts {
  readonly sent: number;
  readonly confirmed: number;
  readonly failed: number;
  readonly received: number;
  readonly duplicates: number;
  /** Confirmed and never received. */
  readonly lost: number;
  /** The same, but confirmed into a queue that was just being deleted: nobody can save those. */
  readonly sunk: number;
}

/** The book in which nothing is forgotten. Times are monotonic ms. */
export class Ledger {
  readonly #lines: Line[] = [];
  readonly #waiting = new Set<{ readonly since: number; readonly resolve: () => void }>();

  /** The next number. */
  send(): number {
    return this.#lines.push({ sentAt: performance.now(), received: 0 }) - 1;
  }

  confirm(n: number): void {
    const line = this.#lines[n];
    if (line) line.confirmedAt = performance.now();
  }

  fail(n: number, error: unknown): void {
    const line = this.#lines[n];
    if (line) line.failed = String(error);
  }

  receive(n: number): void {
    const line = this.#lines[n];
    if (!line) return;
    line.received++;
    line.receivedAt ??= performance.now();
    for (const waiting of this.#waiting) {
      if (line.sentAt < waiting.since) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  /** The number that the next message will have. */
  get next(): number {
    return this.#lines.length;
  }

  /** Resolves with when the first message sent after `since` was received. */
  received(since: number): Promise<number> {
    const seen = this.#lines.find(({ sentAt, receivedAt }) => sentAt >= since && receivedAt !== undefined)?.receivedAt;
    if (seen !== undefined) return Promise.resolve(seen);
    return new Promise((resolve) => {
      this.#waiting.add({
        since,
        resolve: () => {
          resolve(performance.now());
        },
      });
    });
  }

  /** Is everything settled: received as often as confirmed, or failed? */
  get settled(): boolean {
    return this.#lines.every(({ confirmedAt, failed }) => confirmedAt !== undefined || failed !== undefined);
  }

  get failures(): readonly string[] {
    return this.#lines.flatMap(({ failed }) => failed ?? []);
  }

  /** Of the messages `from` to before `to`; `deletedAt`: when their queue was deleted. */
  counts(from = 0, to = this.next, deletedAt = -Infinity): Counts {
    const lines = this.#lines.slice(from, to);
    const gone = lines.filter(({ confirmedAt, received }) => confirmedAt !== undefined && received === 0);
    const sunk = gone.filter(({ sentAt }) => sentAt <= deletedAt).length;
    return {
      sent: lines.length,
      confirmed: lines.filter(({ confirmedAt }) => confirmedAt !== undefined).length,
      failed: lines.filter(({ failed }) => failed !== undefined).length,
      received: lines.filter(({ received }) => received > 0).length,
      duplicates: lines.reduce((sum, { received }) => sum + Math.max(0, received - 1), 0),
      lost: gone.length - sunk,
      sunk,
    };
  }
}
