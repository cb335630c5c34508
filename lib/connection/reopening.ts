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
import { backoffDelay } from './backoff';
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

/** An operator closed it, or the broker went down. https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const CONNECTION_FORCED = 320;

/**
 * Finds out whose setup made the broker close a whole connection (503, 530, 541). The broker does not say. So all setups that
 * were under way are suspects, and try again one at a time: the one that is alone when it happens again is guilty.
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

  /** Setup succeeded: what ends it later is no refusal of it. */
  cleared(): void {
    this.#suspect = false;
    this.#turn?.end();
    this.#turn = undefined;
  }

  /** Setup failed, or what it set up ended: is this setup the reason? */
  guilty({ lost }: Pick<Link, 'lost'>, error: InstanceQueueError): boolean {
    const turn = this.#turn;
    this.#turn = undefined;
    turn?.end();
    // It had not begun.
    if (error === lost) return false;
    if (lost === undefined || isOwnRefusal(error, lost)) return true;
    // The broker refused renewed credentials, and no setup.
    if (lost.code === 'CREDENTIALS_FAILED') return false;
    // A connection that was lost without a reason refused no setup: all that were on it come back side by side.
    if (turn === undefined || lost.replyCode === undefined || lost.replyCode === CONNECTION_FORCED) return false;
    if (turn.alone) return true;
    this.#suspect = true;
    return false;
  }
}

/** Did the broker answer this channel alone, with a code of its own? A channel that ended with its connection has none. */
const isOwnRefusal = (error: InstanceQueueError, lost: unknown): boolean =>
  error.replyCode !== undefined && error.cause !== lost;

/** ms after which a setup without an answer is no longer waited for, nor suspected of closing the connection. */
const ANSWERED_WITHIN = 3000;

/** The setup of one consumer or producer (declare, open, consume). The broker may answer any step by closing the connection. */
interface SetupTurn {
  /** Was no other setup under way at any time? */
  readonly alone: boolean;
  /** The broker has answered. A turn given up earlier stays under way for a while: the answer may still come. */
  end(): void;
}

interface UnderWay {
  alone: boolean;
  readonly exclusive: boolean;
  readonly overdue: number;
}

/** The setups under way on one connection: side by side, unless one asks to be alone. */
class SetupLock {
  static readonly #locks = new WeakMap<object, SetupLock>();

  readonly #underWay = new Set<UnderWay>();
  readonly #changed = new Subject<void>();

  /** The lock of a connection, one for all who use it. */
  static of(link: object): SetupLock {
    let lock = this.#locks.get(link);
    if (!lock) this.#locks.set(link, (lock = new SetupLock()));
    return lock;
  }

  /** Cold. Emits: the turn when it comes, once; then completes. Errors: never. Unsubscribe: waits no longer. */
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

  /** ms until no turn is in the way any more, unless those end sooner. */
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
