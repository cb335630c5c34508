/**
 * Connections that recover. A `Connection` is what users hold of a `ConnectionCore`, with which consumers and producers register.
 *
 * The core's `Supervisor` dials (`dialRound`) until `close`, with a backoff between the attempts; each new link opens an epoch.
 * Consumers and producers open their channels on it, and open them again after a loss, by `Reopening`. This room imports transport/ and
 * the layers below; connection.ts alone imports amqp/, as the default transport.
 */
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
import { loggerFrom } from '../log';
import { DEFAULTS, checkOptions, expected } from '../options';
import type { EventsOf } from '../reactive/state-subject';
import { TypedEmitter } from '../reactive/typed-emitter';
import { endpointSource, isPlain } from '../transport/endpoints';
import type { Transport } from '../transport/transport';
import { ConnectionCore } from './connection-core';
import type { ConnectionState } from './connection-state';
import { CredentialSource } from './credentials';
import type { CloseOptions, CloseReport } from './member';
import { backoff, CONNECTION, drainTimeoutOf, type ConnectionOptions } from './connection-options';

/** One event per status, with the state as payload, and one for back-pressure by the broker. There is no 'error' event. */
export type ConnectionEvents = EventsOf<ConnectionState> & { blocked: [reason: string]; unblocked: [] };

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
    const log = loggerFrom(options.logger, options.name === undefined ? {} : { connection: options.name });
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
      log,
    });
    if (options.tls && isPlain(options.url))
      log.warn('`tls` has no effect on amqp:// URLs: nothing is encrypted; use amqps://');
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
   * `drainTimeout` and the time of a handshake; the report says what was unfinished at the deadline. A later call may shorten the
   * time that is left.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    return this.core.close(drainTimeoutOf(options, this.core.drainTimeout));
  }

  /** `await using`: closes at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The core of a `Connection`. @throws OptionsError if this is none: an `InstanceQueue`, or the connection of another library */
export function coreOf(connection: { readonly core: ConnectionCore }): ConnectionCore {
  const core: unknown = Reflect.get(Object(connection), 'core');
  if (typeof Reflect.get(Object(core), 'register') === 'function') return connection.core;
  throw expected('connection', 'a Connection of this library', connection);
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
