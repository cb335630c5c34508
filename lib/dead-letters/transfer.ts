import { asyncScheduler, interval, Observable, type Subscription, tap, timer } from 'rxjs';
import type { Producer } from '../producer/producer';
import type { QueueScan } from '../consumer/queue-scan';
import { isError, OptionsError, PublishError, sentenceOf } from '../errors';
import type { InboundMessage } from '../transport/transport';
import { readDeadLetter, sentAgain, type DeadLetter, type Target } from './dead-letter';
import { nameOf, type DeadLetterReport } from './dead-letter-report';
import { FullTargets } from './full-targets';
import type { DeliveryGuard } from './letter-scan';
import type { TargetLook } from './target-look';

export interface TransferOptions {
  readonly queue: string;
  readonly matches: (letter: DeadLetter) => boolean;
  /** 'drop', or where a letter goes; undefined: it has nowhere to go. */
  readonly target: 'drop' | ((letter: DeadLetter) => Target | undefined);
  readonly dryRun: boolean;
  /** Looks whether a target is there, in a dry run. */
  readonly look: TargetLook;
  /** ms after which a letter that is not confirmed stays. */
  readonly timeout: number;
  /** Letters per second at most. */
  readonly rate: number | undefined;
  /** Sends a letter back to be worked on anew, rather than moving it as it is. */
  readonly anew: boolean;
  readonly signal: AbortSignal | undefined;
}

/** ms between two reports. */
const REPORT_EVERY = 100;
const TARGETS = 100;
/** ms that letters under way may take after an abort: a queue that is full takes them when someone works it off, if ever. */
const FINISHED_WITHIN = 1000;
const NOT_CONFIRMED =
  'Some were not confirmed in time: their queue is full, has no leader, or the broker is slow. They stayed; copies of them may arrive.';

/**
 * Takes letters out of their queue: each is acked once the broker has confirmed its copy, so that a process that is killed in
 * between leaves two with one `messageId`, and never none. Ends with the letters that were there at the start: those that fail
 * again come in behind them, and stay there. Ends early where a full target dead-letters what it refuses.
 *
 * Cold. Emits: reports, ten a second at most, then the last. Completes: behind it. Errors: as the scan and `send` do, after a last
 * report. Unsubscribe: takes no more; what is under way is finished.
 */
export function transfer(
  scan: QueueScan,
  guard: DeliveryGuard,
  producer: Producer<Buffer> | undefined,
  options: TransferOptions,
): Observable<DeadLetterReport> {
  return new Observable((subscriber) => {
    const run = new Transfer(scan, guard, producer, options);
    let last = '';
    const reports = interval(REPORT_EVERY).subscribe(() => {
      const report = run.report();
      const now = `${String(report.read + report.done)} ${report.declined?.target ?? ''}`;
      if (now !== last) subscriber.next(report);
      last = now;
    });
    run.finished.then(
      () => {
        reports.unsubscribe();
        subscriber.next(run.report());
        subscriber.complete();
      },
      (error: unknown) => {
        reports.unsubscribe();
        subscriber.next(run.report());
        subscriber.error(error);
      },
    );
    return () => {
      reports.unsubscribe();
      run.stop();
    };
  });
}

class Transfer {
  /** Resolves when all that was taken is settled and the rest is back in its queue. */
  readonly finished: Promise<void>;
  readonly #scan: QueueScan;
  readonly #guard: DeliveryGuard;
  readonly #producer: Producer<Buffer> | undefined;
  readonly #options: TransferOptions;
  readonly #targets = new Map<string, number>();
  readonly #reading: Subscription;
  readonly #kept = { noOrigin: 0, unroutable: 0, refused: 0 };
  #read = 0;
  #matched = 0;
  #done = 0;
  #underWay = 0;
  #problem: string | undefined;
  #full: FullTargets | undefined;
  #stopped: DeadLetterReport['stopped'];
  #isGivenUp = false;
  #readAll = false;
  /** Letters that wait for their turn. */
  readonly #waiting = new Set<Subscription>();
  #error: Error | undefined;
  /** When the next letter may go, by the clock of `performance`. */
  #next = performance.now();
  #resolve: () => void = () => undefined;

  constructor(scan: QueueScan, guard: DeliveryGuard, producer: Producer<Buffer> | undefined, options: TransferOptions) {
    this.#scan = scan;
    this.#guard = guard;
    this.#producer = producer;
    this.#options = options;
    const settled = new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
    this.finished = settled.then(() => this.#close());
    const { signal } = options;
    const abort = (): void => {
      this.#stopped ??= 'aborted';
      this.stop();
      const late = timer(FINISHED_WITHIN).subscribe(() => {
        this.#giveUp();
      });
      void settled.then(() => {
        late.unsubscribe();
      });
    };
    signal?.addEventListener('abort', abort, { once: true });
    void settled.then(() => signal?.removeEventListener('abort', abort));
    scan.ending.addEventListener('abort', () => {
      this.#fail(scan.ending.reason);
    });
    // With `tap`, which hands on as an error what a filter throws: in `next` it would end the process.
    const take = tap<InboundMessage>((message) => {
      this.#take(message);
    });
    this.#reading = scan.message$.pipe(take).subscribe({
      error: (error: unknown) => {
        this.#fail(error);
      },
      complete: () => {
        this.#end();
      },
    });
    if (signal?.aborted === true) abort();
    if (!producer) return;
    const stop = (error: Error): void => {
      this.#fail(error);
      this.#giveUp();
    };
    this.#full = new FullTargets(producer, scan, { ...options, stop });
  }

  report(): DeadLetterReport {
    const declined = this.#underWay > 0 ? this.#full?.declined : undefined;
    return {
      found: this.#scan.found,
      read: this.#read,
      matched: this.#matched,
      done: this.#done,
      kept: { ...this.#kept },
      targets: Object.fromEntries(this.#targets),
      ...(this.#problem !== undefined && { problem: this.#problem }),
      ...(declined && { declined }),
      ...(this.#stopped && { stopped: this.#stopped }),
    };
  }

  /** Takes no more; what waits for its turn stays. */
  stop(): void {
    for (const turn of this.#waiting) turn.unsubscribe();
    this.#underWay -= this.#waiting.size;
    this.#waiting.clear();
    // `message$` may still be in the call that subscribes to it.
    asyncScheduler.schedule(() => {
      this.#reading.unsubscribe();
    });
    this.#end();
  }

  /** What is under way stays: a copy that is confirmed now is one too many, and has the same `messageId`. */
  #giveUp(): void {
    this.#isGivenUp = true;
    void this.#producer?.close({ drainTimeout: 0 });
  }

  #take(message: InboundMessage): void {
    const tag = message.deliveryTag;
    if (this.#readAll) return;
    const letter = readDeadLetter(message, this.#options.queue);
    const { matches, target, dryRun } = this.#options;
    const meant = matches(letter);
    // A letter that is taken is acked: the delivery limit does not matter for it.
    const leaves = meant && !dryRun;
    if (!leaves && !this.#guard.passes(letter)) this.#stopped = 'delivery-limit';
    this.#read++;
    if (meant) this.#matched++;
    const route = meant && target !== 'drop' ? target(letter) : undefined;
    if (!meant) this.#scan.keep(tag);
    else if (target !== 'drop' && !route) this.#keep(tag, 'noOrigin');
    else if (dryRun) void this.#would(tag, route);
    else if (!route) {
      this.#scan.ack(tag);
      this.#done++;
    } else this.#pace(() => this.#send(tag, letter, route));
    if (this.#stopped === 'delivery-limit') this.stop();
  }

  async #would(tag: number, route: Target | undefined): Promise<void> {
    this.#underWay++;
    try {
      const missing = route && (await this.#options.look.missing(route));
      if (missing && !missing.isQueue) throw missing;
      if (missing) {
        this.#problem = missing.message;
        this.#keep(tag, 'unroutable');
      } else {
        this.#done++;
        if (route) this.#count(route);
        this.#scan.keep(tag);
      }
    } catch (error) {
      if (error instanceof OptionsError) {
        this.#problem = error.message;
        this.#keep(tag, 'refused');
      } else this.#fail(error);
    }
    this.#leave();
  }

  /** Starts the work at once, or with a rate when its turn comes. */
  #pace(work: () => Promise<void>): void {
    this.#underWay++;
    const { rate } = this.#options;
    if (rate === undefined) {
      void work();
      return;
    }
    const now = performance.now();
    const at = Math.max(now, this.#next);
    this.#next = at + 1000 / rate;
    const turn = timer(at - now).subscribe(() => {
      this.#waiting.delete(turn);
      void work();
    });
    this.#waiting.add(turn);
  }

  async #send(tag: number, letter: DeadLetter, route: Target): Promise<void> {
    const { anew } = this.#options;
    try {
      await this.#producer?.send({ ...sentAgain(letter, anew, route), ...route, body: letter.message.content });
      this.#scan.ack(tag);
      this.#done++;
      this.#full?.taken();
      this.#count(route);
    } catch (error) {
      const code = error instanceof PublishError ? error.code : undefined;
      const isGivenUp = this.#isGivenUp && code === 'PUBLISH_CLOSED';
      this.#problem = isGivenUp ? NOT_CONFIRMED : sentenceOf(error);
      if (isGivenUp) this.#scan.keep(tag);
      else if (code === 'PUBLISH_RETURNED') this.#keep(tag, 'unroutable');
      else if (code === 'PUBLISH_INVALID' || code === 'PUBLISH_NACKED') this.#keep(tag, 'refused');
      else this.#fail(error);
    }
    this.#leave();
  }

  #keep(tag: number, why: keyof DeadLetterReport['kept']): void {
    this.#kept[why]++;
    this.#scan.keep(tag);
  }

  #count(route: Target): void {
    const full = nameOf(route);
    const name = this.#targets.has(full) || this.#targets.size < TARGETS ? full : '…';
    this.#targets.set(name, (this.#targets.get(name) ?? 0) + 1);
  }

  #leave(): void {
    this.#underWay--;
    if (this.#readAll && this.#underWay === 0) this.#resolve();
  }

  #fail(error: unknown): void {
    this.#error ??= isError(error) ? error : new Error(sentenceOf(error));
    this.stop();
  }

  #end(): void {
    this.#readAll = true;
    if (this.#underWay === 0) this.#resolve();
  }

  async #close(): Promise<void> {
    this.#full?.close();
    await this.#scan.close();
    await this.#producer?.close();
    if (this.#error !== undefined) throw this.#error;
  }
}
