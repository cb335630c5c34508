import { timer, type Subscription } from 'rxjs';
import { backoffDelay } from '../connection/backoff';
import type { PendingSend } from './pending-send';

const BACKOFF = { min: 100, max: 5000, factor: 1.5, jitter: 0.5 };

/** Messages that the broker would not take now, until they are tried again, all at once, with growing delays. */
export class NackBackoff {
  readonly #again: (entries: readonly PendingSend[]) => void;
  readonly #entries = new Set<PendingSend>();
  #rounds = 0;
  #wait: Subscription | undefined;

  constructor(again: (entries: readonly PendingSend[]) => void) {
    this.#again = again;
  }

  get size(): number {
    return this.#entries.size;
  }
  get all(): readonly PendingSend[] {
    return [...this.#entries];
  }

  add(entry: PendingSend): void {
    this.#entries.add(entry);
    this.#wait ??= timer(backoffDelay(BACKOFF, ++this.#rounds)).subscribe(() => {
      this.#wait = undefined;
      const again = this.all;
      this.#entries.clear();
      this.#again(again);
    });
  }

  /** An entry was settled from outside. */
  delete(entry: PendingSend): void {
    this.#entries.delete(entry);
  }

  /** The broker takes messages again: the next delay is a short one. */
  taken(): void {
    this.#rounds = 0;
  }

  /** No timer is left. */
  stop(): void {
    this.#wait?.unsubscribe();
  }
}
