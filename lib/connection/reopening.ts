import { EMPTY, asapScheduler, defer, mergeMap, retry, switchMap, tap, timer } from 'rxjs';
import type { Observable, Subscription } from 'rxjs';
import { ChannelError, type InstanceQueueError } from '../errors';
import type { Link } from '../transport/transport';
import { backoffDelay } from './backoff';
import { CloseAttribution, isOwnRefusal } from './close-attribution';
import type { ConnectionCore } from './connection-core';

export interface ReopeningOptions {
  /** What is reopened, for errors: `Gave up <what> after 3 failed attempts`. */
  readonly what: string;
  /** Does this refusal end a first attempt? Later ones are retried, whatever the refusal. */
  readonly isFatal: (error: InstanceQueueError) => boolean;
  /** Called when it failed or was lost: why, and the ms until the next attempt; without them the next link starts it. */
  readonly waiting: (cause: InstanceQueueError, retryIn?: number) => void;
  /**
   * The steps that a broker may answer by closing the whole connection, without any other effect. They are tried on a
   * connection of their own before the shared one is put at risk again. Rejects: as the steps do.
   */
  readonly rehearse: (link: Link) => Promise<void>;
}

/**
 * Sets up one consumer or one producer on a link, again after each failure, until the link is lost. Used over all links of
 * a connection, so that it remembers how often setup failed, and whether a setup is what closed a link: then it waits
 * alone, and everyone else on the connection attaches at once.
 */
export class Reopening {
  readonly #core: ConnectionCore;
  readonly #options: ReopeningOptions;
  readonly #attribution = new CloseAttribution();
  #everOpened = false;
  /** Monotonic, ms; undefined while it is not open. */
  #openedAt: number | undefined;
  /** Failures since it last stayed open; sets how long the next attempt waits. */
  #growth = 0;
  /** Failures since it was last open for any time. */
  #failures = 0;
  #stability: Subscription | undefined;
  /** This one's setup closed a connection: no attempt on a shared one before this time, nor without a rehearsal. */
  #quarantinedUntil: number | undefined;

  constructor(core: ConnectionCore, options: ReopeningOptions) {
    this.#core = core;
    this.#options = options;
  }

  /** Did setup ever succeed? */
  get everOpened(): boolean {
    return this.#everOpened;
  }

  /**
   * Subscribes `setup`, and again after each error of it. Cold. Emits and completes as `setup` does; completes without
   * more when the link is lost. Errors: when a first attempt was refused for good, or the attempts are spent.
   */
  on<T>(link: Link, setup: () => Observable<T>): Observable<T> {
    return defer(() => this.#permission(link)).pipe(
      switchMap(setup),
      retry({ delay: (error: InstanceQueueError) => this.#again(link, error) }),
    );
  }

  /** Setup succeeded. */
  opened(): void {
    this.#everOpened = true;
    this.#failures = 0;
    this.#openedAt = performance.now();
    this.#quarantinedUntil = undefined;
    this.#attribution.cleared();
    this.#stability?.unsubscribe();
    this.#stability = timer(this.#core.reopen.stableAfter).subscribe(() => {
      this.proved();
    });
  }

  /** It does what it is for: whatever ends it now, delays start over. */
  proved(): void {
    this.#growth = 0;
  }

  /** No timer is left. */
  stop(): void {
    this.#stability?.unsubscribe();
  }

  #permission(link: Link): Observable<void> {
    const begin$ = this.#attribution.turn(link);
    if (this.#quarantinedUntil === undefined) return begin$;
    // Behind everyone else on this link, also at its start: what a limit leaves over shows only when they are attached.
    return timer(Math.max(0, this.#quarantinedUntil - performance.now())).pipe(
      switchMap(() => begin$),
      switchMap(() => this.#core.rehearse(this.#options.rehearse)),
      tap(() => {
        this.#core.log.debug('setup succeeded on a connection of its own');
      }),
    );
  }

  #again(link: Link, error: InstanceQueueError): Observable<unknown> {
    this.stop();
    const upFor = this.#openedAt === undefined ? undefined : performance.now() - this.#openedAt;
    this.#openedAt = undefined;
    // A loss is seen by channel, connection and state one after the other: judge it when all have seen it.
    return timer(0, asapScheduler).pipe(
      mergeMap(() => {
        // Also when the verdict does not matter: others may wait for the end of this turn.
        const guilty = this.#attribution.guilty(link, error);
        if (!this.#everOpened && guilty && this.#options.isFatal(error)) throw error;
        const { lost } = link;
        if (lost && (!guilty || isOwnRefusal(error, lost))) {
          this.#options.waiting(guilty ? error : lost);
          return EMPTY;
        }
        const delay = this.#nextDelay(error, upFor, lost !== undefined);
        this.#options.waiting(error, delay);
        if (!lost) return timer(delay);
        this.#quarantinedUntil = performance.now() + delay;
        return EMPTY;
      }),
    );
  }

  #nextDelay(error: InstanceQueueError, upFor: number | undefined, costsLink: boolean): number {
    const { reopen } = this.#core;
    if (upFor === undefined) this.#failures++;
    if (this.#failures >= (this.#everOpened ? reopen.attempts : reopen.initialAttempts)) throw this.#gaveUp(error);
    // What stayed open for longer than it would now wait has worked, and comes back at once.
    const worked = upFor !== undefined && upFor >= backoffDelay(reopen, this.#growth + 1, { random: () => 1 });
    if (worked) return 0;
    this.#growth++;
    // A first loss may be an accident.
    if (upFor !== undefined && this.#growth === 1) return 0;
    return backoffDelay(reopen, this.#growth, {
      slowly: upFor === undefined && (costsLink || !error.retryable),
    });
  }

  #gaveUp(cause: InstanceQueueError): ChannelError {
    const message = `Gave up ${this.#options.what} after ${String(this.#failures)} failed attempts. ${cause.message}`;
    return new ChannelError(message, { cause, replyCode: cause.replyCode });
  }
}
