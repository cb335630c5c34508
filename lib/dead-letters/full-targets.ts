import type { Subscription } from 'rxjs';
import type { QueueScan } from '../consumer/queue-scan';
import { PublishError } from '../errors';
import type { Encoded } from '../producer/encoded-message';
import { declinedBy } from '../producer/producer-events';
import { nameOf, type DeadLetterReport } from './dead-letter-report';

export interface FullTargetsOptions {
  /** The queue that is being emptied. */
  readonly queue: string;
  /** ms for which a letter is sent again. */
  readonly timeout: number;
  /** Stops the transfer. */
  readonly stop: (error: PublishError) => void;
}

/** How many refusals it takes to tell copies of what was refused from letters that come in anyway. */
const ENOUGH = 3;

/**
 * Watches targets that do not take a letter, because they are full. One that dead-letters what it refuses (`overflow:
 * 'reject-publish-dlx'`) into the queue that is being emptied gets a copy there with each attempt: letters that wait for room would fill
 * that queue. Then the transfer ends. https://www.rabbitmq.com/docs/maxlength#overflow-behaviour
 */
export class FullTargets {
  readonly #scan: Pick<QueueScan, 'arrivals'>;
  readonly #options: FullTargetsOptions;
  readonly #watching: Subscription;
  #declined: DeadLetterReport['declined'];
  #refusals = 0;
  #looking = false;

  constructor(producer: object, scan: Pick<QueueScan, 'arrivals'>, options: FullTargetsOptions) {
    this.#scan = scan;
    this.#options = options;
    this.#watching = declinedBy(producer).subscribe(({ message, since }) => {
      const left = options.timeout - (performance.now() - since);
      this.#declined ??= { target: nameOf(message), until: new Date(Date.now() + left) };
      this.#refusals++;
      if (!this.#looking && this.#refusals >= ENOUGH) void this.#look(message);
    });
  }

  /** The target that refused a letter since one was taken. */
  get declined(): DeadLetterReport['declined'] {
    return this.#declined;
  }

  /** A target took a letter. */
  taken(): void {
    this.#declined = undefined;
  }

  close(): void {
    this.#watching.unsubscribe();
  }

  async #look(letter: Encoded): Promise<void> {
    this.#looking = true;
    const refusals = this.#refusals;
    // On a lost link the scan ends anyway.
    const arrivals = await this.#scan.arrivals().catch(() => 0);
    this.#looking = false;
    if (arrivals >= refusals) this.#options.stop(this.#copying(letter));
  }

  #copying(letter: Encoded): PublishError {
    const { queue } = this.#options;
    const sentence =
      `The target ${nameOf(letter)} is full, and as many letters came into queue \`${queue}\` as it refused: it dead-letters what it ` +
      "refuses (`overflow: 'reject-publish-dlx'`), so that each attempt leaves a copy. What was not taken stays. Make room in the target " +
      'first, or give it another overflow.';
    return new PublishError('PUBLISH_NACKED', letter.messageId, sentence, { maybeDelivered: true });
  }
}
