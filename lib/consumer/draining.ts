import { firstValueFrom, from, race, switchMap, timer } from 'rxjs';
import type { ConsumerChannel } from './consumer-channel';

/** ms for the closing handshake of a channel when no time is left: settlements are still on their way to the socket. */
const GRACE = 100;

/** The cancelled attachments of one consumer. The channel of each stays open until all it handed out is settled. */
export class Draining {
  readonly #left = new Map<ConsumerChannel, Promise<number>>();
  readonly #progress: () => void;
  #force: () => void = () => undefined;
  readonly #forced = new Promise<void>((resolve) => {
    this.#force = resolve;
  });

  /** `progress` is called at each settlement, and when an attachment is added. */
  constructor(progress: () => void) {
    this.#progress = progress;
  }

  get size(): number {
    return this.#left.size;
  }
  /** Deliveries of all of them that are not settled. */
  get unsettled(): number {
    let sum = 0;
    for (const attachment of this.#left.keys()) sum += attachment.unsettled;
    return sum;
  }

  /**
   * Cancels the consumer, unless it hands a partition over, and closes its channel when all is settled. Resolves when the broker has
   * cancelled it.
   */
  add(attachment: ConsumerChannel): Promise<void> {
    const cancelled = attachment.handsOver ? Promise.resolve() : attachment.cancel();
    // Registered first: `progress` reads `unsettled`, and this attachment belongs to the sum.
    this.#left.set(attachment, Promise.resolve(0));
    const drained = this.#drained(attachment, cancelled).finally(() => {
      this.#left.delete(attachment);
    });
    this.#left.set(attachment, drained);
    return cancelled;
  }

  /** Resolves when all channels are closed, with the number of deliveries that were not settled in time. */
  async end(): Promise<number> {
    const left = await Promise.all(this.#left.values());
    return left.reduce((sum, unsettled) => sum + unsettled, 0);
  }

  /** The time is up: every channel is closed now. */
  force(): void {
    this.#force();
  }

  async #drained(attachment: ConsumerChannel, cancelled: Promise<void>): Promise<number> {
    const settled = new Promise<void>((resolve) => {
      // Messages still arrive until cancel-ok.
      let isCancelled = false;
      const look = (): void => {
        if (attachment.ended || (isCancelled && attachment.unsettled === 0)) resolve();
        else this.#progress();
      };
      attachment.watch(look);
      look();
      void cancelled.then(() => {
        isCancelled = true;
        look();
      });
    });
    await Promise.race([settled, this.#forced]);
    const { unsettled } = attachment;
    const late$ = from(this.#forced).pipe(switchMap(() => timer(GRACE)));
    await firstValueFrom(race<unknown[]>(attachment.close(), late$));
    return unsettled;
  }
}
