import type { ConnectionOptions as TlsOptions } from 'node:tls';
import {
  NEVER,
  type Observable,
  distinctUntilChanged,
  filter,
  map,
  skip,
  switchMap,
  take,
  takeUntil,
  timer,
} from 'rxjs';
import { amqpTransport } from '../amqp/amqp-transport';
import { type LoggerOption, logger, loggerFrom } from '../log';
import {
  DEFAULTS,
  type Shape,
  boolean,
  checkOptions,
  countFrom,
  duration,
  either,
  func,
  heartbeat,
  list,
  number,
  object,
  oneOf,
  shortString,
  string,
  withDefaults,
} from '../options';
import type { EventsOf } from '../reactive/state-subject';
import { TypedEmitter } from '../reactive/typed-emitter';
import { type EndpointSource, endpointSource } from '../transport/endpoints';
import type { Transport } from '../transport/transport';
import type { Backoff, BackoffOptions } from './backoff';
import { ConnectionCore } from './connection-core';
import type { ConnectionState } from './connection-state';
import { CredentialSource, type Credentials } from './credentials';
import type { CloseOptions, CloseReport } from './member';

/** One event per status, with the state as payload, and one for back-pressure by the broker. There is no 'error' event. */
export type ConnectionEvents = EventsOf<ConnectionState> & { blocked: [reason: string]; unblocked: [] };

/** How to reach the broker, and how to retry. */
export interface ConnectionOptions {
  /**
   * `amqp://user:password@host:port/vhost`, `amqps://…` for TLS; several for the nodes of one cluster, tried in random
   * order; or a function, asked at every attempt: discovery. For credentials that change, see `credentials`.
   * Parameters understood, over the options of the same meaning: `heartbeat`, `frameMax`, `channelMax`, `connectTimeout`,
   * `locale`, and those of RabbitMQ (https://www.rabbitmq.com/docs/uri-query-parameters): `frame_max`, `channel_max`,
   * `connection_timeout`, `auth_mechanism` (plain or external), and for amqps `cacertfile`, `certfile`, `keyfile`,
   * `password`, `verify`, `server_name_indication`. Files are read together with the URL.
   */
  readonly url: EndpointSource;
  /**
   * Gives user and password, over those of the URL; the password may be a token. Called at each attempt to connect, which fails with
   * CREDENTIALS_FAILED if it throws, rejects, gives something else or nothing within `connectTimeout`. Connections that are given
   * the same function, as both of an `InstanceQueue` are, share its calls: one is under way at a time.
   *
   * With `expiresAt` it is called again after two thirds of the time until then, and the broker gets what it gives by
   * `connection.update-secret`: the connection stays, traffic goes on. While it fails it is called again and again, with the delays
   * of `reconnect`; meanwhile the state has `expiring`, and health is `degraded`. Credentials that expire all the same end the
   * connection, a little before the broker would refuse everything; so do those of another user, and those that the broker refuses.
   * Then it is dialled again, and waits as in any outage. Credentials that expired before they were given are refused.
   * @default none: user and password of the URL
   */
  readonly credentials?: () => Credentials | Promise<Credentials>;
  /** Shown by the broker as the connection's name. @default none */
  readonly name?: string;
  /** SECONDS between heartbeats, 600 at most; 0 switches them off. A dead peer is noticed after two to three of them. @default 10 */
  readonly heartbeat?: number;
  /** ms for TCP, TLS and handshake together, per attempt. @default 10 000 */
  readonly connectTimeout?: number;
  /** How to try again after a connection failed or was lost. */
  readonly reconnect?: BackoffOptions;
  /** How to try again after a channel was closed while its connection lives. */
  readonly reopen?: BackoffOptions;
  /**
   * A refused login (403) or virtual host (530) on the first connect: `'terminal'` closes the connection, `'retry'` tries
   * again. Later refusals are always retried, slowly. @default 'terminal'
   */
  readonly authErrors?: 'terminal' | 'retry';
  /** Node's TLS options for `amqps` URLs: `ca`, `cert`, `key`, `servername`, … */
  readonly tls?: TlsOptions;
  /** ms that closing waits for handlers and confirms; 0 does not wait. @default 30 000 */
  readonly drainTimeout?: number;
  /**
   * Allows the library to work below amqplib's documented surface: to encode publishes and decode deliveries itself (publishing
   * takes about half the CPU time), to read the negotiated frame size, to guard against hostile frames. Checked on each
   * connection; where amqplib differs from what is known, or is instrumented, its own code is used. `false`: never.
   * @default true
   */
  readonly wire?: boolean;
  /**
   * Where the log goes: a level, for JSON lines on standard output; a pino or bunyan logger, called (fields, message), which
   * has `child` and no `log`; any other with `debug`, `info` (or `log`), `warn` and `error`, called (message, fields), such as
   * `console`, winston, Nest's `Logger`; or a function of `LogEntry`. A logger of yours filters by level itself. A logger that
   * throws is ignored. Without one, a connection that does not come up within 5 s is reported once per process by
   * `process.emitWarning` (code INSTANCE_QUEUE_NOT_CONNECTED); 'silent' says nothing at all.
   * @default silent
   */
  readonly logger?: LoggerOption;
}

const BACKOFF: Shape<BackoffOptions> = {
  min: duration(),
  max: duration(),
  factor: number(1, 100),
  jitter: number(0, 1),
  attempts: countFrom(0),
  initialAttempts: countFrom(1),
  stableAfter: duration(),
};

/** The checks of the options of every connection; `InstanceQueue` adds its own. */
export const CONNECTION: Shape<ConnectionOptions> = {
  url: either(string, list, func),
  credentials: func,
  name: shortString(),
  heartbeat,
  connectTimeout: duration(1),
  reconnect: object,
  reopen: object,
  authErrors: oneOf('terminal', 'retry'),
  tls: object,
  drainTimeout: duration(),
  wire: boolean,
  logger,
};
const CLOSE: Shape<CloseOptions> = { drainTimeout: duration() };

/** Refuses wrong options of `close`, and fills in the default. */
export function drainTimeoutOf(options: CloseOptions | undefined, fallback: number): number {
  if (options === undefined) return fallback;
  checkOptions(options, CLOSE, { of: 'close()' });
  return options.drainTimeout ?? fallback;
}

function backoff(
  given: BackoffOptions | undefined,
  defaults: (typeof DEFAULTS)['reconnect' | 'reopen'],
  path: string,
): Backoff {
  if (given) checkOptions(given, BACKOFF, { of: `\`${path}\``, path: `${path}.` });
  const merged = withDefaults(defaults, given);
  return {
    ...merged,
    max: Math.max(merged.min, merged.max),
    initialAttempts: given?.initialAttempts ?? Math.max(1, merged.attempts),
  };
}

/**
 * A connection that recovers: opened on first use or by `connect()`, dialled again whenever it is lost, until `close()`.
 * Producing and consuming should not share one, because a broker that blocks a publishing connection stops reading its acks
 * too; `InstanceQueue` holds two of them.
 *
 * @example
 * const connection = new Connection('amqp://localhost');
 * connection.state$.subscribe(({ status }) => console.log(status));
 * await connection.connect();
 */
export class Connection extends TypedEmitter<ConnectionEvents> implements AsyncDisposable {
  /** @internal */
  readonly core: ConnectionCore;

  /** @throws OptionsError if the URL or an option cannot be right. */
  constructor(target: string | ConnectionOptions);
  /** @internal */
  constructor(target: string | ConnectionOptions, transport: Transport | undefined);
  constructor(target: string | ConnectionOptions, transport: Transport = amqpTransport) {
    super();
    const options: ConnectionOptions = typeof target === 'string' ? { url: target } : target;
    checkOptions(options, CONNECTION, { of: 'a connection', required: ['url'] });
    this.core = new ConnectionCore({
      transport,
      endpoints: endpointSource(options.url, options.credentials !== undefined),
      credentials: options.credentials && CredentialSource.of(options.credentials),
      name: options.name,
      heartbeat: options.heartbeat ?? DEFAULTS.heartbeat,
      connectTimeout: options.connectTimeout ?? DEFAULTS.connectTimeout,
      tls: options.tls,
      wire: options.wire ?? DEFAULTS.wire,
      reconnect: backoff(options.reconnect, DEFAULTS.reconnect, 'reconnect'),
      reopen: backoff(options.reopen, DEFAULTS.reopen, 'reopen'),
      authErrors: options.authErrors ?? DEFAULTS.authErrors,
      drainTimeout: options.drainTimeout ?? DEFAULTS.drainTimeout,
      log: loggerFrom(options.logger, options.name === undefined ? {} : { connection: options.name }),
    });
    if (options.logger === undefined) warnWithoutConnection(this.state$);
    this.state$.pipe(skip(1), distinctUntilChanged(sameConnection)).subscribe((state) => {
      emitState(this, state);
    });
    let blocked = false;
    this.blocked$.subscribe((reason) => {
      if (reason !== undefined) this.emit('blocked', reason);
      else if (blocked) this.emit('unblocked');
      blocked = reason !== undefined;
    });
  }

  /** Hot. Emits: the present state, then each new one. Completes: after `closed`. Errors: never. */
  get state$(): Observable<ConnectionState> {
    return this.core.state$;
  }
  /** The present state. */
  get state(): ConnectionState {
    return this.core.state;
  }
  /** Hot. Emits: the broker's reason while it blocks publishing, else undefined. Completes: when closed. Errors: never. */
  get blocked$(): Observable<string | undefined> {
    return this.core.blocked$;
  }

  /**
   * Resolves when connected; idempotent. Rejects: ConnectionError, when the broker refused the first connect for good
   * (see `authErrors`), no attempts are left, or the connection is closed.
   */
  connect(): Promise<void> {
    return this.core.connect();
  }

  /** Drops the link and dials again without delay. Unsettled deliveries are lost, and the broker delivers them again. */
  reconnect(): void {
    this.core.reconnect();
  }

  /**
   * Ends consumers (cancel, drain), then producers (flush), then the connection. Idempotent. Always resolves, within
   * `drainTimeout` and the time of a handshake; the report says what was unfinished at the deadline.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    return this.core.close(drainTimeoutOf(options, this.core.drainTimeout));
  }

  /** `await using`: closes at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A connection that is up may have another state because of its credentials: no event, since it did not connect again. */
const sameConnection = (a: ConnectionState, b: ConnectionState): boolean =>
  a.status === 'connected' && b.status === 'connected' && a.epoch === b.epoch;

/** Emits a state as the event of its status. One call per status, for the types. */
function emitState(emitter: TypedEmitter<ConnectionEvents>, state: ConnectionState): void {
  switch (state.status) {
    case 'disconnected':
      emitter.emit('disconnected', state);
      break;
    case 'connecting':
      emitter.emit('connecting', state);
      break;
    case 'connected':
      emitter.emit('connected', state);
      break;
    case 'reconnecting':
      emitter.emit('reconnecting', state);
      break;
    case 'closing':
      emitter.emit('closing', state);
      break;
    case 'closed':
      emitter.emit('closed', state);
      break;
  }
}

/** ms without a connection after which a warning is emitted. */
const PATIENCE = 5000;
/** Stable, for `process.on('warning')` and `node --disable-warning`. */
const CODE = 'INSTANCE_QUEUE_NOT_CONNECTED';

/** One warning per process: both connections of an InstanceQueue would report the same. */
let warned = false;

/**
 * Emits a process warning if a connection does not come up within some seconds, for callers without a logger: a wrong URL would
 * otherwise go unnoticed. Ends with the first connection, or when it is closed.
 */
export function warnWithoutConnection(state$: Observable<ConnectionState>): void {
  let causes: readonly string[] = [];
  const settled$ = state$.pipe(
    filter(({ status }) => status === 'connected' || status === 'closing' || status === 'closed'),
  );
  state$
    .pipe(
      map((state) => {
        if (state.status === 'reconnecting') causes = [state.cause.message];
        return state.status !== 'disconnected';
      }),
      distinctUntilChanged(),
      switchMap((trying) => (trying ? timer(PATIENCE) : NEVER)),
      take(1),
      takeUntil(settled$),
    )
    .subscribe(() => {
      if (warned) return;
      warned = true;
      process.emitWarning([`No connection to RabbitMQ within ${String(PATIENCE / 1000)} s.`, ...causes].join(' '), {
        type: 'InstanceQueueWarning',
        code: CODE,
        detail: "Give a `logger` to see what happens, or `logger: 'silent'` to get no such warning.",
      });
    });
}
