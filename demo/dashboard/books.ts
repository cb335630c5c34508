import { Ledger } from '../../compose/ledger';
import { Search, type Whereabouts } from './whereabouts';

/** What became of all messages so far. Exact: every message is counted once, also if it was delivered twice. */
export interface Balance extends Whereabouts {
  readonly sent: number;
  readonly confirmed: number;
  readonly received: number;
  readonly duplicates: number;
  /** Refused, or not confirmed in time. */
  readonly failed: number;
  /** Neither confirmed nor failed yet. */
  readonly open: number;
}

type Total = Record<'sent' | 'confirmed' | 'received' | 'duplicates' | 'failed' | 'open', number>;

/** Messages per ledger. */
const VOLUME = 5000;
const NOTHING: Total = { sent: 0, confirmed: 0, received: 0, duplicates: 0, failed: 0, open: 0 };

/** Ledgers for any length of time: one that is full, confirmed and received is added to the totals and dropped. */
export class Books {
  readonly #volumes = new Map<number, Ledger>();
  readonly #search = new Search();
  #next = 0;
  #putAway: Total = NOTHING;

  /** The number of the next message. */
  get next(): number {
    return this.#next;
  }

  send(): number {
    const n = this.#next++;
    const volume = Math.floor(n / VOLUME);
    const ledger = this.#volumes.get(volume) ?? new Ledger();
    this.#volumes.set(volume, ledger);
    ledger.send();
    return n;
  }

  confirm(n: number): void {
    this.#ledgerOf(n)?.confirm(n % VOLUME);
    this.#search.confirm(n, performance.now());
  }

  fail(n: number, error: unknown): void {
    this.#ledgerOf(n)?.fail(n % VOLUME, error);
    this.#search.fail(n);
  }

  /** Returns whether it is the first copy. */
  receive(n: number): boolean {
    const ledger = this.#ledgerOf(n);
    // Every message of a dropped ledger has been received.
    if (!ledger) return this.#again();
    ledger.receive(n % VOLUME);
    const first = ledger.counts(n % VOLUME, (n % VOLUME) + 1).duplicates === 0;
    if (first) this.#search.receive(n);
    return first;
  }

  deleted(at: number): void {
    this.#search.deleted(at, this.#next);
  }

  attached(yes: boolean): void {
    this.#search.attached(yes, performance.now());
  }

  /** No message arrives after this. */
  close(): void {
    this.#search.close();
  }

  balance(): Balance {
    let total = this.#putAway;
    for (const [volume, ledger] of this.#volumes) {
      const counts = ledger.counts();
      total = sum(total, counts);
      if (counts.confirmed < VOLUME || counts.received < VOLUME) continue;
      this.#volumes.delete(volume);
      this.#putAway = sum(this.#putAway, counts);
    }
    return { ...total, ...this.#search.count(performance.now()) };
  }

  #ledgerOf(n: number): Ledger | undefined {
    return this.#volumes.get(Math.floor(n / VOLUME));
  }

  #again(): boolean {
    this.#putAway = { ...this.#putAway, duplicates: this.#putAway.duplicates + 1 };
    return false;
  }
}

function sum(a: Total, b: Total): Total {
  const total = { ...NOTHING };
  for (const name of Object.keys(NOTHING) as (keyof Total)[]) total[name] = a[name] + b[name];
  return total;
}
