import { handle, type Consumer, type InstanceQueue, type QueueSpec } from 'instance-queue';
import { tap } from 'rxjs';
import type { Book } from './book';
import { Settlements } from './settlements';
import type { Tally } from './tally';
import { TIME_LIMIT, policy, work, type Parcel } from './work';

const PREFETCH = 30;

/** A consumer that records every delivery and its outcome. */
export class Reader {
  readonly #consumer: Consumer<Parcel>;
  #settlements: Settlements;
  /** Rejects if the stream errors, which it never should. */
  readonly done: Promise<void>;

  constructor(
    queue: InstanceQueue,
    spec: QueueSpec,
    { book, tally, luck }: { readonly book: Book; readonly tally: Tally; readonly luck: () => number },
  ) {
    this.#settlements = new Settlements(book, PREFETCH);
    this.#consumer = queue.consumer<Parcel>({ queue: spec, prefetch: PREFETCH });
    this.#consumer.on('attached', () => (this.#settlements = new Settlements(book, PREFETCH)));
    this.#consumer.on('detached', () => this.#settlements.ended('lost'));
    this.#consumer.on('lost', () => {
      tally.lost++;
      tally.inFlight--;
    });
    this.done = new Promise((resolve, reject) => {
      this.#consumer.deliveries$
        .pipe(
          tap(({ body, redelivered, properties }) => {
            tally.delivered++;
            tally.inFlight++;
            if (redelivered) tally.redelivered++;
            this.#settlements.delivered();
            book.delivered(body.n, properties.messageId);
          }),
          // Fewer than the prefetch, so that some deliveries wait and may be lost or aborted while they do.
          handle(work(luck), { concurrency: 20, timeout: TIME_LIMIT, onError: policy }),
        )
        .subscribe({
          next: ({ message, settlement, sent }) => {
            // It was lost before, and is counted so.
            if (!sent) return;
            tally.inFlight--;
            tally[SETTLED[settlement]]++;
            this.#settlements.settled(message.body.n, settlement);
          },
          complete: resolve,
          error: reject,
        });
    });
    // `ended` rejects with it.
    this.done.catch(() => undefined);
  }

  get attached(): boolean {
    return this.#consumer.state.status === 'attached';
  }

  /** Call it after the close of its connection. */
  async ended(): Promise<void> {
    await this.done;
    this.#settlements.ended('in peace');
  }
}

const SETTLED = { ack: 'acked', requeue: 'requeued', release: 'released', reject: 'rejected' } as const;
