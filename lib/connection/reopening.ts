import {
  asapScheduler,
  defer,
  EMPTY,
  map,
  mergeMap,
  type Observable,
  of,
  retry,
  startWith,
  Subject,
  type Subscription,
  switchMap,
  take,
  tap,
  timer,
} from 'rxjs';
import { ChannelError, type InstanceQueueError } from '../errors';
import type { Link } from '../transport/transport';
import { isBrokerCrash } from '../transport/link-errors';
import { backoffDelay } from './backoff';
import type { ConnectionCore } from './connection-core';

export interface ReopeningOptions {
  /** What is reopened, for errors: `Gave up <what> after 3 failed attempts`. */
  readonly what: string;
  /** Is this refusal final on a first attempt? Later attempts are retried after any refusal. */
  readonly isFatal: (error: InstanceQueueError) => boolean;
  /** Called after a failure or a loss, with the cause and the ms until the next attempt; without ms, the next link starts it. */
  readonly waiting: (cause: InstanceQueueError, retryIn?: number) => void;
  /**
   * Performs only the steps that a broker may answer by closing the whole connection. They are tried on a separate connection
   * before the shared one is put at risk again. Rejects: as the steps do.
   */
  readonly rehearse: (link: Link) => Promise<void>;
}

/**
 * Sets up one consumer or one producer on a link, again after each failure, until the link is lost. It is used across all links of
 * a connection, so that it knows how often setup has failed, and whether it made the broker close a link. In that case it alone
 * waits, and all others on the connection attach at once.
 */
export class Reopening {
  readonly #core: ConnectionCore;
  readonly #options: ReopeningOptions;
  readonly #attribution = new CloseAttribution();
  #everOpened = false;
  /** The time of the last setup, monotonic, ms; undefined while not open. */
  #openedAt: number | undefined;
  /** Failures since it last stayed open. They determine the delay of the next attempt. */
  #growth = 0;
  /** Failures since it was last open, however briefly. */
  #failures = 0;
  #stability: Subscription | undefined;
  /** Set if this setup closed a connection: no attempt on a shared one before this time, nor without a rehearsal. */
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
   * Subscribes `setup`, and again after each error of it. Cold. Emits and completes as `setup` does. Also completes
   * when the link is lost. Errors: when a first attempt was refused for good, or no attempts are left.
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

  /** It works: delays start over, whatever ends it now. */
  proved(): void {
    this.#growth = 0;
  }

  /** Cancels all timers. */
  stop(): void {
    this.#stability?.unsubscribe();
  }

  #permission(link: Link): Observable<void> {
    const begin$ = this.#attribution.turn(link);
    if (this.#quarantinedUntil === undefined) return begin$;
    // After all others on this link, also at its start: what a limit leaves for this one shows only when they are attached.
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
    // Channel, connection and state report a loss one after the other: decides when all have reported.
    return timer(0, asapScheduler).pipe(
      mergeMap(() => {
        // Even if the result is not needed: others may wait for the end of this turn.
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
    // If it stayed open for longer than the delay would be, it has worked and is set up again at once.
    const worked = upFor !== undefined && upFor >= backoffDelay(reopen, this.#growth + 1, { random: () => 1 });
    if (worked) return 0;
    this.#growth++;
    // The first loss may have another cause.
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

/** An operator closed the connection, or the broker shut down. https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const CONNECTION_FORCED = 320;

/**
 * Determines which setup made the broker close a whole connection (503, 530, 541), since the broker does not report it. All
 * setups in progress are suspects and retry one at a time: the one that is alone when it happens again is the cause.
 */
export class CloseAttribution {
  #suspect = false;
  #turn: SetupTurn | undefined;

  /** Cold. Emits: once, when this setup may begin. Errors: ConnectionError, when the link is lost by then. */
  turn(link: Pick<Link, 'lost'>): Observable<void> {
    return SetupLock.of(link)
      .take(this.#suspect)
      .pipe(
        map((turn) => {
          if (link.lost) throw link.lost;
          this.#turn = turn;
        }),
      );
  }

  /** Setup succeeded. If it ends later, that is no refusal. */
  cleared(): void {
    this.#suspect = false;
    this.#turn?.end();
    this.#turn = undefined;
  }

  /** Setup failed, or what it set up ended. Returns whether this setup is the cause. */
  guilty({ lost }: Pick<Link, 'lost'>, error: InstanceQueueError): boolean {
    const turn = this.#turn;
    this.#turn = undefined;
    turn?.end();
    // It had not begun.
    if (error === lost) return false;
    if (lost === undefined || isOwnRefusal(error, lost)) return true;
    // The broker refused renewed credentials, and no setup.
    if (lost.code === 'CREDENTIALS_FAILED') return false;
    // A connection that was lost without a reply code refused no setup: all of its members set up again in parallel.
    if (turn === undefined || lost.replyCode === undefined || lost.replyCode === CONNECTION_FORCED) return false;
    // What crashes once may work the next time.
    if (turn.alone && (this.#suspect || !isBrokerCrash(lost))) return true;
    this.#suspect = true;
    return false;
  }
}

/** Did the broker close this channel alone, with a code of its own? A channel that ended with its connection has none. */
const isOwnRefusal = (error: InstanceQueueError, lost: unknown): boolean =>
  error.replyCode !== undefined && error.cause !== lost;

/** ms after which others no longer wait for an unanswered setup, and it is no longer suspected of closing the connection. */
const ANSWERED_WITHIN = 3000;

/** The setup of one consumer or producer (declare, open, consume). The broker may answer any step by closing the connection. */
interface SetupTurn {
  /** Was no other setup in progress at any time? */
  readonly alone: boolean;
  /** Ends the turn: the broker has answered. An abandoned turn stays in progress for a while: the answer may still come. */
  end(): void;
}

interface UnderWay {
  alone: boolean;
  readonly exclusive: boolean;
  readonly overdue: number;
}

/** The setups in progress on one connection: in parallel, unless one requests to be alone. */
class SetupLock {
  static readonly #locks = new WeakMap<object, SetupLock>();

  readonly #underWay = new Set<UnderWay>();
  readonly #changed = new Subject<void>();

  /** The shared lock of a connection. */
  static of(link: object): SetupLock {
    let lock = this.#locks.get(link);
    if (!lock) this.#locks.set(link, (lock = new SetupLock()));
    return lock;
  }

  /** Cold. Emits: the turn, once; then completes. Errors: never. Unsubscribe: stops waiting. */
  take(exclusive: boolean): Observable<SetupTurn> {
    return this.#changed.pipe(
      startWith(undefined),
      switchMap(() => {
        const wait = this.#wait(exclusive);
        return wait > 0 ? timer(Math.ceil(wait)) : of(0);
      }),
      take(1),
      map(() => this.#begin(exclusive)),
    );
  }

  /** The longest time in ms until no other turn prevents this one. */
  #wait(exclusive: boolean): number {
    const now = performance.now();
    const inTheWay = [...this.#underWay].filter((turn) => exclusive || turn.exclusive);
    return Math.max(0, ...inTheWay.map(({ overdue }) => overdue - now));
  }

  #begin(exclusive: boolean): SetupTurn {
    const now = performance.now();
    const others = [...this.#underWay];
    for (const other of others) {
      other.alone = false;
      if (other.overdue <= now) this.#underWay.delete(other);
    }
    const turn: UnderWay = { alone: this.#underWay.size === 0, exclusive, overdue: now + ANSWERED_WITHIN };
    this.#underWay.add(turn);
    this.#changed.next();
    return {
      get alone() {
        return turn.alone;
      },
      end: () => {
        if (this.#underWay.delete(turn)) this.#changed.next();
      },
    };
  }
}
