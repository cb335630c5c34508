import {
  distinctUntilChanged,
  EMPTY,
  filter,
  firstValueFrom,
  interval,
  map,
  NEVER,
  type Observable,
  of,
  pairwise,
  startWith,
  Subject,
  Subscription,
  switchMap,
} from 'rxjs';
import { Counters } from '../counters';
import { tellState } from '../diagnostics';
import { ConnectionError } from '../errors';
import type { Logger } from '../log';
import { RecentMap, RecentSet } from '../collections/recent';
import { StateSubject } from '../reactive/state-subject';
import { mergeTopologies, type QueueSpec, type Topology } from '../topology';
import { isChannelLimit } from '../transport/link-errors';
import type { Link } from '../transport/transport';
import type { Backoff } from './backoff';
import { type ConnectionState, StateLog } from './connection-state';
import { dialRound, type RoundOptions } from './dial-round';
import type { CloseReport, Member } from './member';
import { Supervisor, type Up } from './supervisor';

export interface CoreOptions extends RoundOptions {
  readonly reopen: Backoff;
  readonly authErrors: 'terminal' | 'retry';
  readonly drainTimeout: number;
}

/** The least and the most time for the closing handshake of the connection, ms. */
const HANDSHAKE = { min: 100, max: 5000 };
/** Specs that are remembered, and warnings that were logged. A service may consume from a queue for each of its sessions. */
const REMEMBERED = 10_000;

/** What consumers and producers know of a connection: the present link, counters, log, and how to register. */
export class ConnectionCore {
  readonly counters = new Counters();
  readonly log: Logger;
  /** The broker shows it as the connection's name. */
  readonly name: string | undefined;
  readonly reopen: Backoff;
  readonly drainTimeout: number;
  readonly #supervisor: Supervisor<Link>;
  /** Why the broker blocks publishing; undefined: it does not. A field: it is read for each message. */
  blocked: string | undefined;
  readonly #blocked = new StateSubject<string | undefined>(undefined);
  readonly #members = new Set<Member>();
  readonly #joined = new Subject<Member>();
  readonly #known = new RecentMap<string, QueueSpec>(REMEMBERED);
  readonly #warned = new RecentSet<string>(REMEMBERED);
  readonly #watches: Subscription;
  readonly #dialOnce: (name: string) => Observable<Link>;
  #channelsLimited = false;
  #closed: Promise<CloseReport> | undefined;
  /** When closing has to be done; monotonic, ms. */
  #deadline = Infinity;
  /** Members that are closing now. */
  #ending: readonly Member[] = [];

  constructor(options: CoreOptions) {
    const { reconnect, authErrors } = options;
    this.log = options.log;
    this.name = options.name;
    this.reopen = options.reopen;
    this.drainTimeout = options.drainTimeout;
    this.#dialOnce = (name) => dialRound({ ...options, name });
    const dial = (): Observable<Link> =>
      dialRound(options, (link, expiring) => {
        this.#supervisor.expiring(link, expiring);
      });
    this.#supervisor = new Supervisor(dial, {
      backoff: reconnect,
      failFast: authErrors === 'terminal',
    });
    this.#watches = this.#watch();
    this.#watches.add(
      options.transport.back$.subscribe(() => {
        this.skipWait();
      }),
    );
  }

  get state$(): Observable<ConnectionState> {
    return this.#supervisor.state$;
  }
  get state(): ConnectionState {
    return this.#supervisor.state;
  }
  get up$(): Observable<Up<Link> | undefined> {
    return this.#supervisor.up$;
  }
  get up(): Up<Link> | undefined {
    return this.#supervisor.up;
  }
  get blocked$(): Observable<string | undefined> {
    return this.#blocked.value$;
  }

  /** Did the broker close this connection over its number of channels? Then no optional channel is opened. */
  get channelsLimited(): boolean {
    return this.#channelsLimited;
  }

  /** Starts dialling, once. */
  open(): void {
    this.#supervisor.start();
  }

  /** Resolves when connected. Rejects: ConnectionError (a final refusal, no attempts left, closed). */
  connect(): Promise<void> {
    this.open();
    return firstValueFrom(
      this.state$.pipe(
        filter(({ status }) => status === 'connected' || status === 'closing' || status === 'closed'),
        map((state) => {
          if (state.status !== 'connected') throw this.closedError();
        }),
      ),
    );
  }

  /** The error for calls after the connection has ended. */
  closedError(): ConnectionError {
    const { state } = this;
    const cause = state.status === 'closed' ? state.cause : undefined;
    if (cause instanceof ConnectionError) return cause;
    return new ConnectionError('CONNECTION_CLOSED', '', 'The connection is closed. Open a new one to go on.', {
      cause,
    });
  }

  /** `own`, followed by the queue specs that any consumer or producer of this connection has given. */
  known(own: Topology | undefined): Topology {
    return this.#known.size === 0 ? (own ?? {}) : mergeTopologies(own, { queues: [...this.#known.values()] });
  }

  /** Remembers a spec, so that the name alone means this queue from now on: of the 10,000 queues that were named last. */
  learn(spec: QueueSpec): void {
    if (spec.name !== '') this.#known.set(spec.name, spec);
  }

  /** Logs a warning, unless one with this key was logged before on this connection. */
  warnOnce(key: string, facts: object, message: string): void {
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.log.warn(facts, message);
  }

  /** Ends the wait between two attempts: the other connection to the same broker is up. */
  skipWait(): void {
    this.#supervisor.skipWait();
  }

  reconnect(): void {
    const link = this.up?.link;
    const cause = new ConnectionError('CONNECTION_LOST', link?.endpoint ?? '', 'Dropped by reconnect().');
    // The link and the state have to give the same cause.
    link?.lose(cause);
    this.#supervisor.drop(cause);
  }

  /**
   * Runs `work` on a short-lived connection of its own, for operations that could make the broker close the shared one.
   * Rejects: ConnectionError, if no connection can be made; as `work` does.
   */
  rehearse(work: (link: Link) => Promise<void>): Promise<void> {
    const name = `${this.name ?? 'instance-queue'} (setup check)`;
    return firstValueFrom(
      this.#dialOnce(name).pipe(
        // Unsubscribing from the dial ends the connection.
        switchMap(async (link) => {
          await work(link);
          this.#channelsLimited = false;
          await link.close(HANDSHAKE.max);
        }),
      ),
    );
  }

  /** Hot. Emits: each consumer and producer that registers. Completes: when the connection is closed. */
  get joined$(): Observable<Member> {
    return this.#joined;
  }

  register(member: Member): () => void {
    this.#members.add(member);
    this.#joined.next(member);
    return () => {
      this.#members.delete(member);
    };
  }

  /** Ends its members, then the link, then itself. Idempotent; always settles. A later call may shorten the time that is left. */
  close(drainTimeout = this.drainTimeout): Promise<CloseReport> {
    this.#deadline = Math.min(this.#deadline, performance.now() + drainTimeout);
    for (const member of this.#ending) void member.close(drainTimeout);
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<CloseReport> {
    if (this.state.status === 'closed') return { unsettled: 0, unconfirmed: 0 };
    this.#supervisor.closing();
    const left = (): number => Math.max(0, this.#deadline - performance.now());
    const ends = async (direction: Member['direction']): Promise<readonly CloseReport[]> => {
      this.#ending = [...this.#members].filter((member) => member.direction === direction);
      return Promise.all(this.#ending.map((member) => member.close(left())));
    };
    const reports = [...(await ends('inbound')), ...(await ends('outbound'))];
    this.#ending = [];
    await this.up?.link.close(Math.min(HANDSHAKE.max, Math.max(HANDSHAKE.min, left())));
    this.#supervisor.stop();
    this.#watches.unsubscribe();
    this.#joined.complete();
    return {
      unsettled: reports.reduce((sum, { unsettled }) => sum + unsettled, 0),
      unconfirmed: reports.reduce((sum, { unconfirmed }) => sum + unconfirmed, 0),
    };
  }

  #watch(): Subscription {
    const { log } = this;
    const states = new StateLog(log, this.counters);
    // In parallel: the state ends before the stream of the link does.
    const watches = new Subscription();
    watches.add(
      this.state$.pipe(startWith(undefined), pairwise()).subscribe(([before, state]) => {
        if (!state) return;
        tellState({ of: 'connection', connection: this.name, state });
        if (state.status === 'reconnecting' && isChannelLimit(state.cause)) this.#channelsLimited = true;
        states.write(before, state);
      }),
    );
    watches.add(
      this.up$
        .pipe(
          switchMap((up) => up?.link.blocked$ ?? of(undefined)),
          distinctUntilChanged(),
        )
        .subscribe({
          next: (reason) => {
            if (reason !== undefined) log.warn({ reason }, 'publishing blocked by the broker');
            else if (this.blocked !== undefined) log.info('publishing unblocked');
            this.#blocked.next((this.blocked = reason));
          },
          complete: () => {
            this.#blocked.end((this.blocked = undefined));
          },
        }),
    );
    watches.add(
      this.up$
        .pipe(
          switchMap((up) =>
            up
              ? eventLoopLag(up.link.heartbeat).pipe(map((stalled) => ({ stalled, heartbeat: up.link.heartbeat })))
              : EMPTY,
          ),
        )
        .subscribe((facts) => {
          log.warn(facts, 'the event loop stood still for so long that heartbeats are at risk');
        }),
    );
    return watches;
  }
}

/** The bounds of the time between two looks at the clock, ms. Each wakes the process. */
const [OFTEN, SELDOM] = [500, 2000];

/**
 * Watches for a blocked event loop. While it is blocked no heartbeat is sent, and after two intervals without one the broker
 * drops the connection. https://www.rabbitmq.com/docs/heartbeats
 *
 * Cold. Emits: how long the event loop was blocked at least, ms, each time that was half a heartbeat interval or more. Completes:
 * never. Errors: never. Unsubscribe: stops its timer.
 * @param heartbeatSeconds - as negotiated; 0: there are no heartbeats to miss, and nothing is emitted
 */
function eventLoopLag(heartbeatSeconds: number): Observable<number> {
  if (heartbeatSeconds === 0) return NEVER;
  const period = Math.min(Math.max(heartbeatSeconds * 100, OFTEN), SELDOM);
  let last = performance.now();
  return interval(period).pipe(
    map(() => {
      const now = performance.now();
      const late = now - last - period;
      last = now;
      return Math.round(late);
    }),
    filter((late) => late >= heartbeatSeconds * 500),
  );
}
