/** What became of each numbered message. */
interface Line {
  readonly sentAt: number;
  confirmedAt?: number;
  failed?: string;
  received: number;
  receivedAt?: number;
  messageId?: string | undefined;
  /** A copy came under another messageId. */
  renamed?: boolean;
}

/** Somebody who waits for the first message sent since one moment that arrives after another. */
interface Waiting {
  readonly sentSince: number;
  readonly receivedSince: number;
  readonly resolve: (receivedAt: number) => void;
}

/** The counts of a stretch of messages. */
export interface Counts {
  readonly sent: number;
  readonly confirmed: number;
  readonly failed: number;
  /** Neither confirmed nor failed. */
  readonly open: number;
  readonly received: number;
  readonly duplicates: number;
  /** Copies of one message that do not have one messageId. */
  readonly renamed: number;
  /** Confirmed and never received. */
  readonly lost: number;
  /** The same, but confirmed into a queue that was just being deleted: nobody can save those. */
  readonly sunk: number;
}

/** ms behind delete-ok in which a confirm may still be on its way; a later one was for a queue long gone. */
const CONFIRM_IS_LATE = 1000;

/** The book in which nothing is forgotten. Times are monotonic ms, of whatever clock is given. */
export class Ledger {
  readonly #lines: Line[] = [];
  readonly #waiting = new Set<Waiting>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The next number. */
  send(at = this.#now()): number {
    return this.#lines.push({ sentAt: at, received: 0 }) - 1;
  }

  confirm(n: number, at = this.#now()): void {
    const line = this.#lines[n];
    if (line) line.confirmedAt = at;
  }

  fail(n: number, error: unknown): void {
    const line = this.#lines[n];
    if (line) line.failed = String(error);
  }

  receive(n: number, at = this.#now(), messageId?: string): void {
    const line = this.#lines[n];
    if (!line) return;
    line.received++;
    if (line.received > 1) {
      if (line.messageId !== messageId) line.renamed = true;
      return;
    }
    line.messageId = messageId;
    line.receivedAt = at;
    for (const waiting of this.#waiting) {
      if (line.sentAt < waiting.sentSince || at < waiting.receivedSince) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(at);
    }
  }

  /** The number that the next message will have. */
  get next(): number {
    return this.#lines.length;
  }

  /** Resolves with when the first new message sent at `sentSince` or later came, at `receivedSince` or later. */
  received(sentSince: number, receivedSince = sentSince): Promise<number> {
    const seen = this.#lines.flatMap(({ sentAt, receivedAt = -Infinity }) =>
      sentAt >= sentSince && receivedAt >= receivedSince ? receivedAt : [],
    );
    if (seen.length > 0) return Promise.resolve(seen.reduce((least, at) => Math.min(least, at)));
    return new Promise((resolve) => this.#waiting.add({ sentSince, receivedSince, resolve }));
  }

  /** Is each message confirmed or failed? */
  get settled(): boolean {
    return this.#lines.every(isSettled);
  }

  get failures(): readonly string[] {
    return this.#lines.flatMap(({ failed }) => failed ?? []);
  }

  /** How many new messages came between two moments. */
  receivedBetween(from: number, to: number): number {
    return this.#lines.filter(({ receivedAt = -Infinity }) => receivedAt >= from && receivedAt < to).length;
  }

  /** Of the messages `from` to before `to`; `deletedAt`: when the broker said that their queue is deleted. */
  counts(from = 0, to = this.next, deletedAt = -Infinity): Counts {
    const lines = this.#lines.slice(from, to);
    const gone = lines.filter(({ confirmedAt, received }) => confirmedAt !== undefined && received === 0);
    const sunk = gone.filter(
      ({ sentAt, confirmedAt = Infinity }) => sentAt <= deletedAt && confirmedAt <= deletedAt + CONFIRM_IS_LATE,
    ).length;
    return {
      sent: lines.length,
      confirmed: lines.filter(({ confirmedAt }) => confirmedAt !== undefined).length,
      failed: lines.filter(({ failed }) => failed !== undefined).length,
      open: lines.filter((line) => !isSettled(line)).length,
      received: lines.filter(({ received }) => received > 0).length,
      duplicates: lines.reduce((sum, { received }) => sum + Math.max(0, received - 1), 0),
      renamed: lines.filter(({ renamed }) => renamed).length,
      lost: gone.length - sunk,
      sunk,
    };
  }
}

function isSettled({ confirmedAt, failed }: Line): boolean {
  return confirmedAt !== undefined || failed !== undefined;
}
