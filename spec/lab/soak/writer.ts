import type { Confirmation, InstanceQueue, OutboundMessage } from 'instance-queue';
import { Subject, interval, type Subscription } from 'rxjs';
import type { Book } from './book';
import type { Tally } from './tally';
import type { Parcel } from './work';

/** Messages a second of one writer. */
export const RATE = 80;

/** A way to send. */
type Outlet = (message: OutboundMessage<Parcel>) => Promise<Confirmation>;

/** Sends at a steady rate while it is enabled, and records the outcomes. */
export class Writer {
  readonly #outlet: Outlet;
  readonly #queue: string;
  readonly #book: Book;
  readonly #tally: Tally;
  readonly #luck: () => number;
  #pace: Subscription | undefined;
  #open = 0;

  constructor(
    outlet: Outlet,
    queue: string,
    { book, tally, luck }: { readonly book: Book; readonly tally: Tally; readonly luck: () => number },
  ) {
    this.#outlet = outlet;
    this.#queue = queue;
    this.#book = book;
    this.#tally = tally;
    this.#luck = luck;
  }

  /** Not settled. */
  get open(): number {
    return this.#open;
  }

  write(): void {
    const began = performance.now();
    let sent = 0;
    this.#pace = interval(1000 / RATE).subscribe(() => {
      // Compensates for late timers.
      for (const due = ((performance.now() - began) * RATE) / 1000; sent < due; sent++) this.#send();
    });
  }

  pause(): void {
    this.#pace?.unsubscribe();
  }

  #send(): void {
    const n = this.#book.send();
    // Sometimes a message of several frames.
    const weight = 'x'.repeat(this.#luck() < 0.01 ? 200_000 : Math.floor(this.#luck() * 500));
    this.#open++;
    this.#outlet({ queue: this.#queue, body: { n, weight } }).then(
      (confirmation) => {
        this.#open--;
        this.#tally.sent++;
        this.#tally.confirmed++;
        this.#tally.resent += confirmation.attempts - 1;
        this.#book.confirmed(n, confirmation);
      },
      (error: unknown) => {
        this.#open--;
        this.#book.refused(n, error);
      },
    );
  }
}

/** Sends through the `publish` operator, with ids of our own to identify its confirmations. */
export function publishing(queue: InstanceQueue, name: string): Outlet {
  const messages = new Subject<OutboundMessage<Parcel>>();
  const waiting = new Map<
    string,
    { resolve: (confirmation: Confirmation) => void; reject: (error: unknown) => void }
  >();
  messages.pipe(queue.publish({ concurrency: 200 })).subscribe({
    next: (confirmation) => {
      waiting.get(confirmation.messageId)?.resolve(confirmation);
      waiting.delete(confirmation.messageId);
    },
    error: (error: unknown) => {
      for (const { reject } of waiting.values()) reject(error);
    },
  });
  return (message) =>
    new Promise((resolve, reject) => {
      const messageId = `${name}-${message.body.n}`;
      waiting.set(messageId, { resolve, reject });
      messages.next({ ...message, messageId });
    });
}
