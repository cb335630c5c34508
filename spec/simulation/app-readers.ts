import { handle, type Delivery, type Message } from 'instance-queue';
import type { Subscription } from 'rxjs';
import { paused } from './app-consumers';
import type { AppRun } from './app-run';
import type { Body } from './body';
import type { ReaderPlan } from './plan';
import type { Reading } from './stream-oracle';

/** ms between the end of a reader and the start of the next, by which the last offset is reported. */
const CHANGING = 3000;

/** One consumer of a stream of the plan, and another that goes on where it ended. */
export class AppReader {
  readonly #app: AppRun;
  readonly #plan: ReaderPlan;
  readonly #index: number;

  constructor(app: AppRun, plan: ReaderPlan, index: number) {
    this.#app = app;
    this.#plan = plan;
    this.#index = index;
  }

  start(): void {
    const { from, resumesAt } = this.#plan;
    const { streams } = this.#app.oracle;
    const reading = streams.begins(this.#app.client, this.#plan, this.#app.queueAt(this.#plan.queue), from);
    const subscription = this.#read(reading);
    if (resumesAt === undefined) return;
    this.#app.at(resumesAt, () => {
      subscription.unsubscribe();
      this.#app.at(CHANGING, () => {
        const next = reading.reported === undefined ? from : reading.reported + 1;
        reading.ends();
        this.#read(streams.begins(this.#app.client, this.#plan, this.#app.queueAt(this.#plan.queue), next));
      });
    });
  }

  #read(reading: Reading): Subscription {
    const { prefetch, pauses, works, concurrency, onError, filter } = this.#plan;
    const { findings } = this.#app.oracle;
    const deliveries$ = this.#app.client.consume<Body>({
      queue: reading.stream,
      offset: reading.from,
      prefetch,
      ...(filter && { filter }),
      onOffset: (offset) => {
        reading.reports(offset);
      },
      ...(pauses.length > 0 && { pause: paused(pauses) }),
    });
    const error = (why: unknown): void => {
      findings.note(`app: reader ${String(this.#index)} errors: ${String(why)}`);
      reading.ends();
      if (!this.#app.mayStop(why))
        findings.violate('a-consumer-stays', `reader ${String(this.#index)}: ${String(why)}`);
    };
    if (works === 'by-hand') {
      return deliveries$.subscribe({
        next: (delivery) => {
          reading.handedOut(delivery);
          void this.#settleByHand(reading, delivery);
        },
        error,
      });
    }
    const work = async (message: Message<Body>, { signal }: { readonly signal: AbortSignal }): Promise<void> => {
      reading.handedOut(message);
      const failing = await this.#work(message);
      if (
        !signal.aborted &&
        (!failing || onError === 'reject' || (onError === 'requeue-once' && message.redelivered))
      ) {
        reading.decides(message);
      }
      if (failing) throw new Error('simulated failure');
    };
    return deliveries$.pipe(handle(work, { concurrency, onError })).subscribe({
      next: ({ message, sent, settlement }) => {
        if (sent && settlement !== 'requeue') reading.settled(message);
      },
      error,
    });
  }

  async #settleByHand(reading: Reading, delivery: Delivery<Body>): Promise<void> {
    const failing = await this.#work(delivery);
    const how = failing ? this.#plan.onError : 'ack';
    const passes = how === 'ack' || how === 'reject';
    if (passes && delivery.settled === undefined) reading.decides(delivery);
    const accepted = how === 'ack' || how === 'reject' ? delivery[how]() : delivery.release();
    if (accepted && passes) reading.settled(delivery);
  }

  /** Returns whether it fails. */
  async #work({ body }: Message<Body>): Promise<boolean> {
    const { takes, fails } = this.#plan;
    const { chance, run } = this.#app.chanceOf(body, 40 + this.#index);
    await this.#app.universe.sleep(chance.integer(0, takes));
    return chance.integer(1, 100) <= fails && run < 6;
  }
}
