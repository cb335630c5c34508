import { firstValueFrom, from, race, switchMap, timer } from 'rxjs';
import type { ConsumerChannel } from './consumer-channel';

/** ms that the closing handshake of a channel gets when no time is left: what was settled is still on its way to the socket. */
const GRACE = 100;

/** The attachments of one consumer that get nothing new any more, until what they handed out is settled. */
export class Draining {
  readonly #left = new Map<ConsumerChannel, Promise<number>>();
  readonly #progress: () => void;
  #force: () => void = () => undefined;
  readonly #forced = new Promise<void>((resolve) => {
    this.#force = resolve;
  });

  /** `progress` is told at every settlement, and when one is added. */
  constructor(progress: () => void) {
    this.#progress = progress;
  }

  get size(): number {
    return this.#left.size;
  }
  /** Handed out by any of them, and not settled. */
  get unsettled(): number {
    let sum = 0;
    for (const attachment of this.#left.keys()) sum += attachment.unsettled;
    return sum;
  }

  /** Cancels it; closes its channel when all is settled. Resolves when the broker knows that it is cancelled. */
  add(attachment: ConsumerChannel): Promise<void> {
    const cancelled = attachment.cancel();
    // In two steps: `progress` asks for the sum, and this one belongs to it.
    this.#left.set(attachment, Promise.resolve(0));
    const drained = this.#drained(attachment, cancelled).finally(() => {
      this.#left.delete(attachment);
    });
    this.#left.set(attachment, drained);
    return cancelled;
  }

  /** Resolves when all are through; with how many deliveries the time was too short for. */
  async end(): Promise<number> {
    const left = await Promise.all(this.#left.values());
    return left.reduce((sum, unsettled) => sum + unsettled, 0);
  }

  /** The time is up. */
  force(): void {
    this.#force();
  }

  async #drained(attachment: ConsumerChannel, cancelled: Promise<void>): Promise<number> {
    const settled = new Promise<void>((resolve) => {
      // Messages still come until cancel-ok.
      let last = false;
      const look = (): void => {
        if (attachment.ended || (last && attachment.unsettled === 0)) resolve();
        else this.#progress();
      };
      attachment.watch(look);
      look();
      void cancelled.then(() => {
        last = true;
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
