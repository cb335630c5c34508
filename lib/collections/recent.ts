/**
 * What was set last, `most` entries at most: the oldest leave. For what is remembered by name. Names that are made at run time, one
 * for each session or client, must take neither memory nor time for ever.
 */
export class RecentMap<K, V> extends Map<K, V> {
  readonly #most: number;

  constructor(most: number) {
    super();
    this.#most = most;
  }

  /** Makes it the latest, also if it was there. */
  override set(key: K, value: V): this {
    makeRoom(this, key, this.#most);
    return super.set(key, value);
  }
}

/** What was added last, `most` values at most: the oldest leave. */
export class RecentSet<T> extends Set<T> {
  readonly #most: number;

  constructor(most: number) {
    super();
    this.#most = most;
  }

  /** Makes it the latest, also if it was there. */
  override add(value: T): this {
    makeRoom(this, value, this.#most);
    return super.add(value);
  }
}

function makeRoom<K>(entries: Pick<Set<K>, 'delete' | 'keys' | 'size'>, key: K, most: number): void {
  entries.delete(key);
  if (entries.size < most) return;
  for (const oldest of entries.keys()) {
    entries.delete(oldest);
    return;
  }
}
