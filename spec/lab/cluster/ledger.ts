import type { Confirmation, Message } from 'instance-queue';

/** What became of one numbered message. Times are monotonic ms. */
interface Line {
  readonly sentAt: number;
  id?: string;
  confirmedAt?: number;
  /** How often it was published. */
  attempts: number;
  failed?: string;
  receivedAt?: number;
  received: number;
  /** Deliveries that were not marked as redelivered: at most one per copy. */
  fresh: number;
}

/** The counts of a range of messages. All except the first four have to be 0. */
export interface Counts {
  readonly sent: number;
  readonly confirmed: number;
  readonly received: number;
  readonly duplicates: number;
  /** Confirmed and never received. */
  readonly lost: number;
  /** Rejected. */
  readonly errors: number;
  /** Neither confirmed nor rejected. */
  readonly hung: number;
  /** Received more often than published or redelivered, or under another messageId. */
  readonly unexplained: number;
}

/** Records all messages. */
export class Ledger {
  readonly #lines: Line[] = [];
  readonly #foreign: unknown[] = [];
  readonly #waiting = new Set<{ readonly since: number; readonly by: string | undefined; readonly tell: () => void }>();

  #latest: string | undefined;

  /** The last receiver. */
  get latest(): string | undefined {
    return this.#latest;
  }

  /** The number of the next message. */
  get next(): number {
    return this.#lines.length;
  }

  /** Takes the next number. */
  send(): number {
    return this.#lines.push({ sentAt: performance.now(), attempts: 1, received: 0, fresh: 0 }) - 1;
  }

  confirm(n: number, { messageId, attempts }: Confirmation): void {
    const line = this.#line(n, messageId);
    if (!line) return;
    line.confirmedAt = performance.now();
    line.attempts = attempts;
  }

  fail(n: number, error: unknown): void {
    const line = this.#lines[n];
    if (line) line.failed = String(error);
  }

  /** `by`: the receiver. */
  receive({ body, properties, redelivered }: Message<number>, by: string): void {
    const line = this.#line(body, properties.messageId);
    if (!line) return;
    this.#latest = by;
    line.received++;
    if (!redelivered) line.fresh++;
    line.receivedAt ??= performance.now();
    for (const waiting of this.#waiting) {
      if (line.sentAt < waiting.since || (waiting.by !== undefined && waiting.by !== by)) continue;
      this.#waiting.delete(waiting);
      waiting.tell();
    }
  }

  /** ms from `since` until a message sent after it is received, by this receiver or by any; Infinity: not within `limit`. */
  gap(since: number, by?: string, limit = 60_000): Promise<number> {
    return new Promise((resolve) => {
      const waiting = {
        since,
        by,
        tell: () => {
          clearTimeout(tooLate);
          resolve(performance.now() - since);
        },
      };
      this.#waiting.add(waiting);
      const tooLate = setTimeout(() => {
        this.#waiting.delete(waiting);
        resolve(Infinity);
      }, limit);
    });
  }

  /** The longest time between two arrivals of new messages from one moment to another, ms. */
  silence(from: number, to: number): number {
    const within = this.#lines.flatMap(({ receivedAt }) =>
      receivedAt !== undefined && receivedAt > from && receivedAt < to ? receivedAt : [],
    );
    const arrivals = [from, ...within.sort((a, b) => a - b), to];
    return arrivals.reduce((longest, at, i) => Math.max(longest, at - (arrivals[i - 1] ?? at)), 0);
  }

  /** Is every message settled, and received if it was confirmed? */
  get quiet(): boolean {
    return this.#lines.every(
      ({ confirmedAt, failed, received }) => failed !== undefined || (confirmedAt !== undefined && received > 0),
    );
  }

  /** The distinct reasons of rejected sends. */
  get failures(): readonly string[] {
    const all = this.#lines.flatMap(({ failed }) => failed ?? []);
    return [...new Set([...all, ...this.#foreign.map((n) => `received what was never sent: ${String(n)}`)])];
  }

  /** The counts of the messages from `from` (inclusive) to `to` (exclusive). */
  counts(from = 0, to = this.next): Counts {
    const lines = this.#lines.slice(from, to);
    const count = (fits: (line: Line) => boolean): number => lines.filter(fits).length;
    return {
      sent: lines.length,
      confirmed: count(({ confirmedAt }) => confirmedAt !== undefined),
      received: count(({ received }) => received > 0),
      duplicates: lines.reduce((sum, { received }) => sum + Math.max(0, received - 1), 0),
      lost: count(({ confirmedAt, received }) => confirmedAt !== undefined && received === 0),
      errors: count(({ failed }) => failed !== undefined),
      hung: count(({ confirmedAt, failed }) => confirmedAt === undefined && failed === undefined),
      unexplained: count(({ fresh, attempts }) => fresh > attempts) + this.#foreign.length,
    };
  }

  #line(n: number, id: string | undefined): Line | undefined {
    const line = this.#lines[n];
    if (line && id !== undefined && (line.id ??= id) === id) return line;
    this.#foreign.push(n);
    return undefined;
  }
}
