import type { QueueScan } from '../consumer/queue-scan';
import { OptionsError } from '../errors';
import type { DeadLetter } from './dead-letter';

/** Where looking counts, it is refused from half of the delivery limit on: enough is left for those who look with care. */
const PART = 0.5;
/** Deliveries that a letter keeps: the look ends at one that has fewer left. */
const LEFT = 2;

/**
 * Keeps a look from exceeding the delivery limit: RabbitMQ 4.0 to 4.2 counts each delivery of a quorum queue, and drops or
 * dead-letters a message that was delivered more often than its delivery limit.
 */
export class DeliveryGuard {
  readonly #limit: number;
  readonly #queue: string;
  #first = true;
  #highest = 0;

  /** `limit`: as the caller says, or -1 for none; undefined: what the broker gives queues without one. */
  constructor({ deliveryLimit }: QueueScan, queue: string, limit: number | undefined) {
    const known = limit ?? deliveryLimit ?? -1;
    this.#limit = deliveryLimit === undefined || known < 0 ? Infinity : known;
    this.#queue = queue;
  }

  get highest(): number {
    return this.#highest;
  }

  /** May the look go on behind this letter, if it stays in the queue? @throws OptionsError at the first letter, if it must not begin */
  passes({ message: { deliveryCount, properties } }: DeadLetter): boolean {
    const counted = properties.headers?.['x-delivery-count'] === undefined ? 0 : deliveryCount;
    this.#highest = Math.max(this.#highest, counted);
    if (this.#first && counted >= this.#limit * PART) throw this.#refusal(counted);
    this.#first = false;
    return counted < this.#limit - LEFT;
  }

  #refusal(counted: number): OptionsError {
    const limit = String(this.#limit);
    return new OptionsError(
      'deliveryLimit',
      `Queue \`${this.#queue}\` was not looked at: its first letter was delivered ${String(counted)} times, and this version of RabbitMQ ` +
        `drops or dead-letters a message of a quorum queue after ${limit} deliveries, of which a look is one. Move the letters into ` +
        `their own queue (\`move\` to \`${this.#queue}\`), which begins the counts anew and keeps the order. If the queue has another ` +
        'limit, give it as `deliveryLimit`; -1 for none.',
    );
  }
}
