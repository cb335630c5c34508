import { EMPTY, defer, distinctUntilChanged, filter, firstValueFrom, from, map, of, pairwise } from 'rxjs';
import { Subject, Subscription, startWith, switchMap, throwError, timeout, type Observable } from 'rxjs';
import { tellState } from '../diagnostics';
import { ConnectionError } from '../errors';
import type { Logger } from '../log';
import { Counters } from '../counters';
import { mergeTopologies, type QueueSpec, type Topology } from '../topology';
import type { Backoff } from './backoff';
import { shuffled, type Endpoint } from '../transport/endpoints';
import { connectFailed, isChannelLimit } from '../transport/link-errors';
import type { DialOptions, Link, Transport } from '../transport/transport';
import { eventLoopLag } from './event-loop-lag';
import { happyEyeballs } from './happy-eyeballs';
import { StateSubject } from '../reactive/state-subject';
import type { CloseReport, Member } from './member';
import { Supervisor, type Up } from './supervisor';
import type { ConnectionState } from './connection-state';

export interface CoreOptions extends DialOptions {
  readonly transport: Transport;
  readonly endpoints: () => Promise<readonly Endpoint[]>;
  readonly reconnect: Backoff;
  readonly reopen: Backoff;
  readonly authErrors: 'terminal' | 'retry';
  readonly drainTimeout: number;
  readonly log: Logger;
}

/** ms that the closing handshake of the connection may take, at least and at most. */
const HANDSHAKE = { min: 100, max: 5000 };

/** What consumers and producers know of a connection: its link as it comes and goes, counters, log, and the way to register. */
export class ConnectionCore {
  readonly counters = new Counters();
  readonly log: Logger;
  /** Shown by the broker; leads what is told of it. */
  readonly name: string | undefined;
  readonly reopen: Backoff;
  readonly drainTimeout: number;
  readonly #supervisor: Supervisor<Link>;
  readonly #blocked = new StateSubject<string | undefined>(undefined);
  readonly #members = new Set<Member>();
  readonly #joined = new Subject<Member>();
  readonly #known = new Map<string, QueueSpec>();
  readonly #warned = new Set<string>();
  readonly #watches: Subscription;
  readonly #dialOnce: (name: string) => Observable<Link>;
  #toldCause: string | undefined;
  #channelsLimited = false;
  #lostAt = 0;
  #closed: Promise<CloseReport> | undefined;

  constructor(options: CoreOptions) {
    const { reconnect, authErrors } = options;
    this.log = options.log;
    this.name = options.name;
    this.reopen = options.reopen;
    this.drainTimeout = options.drainTimeout;
    this.#dialOnce = (name) => round({ ...options, name });
    this.#supervisor = new Supervisor(() => round(options), {
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
  get blocked(): string | undefined {
    return this.#blocked.value;
  }

  /** Did the broker close this connection over its number of channels? Then one more is not opened for comfort. */
  get channelsLimited(): boolean {
    return this.#channelsLimited;
  }

  /** Starts dialling, unless that has happened. */
  open(): void {
    this.#supervisor.start();
  }

  /** Resolves when connected. Rejects: ConnectionError (a refusal that cannot mend itself, spent attempts, closed). */
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

  /** Why nothing more can be asked of this connection. */
  closedError(): ConnectionError {
    const { state } = this;
    const cause = state.status === 'closed' ? state.cause : undefined;
    if (cause instanceof ConnectionError) return cause;
    return new ConnectionError('CONNECTION_CLOSED', '', 'The connection is closed. Open a new one to go on.', {
      cause,
    });
  }

  /** Queues by name that somebody on this connection has a spec for, behind those of `own`. */
  known(own: Topology | undefined): Topology {
    return this.#known.size === 0 ? (own ?? {}) : mergeTopologies(own, { queues: [...this.#known.values()] });
  }

  /** Remembers a spec, so that the name alone means it from now on. */
  learn(spec: QueueSpec): void {
    if (spec.name !== '') this.#known.set(spec.name, spec);
  }

  /** Logs a warning, unless one with this key was logged before on this connection. */
  warnOnce(key: string, facts: object, message: string): void {
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.log.warn(facts, message);
  }

  /** The other connection of the same broker came up: no use in waiting any longer. */
  skipWait(): void {
    this.#supervisor.skipWait();
  }

  reconnect(): void {
    const link = this.up?.link;
    const cause = new ConnectionError('CONNECTION_LOST', link?.endpoint ?? '', 'Dropped by reconnect().');
    // Whoever asks the link why it is gone hears the same as those who ask the state.
    link?.lose(cause);
    this.#supervisor.drop(cause);
  }

  /**
   * Runs `work` on a short-lived connection of its own: for what could cost everyone else on this one their channels.
   * Rejects: ConnectionError, when there is none to be had; as `work` does.
   */
  rehearse(work: (link: Link) => Promise<void>): Promise<void> {
    const name = `${this.name ?? 'instance-queue'} (setup check)`;
    return firstValueFrom(
      this.#dialOnce(name).pipe(
        // Leaving the dial ends the connection.
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

  /** Ends its members, then the link, then itself. Idempotent; always settles. */
  close(drainTimeout = this.drainTimeout): Promise<CloseReport> {
    return (this.#closed ??= this.#close(drainTimeout));
  }

  async #close(drainTimeout: number): Promise<CloseReport> {
    if (this.state.status === 'closed') return { unsettled: 0, unconfirmed: 0 };
    this.#supervisor.closing();
    const deadline = performance.now() + drainTimeout;
    const left = (): number => Math.max(0, deadline - performance.now());
    const ends = async (direction: Member['direction']): Promise<readonly CloseReport[]> =>
      Promise.all([...this.#members].filter((m) => m.direction === direction).map((m) => m.close(left())));
    const reports = [...(await ends('inbound')), ...(await ends('outbound'))];
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
    // Beside one another: the state ends before the link's stream does.
    const watches = new Subscription();
    watches.add(
      this.state$.pipe(startWith(undefined), pairwise()).subscribe(([before, state]) => {
        if (state) this.#tell(before, state);
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
            this.#blocked.next(reason);
          },
          complete: () => {
            this.#blocked.end(undefined);
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

  /** How long there was no connection, ms; nothing of the first one. */
  #outage(epoch: number): { readonly outage?: number } {
    return epoch > 1 ? { outage: Math.round(performance.now() - this.#lostAt) } : {};
  }

  #tell(before: ConnectionState | undefined, state: ConnectionState): void {
    const { log } = this;
    tellState({ of: 'connection', connection: this.name, state });
    switch (state.status) {
      case 'connecting':
        log[state.attempt === 1 ? 'info' : 'debug']({ attempt: state.attempt }, 'connecting');
        break;
      case 'connected':
        this.#toldCause = undefined;
        if (state.epoch > 1) this.counters.reconnects++;
        log.info({ epoch: state.epoch, endpoint: state.endpoint, ...this.#outage(state.epoch) }, 'connected');
        break;
      case 'reconnecting': {
        if (isChannelLimit(state.cause)) this.#channelsLimited = true;
        const facts = { attempt: state.attempt, delay: state.delay, err: state.cause };
        // A night without a broker is one line per cause, and not one per attempt.
        const again = this.#toldCause === state.cause.message;
        this.#toldCause = state.cause.message;
        if (before?.status === 'connected') {
          this.#lostAt = performance.now();
          log.warn(facts, 'connection lost');
        } else log[again ? 'debug' : 'warn'](facts, 'cannot connect');
        break;
      }
      case 'closing':
        log.info('closing');
        break;
      case 'closed':
        if (state.cause) log.error({ err: state.cause }, 'connection given up');
        else log.info('closed');
        break;
      case 'disconnected':
        break;
    }
  }
}

/** All endpoints once, in random order; ends with the most telling of their errors. */
function round(options: CoreOptions): Observable<Link> {
  return defer(() => from(options.endpoints())).pipe(
    timeout({ first: options.connectTimeout, with: () => throwError(() => noEndpoints(options.connectTimeout)) }),
    switchMap((endpoints) =>
      happyEyeballs(
        shuffled(endpoints),
        (endpoint) => options.transport.dial(endpoint, options),
        (errors) => {
          const told = errors.map((error) => connectFailed('', error));
          return told.find((error) => !error.retryable) ?? told.at(-1);
        },
      ),
    ),
  );
}

function noEndpoints(within: number): ConnectionError {
  const message = `Cannot connect to RabbitMQ: the \`url\` function gave no endpoint within ${String(within)} ms (\`connectTimeout\`).`;
  return new ConnectionError('CONNECT_FAILED', '', message);
}
