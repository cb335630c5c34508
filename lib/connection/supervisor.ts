import { Subject, defer, from, merge, mergeMap, race, retry, tap, throwError, timer } from 'rxjs';
import type { Observable, ObservableInput, Subscription } from 'rxjs';
import { ConnectionError, type InstanceQueueError } from '../errors';
import { backoffDelay, type Backoff } from './backoff';
import { connectFailed } from '../transport/link-errors';
import type { ConnectionState, Expiring } from './connection-state';
import { StateSubject } from '../reactive/state-subject';

/** A link as the supervisor sees it. */
export interface Reached {
  readonly endpoint: string;
}
/** The present link, with the number of its connection. */
export interface Up<L> {
  readonly link: L;
  readonly epoch: number;
}

export interface SupervisorOptions {
  readonly backoff: Backoff;
  /** Does a refusal before the first success that is not retryable end the connection? */
  readonly failFast?: boolean;
  readonly random?: () => number;
}

/**
 * Keeps one link up: dials, backs off, dials again, until `stop`. The only writer of the connection state.
 * `dial` is subscribed for each attempt: it emits the link once it is up and errors when it failed or was lost.
 */
export class Supervisor<L extends Reached> {
  readonly #state = new StateSubject<ConnectionState>(Object.freeze({ status: 'disconnected' }));
  readonly #up = new StateSubject<Up<L> | undefined>(undefined);
  readonly #dial: () => ObservableInput<L>;
  readonly #options: SupervisorOptions;
  readonly #skipWait = new Subject<void>();
  readonly #dropped = new Subject<ConnectionError>();
  /** The present link. `#up` may still be emitting the previous value. */
  #present: Up<L> | undefined;
  #started = false;
  #loop: Subscription | undefined;
  #stability: Subscription | undefined;
  #epoch = 0;
  /** The present attempt of this outage, from 1. */
  #attempt = 1;
  /** Consecutive links that were lost before `stableAfter`: delays keep growing while a broker flaps. */
  #flaps = 0;
  #immediate = false;
  #expiring = false;
  #closing = false;

  constructor(dial: () => ObservableInput<L>, options: SupervisorOptions) {
    this.#dial = dial;
    this.#options = options;
  }

  /** Hot. Emits: the present state, then each new one. Completes: after `closed`. Errors: never. */
  get state$(): Observable<ConnectionState> {
    return this.#state.value$;
  }
  get state(): ConnectionState {
    return this.#state.value;
  }
  /** The present link or undefined. Completes when no further link will follow. */
  get up$(): Observable<Up<L> | undefined> {
    return this.#up.value$;
  }
  get up(): Up<L> | undefined {
    return this.#present;
  }

  /** Starts dialling, once. */
  start(): void {
    if (this.#started || this.#state.ended || this.#closing) return;
    this.#started = true;
    const attempt$ = defer(() => {
      if (this.#epoch === 0) this.#write({ status: 'connecting', attempt: this.#attempt });
      return merge(from(this.#dial()), this.#dropped.pipe(mergeMap((cause) => throwError(() => cause))));
    });
    this.#loop = attempt$
      .pipe(
        tap((link) => {
          this.#connected(link);
        }),
        retry({ delay: (error) => this.#again(error) }),
      )
      .subscribe({
        error: (error: unknown) => {
          this.#finish(connectFailed('', error));
        },
      });
    // A dial may have failed for good before `subscribe` returned.
    if (this.state.status === 'closed') this.#loop.unsubscribe();
  }

  /** Ends the present wait between two attempts, if there is one. */
  skipWait(): void {
    this.#skipWait.next();
  }

  /** Drops the link or the present dial, and dials again without delay. */
  drop(cause: ConnectionError): void {
    if (!this.#started) return;
    this.#flaps = 0;
    this.#immediate = true;
    this.#dropped.next(cause);
    // Between two attempts nothing listens to `#dropped`: then the wait has to end.
    this.#immediate = false;
    this.skipWait();
  }

  /** Sets or clears `expiring` in the state, if this is the present link. */
  expiring(link: L, expiring: Expiring | undefined): void {
    const up = this.#present;
    if (up?.link !== link || (!expiring && !this.#expiring)) return;
    this.#expiring = expiring !== undefined;
    const state = { status: 'connected', epoch: up.epoch, endpoint: link.endpoint } as const;
    this.#write(expiring ? { ...state, expiring: Object.freeze(expiring) } : state);
  }

  /** From here on the state is `closing`. The link stays up, so that consumers and producers can finish. */
  closing(): void {
    if (this.#closing) return;
    // First, because a subscriber of the state may ask to connect.
    this.#closing = true;
    this.#state.next(Object.freeze({ status: 'closing' }));
  }

  /** Drops the link. The state becomes `closed` and completes. */
  stop(): void {
    this.#finish(undefined);
  }

  #connected(link: L): void {
    this.#epoch++;
    this.#attempt = 1;
    this.#expiring = false;
    this.#stability?.unsubscribe();
    this.#stability = timer(this.#options.backoff.stableAfter).subscribe(() => {
      this.#flaps = 0;
    });
    const up = { link, epoch: this.#epoch };
    this.#present = up;
    this.#write({ status: 'connected', epoch: up.epoch, endpoint: link.endpoint });
    // A subscriber of the state may have dropped the link already.
    if (this.#present === up) this.#up.next(up);
  }

  #again(error: unknown): Observable<unknown> {
    const wasUp = this.#present !== undefined;
    this.#present = undefined;
    const cause = connectFailed('', error);
    this.#stability?.unsubscribe();
    if (wasUp) this.#up.next(undefined);
    const { backoff, failFast = true, random } = this.#options;
    const everUp = this.#epoch > 0;
    const limit = everUp ? backoff.attempts : backoff.initialAttempts;
    if (!everUp && failFast && !cause.retryable) return throwError(() => cause);
    const tried = wasUp ? 0 : this.#attempt;
    // What the caller dropped has not failed.
    if (tried >= limit && !this.#immediate) {
      const message = `Gave up after ${String(tried)} attempt${tried === 1 ? '' : 's'}. ${cause.message}`;
      return throwError(
        () => new ConnectionError(cause.code, cause.endpoint, message, { cause, replyCode: cause.replyCode }),
      );
    }
    this.#attempt = tried + 1;
    if (wasUp) this.#flaps++;
    // The larger one, not the sum: after an hour of flapping, the delay would outlast a short outage.
    const growth = Math.max(this.#flaps, everUp ? this.#attempt : tried);
    const slowly = !wasUp && !cause.retryable;
    const delay = this.#immediate ? 0 : backoffDelay(backoff, growth, { slowly, ...(random && { random }) });
    // A subscriber of the state may skip the wait before it begins.
    const wait = { isSkipped: false };
    const skips = this.#skipWait.subscribe(() => (wait.isSkipped = true));
    this.#write({ status: 'reconnecting', attempt: this.#attempt, delay, cause });
    skips.unsubscribe();
    return wait.isSkipped ? timer(0) : race(timer(delay), this.#skipWait);
  }

  #finish(cause: InstanceQueueError | undefined): void {
    this.#closing = true;
    this.#stability?.unsubscribe();
    this.#present = undefined;
    this.#loop?.unsubscribe();
    // Before the link's stream ends: its subscribers then read the cause from the state.
    this.#state.end(Object.freeze(cause ? { status: 'closed', cause } : { status: 'closed' }));
    this.#up.end(undefined);
  }

  #write(state: ConnectionState): void {
    if (!this.#closing) this.#state.next(Object.freeze(state));
  }
}
