/** One listener per signal, however many sends share it: Node takes more than ten for a leak, and says so. */
export class Aborts<E> {
  readonly #aborted: (entry: E, signal: AbortSignal) => void;
  readonly #waiting = new Map<AbortSignal, { readonly entries: Set<E>; readonly listener: () => void }>();

  constructor(aborted: (entry: E, signal: AbortSignal) => void) {
    this.#aborted = aborted;
  }

  /** Returns what takes it back. */
  add(entry: E, signal: AbortSignal): () => void {
    const { entries } = this.#waiting.get(signal) ?? this.#listen(signal);
    entries.add(entry);
    return () => {
      entries.delete(entry);
      if (entries.size === 0) this.#forget(signal);
    };
  }

  #listen(signal: AbortSignal): { readonly entries: Set<E> } {
    const entries = new Set<E>();
    const listener = (): void => {
      for (const entry of [...entries]) this.#aborted(entry, signal);
    };
    signal.addEventListener('abort', listener, { once: true });
    this.#waiting.set(signal, { entries, listener });
    return { entries };
  }

  #forget(signal: AbortSignal): void {
    const waiting = this.#waiting.get(signal);
    if (waiting) signal.removeEventListener('abort', waiting.listener);
    this.#waiting.delete(signal);
  }
}
