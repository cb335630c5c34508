import type { MemoryQueue, Place, Taker } from './queue';

export interface TakerOptions {
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
}

/** Who is told. */
interface Told {
  readonly deliver: (place: Place) => void;
  readonly cancelled: () => void;
}

/** One consumer of one queue, as the broker sees it. */
export class ChannelTaker implements Taker {
  /** Out, and not settled. */
  unsettled = 0;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly #prefetch: number;
  readonly #told: Told;

  constructor(
    readonly queue: MemoryQueue,
    options: TakerOptions,
    /** How many may be out at once; 0: no limit. */
    prefetch: number,
    told: Told,
  ) {
    this.noAck = options.noAck;
    this.exclusive = options.exclusive;
    this.priority = options.priority;
    this.#prefetch = prefetch;
    this.#told = told;
  }

  get ready(): boolean {
    return this.noAck || this.#prefetch === 0 || this.unsettled < this.#prefetch;
  }

  take(place: Place): void {
    if (this.noAck) this.queue.settled(place);
    else this.unsettled++;
    this.#told.deliver(place);
  }

  cancelled(): void {
    this.#told.cancelled();
  }
}
