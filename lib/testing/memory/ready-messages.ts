import type { QueuedMessage } from './stored-message';

/** Messages of the high rank in front of one of the low rank, where the ranks take turns. */
const HIGH_TURNS = 2;

/** The messages that wait in a queue, sorted by rank and order. */
export class ReadyMessages {
  readonly #inTurns: boolean;
  #sorted: QueuedMessage[] = [];
  /** Messages taken since the last turn of the low rank. */
  #turns = 0;

  /** `inTurns`: rank 0 gets every third turn. https://www.rabbitmq.com/docs/4.2/quorum-queues#priorities */
  constructor(inTurns: boolean) {
    this.#inTurns = inTurns;
  }

  get all(): readonly QueuedMessage[] {
    return this.#sorted;
  }
  /** The one that goes next. */
  get first(): QueuedMessage | undefined {
    return this.#sorted[this.#at];
  }

  insert(message: QueuedMessage): void {
    const goesBefore = (one: QueuedMessage): boolean =>
      one.rank < message.rank || (one.rank === message.rank && one.order > message.order);
    const last = this.#sorted.at(-1);
    if (!last || !goesBefore(last)) this.#sorted.push(message);
    else this.#sorted.splice(this.#sorted.findIndex(goesBefore), 0, message);
  }

  /** Takes the one that goes next. */
  shift(): QueuedMessage | undefined {
    if (!this.#inTurns) return this.#sorted.shift();
    const [next] = this.#sorted.splice(this.#at, 1);
    if (next && next.rank < Infinity) this.#turns = (this.#turns + 1) % (HIGH_TURNS + 1);
    return next;
  }

  /** Takes those for which it holds, in order. */
  remove(holds: (message: QueuedMessage) => boolean): readonly QueuedMessage[] {
    const removed = this.#sorted.filter(holds);
    this.#sorted = this.#sorted.filter((message) => !holds(message));
    return removed;
  }

  /** Returns how many there were. */
  clear(): number {
    return this.#sorted.splice(0).length;
  }

  get #at(): number {
    const [first] = this.#sorted;
    if (!this.#inTurns || first?.rank !== 1 || this.#turns < HIGH_TURNS) return 0;
    const low = this.#sorted.findIndex(({ rank }) => rank === 0);
    // A message of the high rank that came earlier does not wait.
    return (this.#sorted[low]?.order ?? Infinity) < first.order ? low : 0;
  }
}
