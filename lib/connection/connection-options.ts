import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { type LoggerOption, logger } from '../log';
import {
  type DEFAULTS,
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
import { type EndpointSource } from '../transport/endpoints';
import { tlsOptions } from '../transport/tls-options';
import type { Backoff, BackoffOptions } from './backoff';
import { type Credentials } from './credentials';
import type { CloseOptions } from './member';

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
  /**
   * Node's TLS options for `amqps` URLs: `ca`, `cert` and `key` (the content of PEM files, not their names), `servername`, … Without
   * such a URL they have no effect, which is logged.
   */
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
  tls: tlsOptions,
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

/** The options of reconnecting or reopening, with defaults filled in. */
export function backoff(
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
