import { connect, credentials, type ChannelModel } from 'amqplib';
import { NEVER, Observable, timer, type Subscription } from 'rxjs';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { ConnectionError } from '../errors';
import { guardFrames } from './wire/frame-guard';
import { Receiver } from './wire/receiver';
import type { Endpoint } from '../transport/endpoints';
import { Gate } from './handshake-gate';
import { Gathering } from './cork';
import { Link } from './amqp-link';
import { connectFailed, connectionLost } from './amqp-errors';

export interface DialOptions {
  /** Shown as the connection's name by the broker. */
  readonly name?: string | undefined;
  /** Seconds. */
  readonly heartbeat: number;
  /** ms for TCP, TLS and AMQP handshake together. */
  readonly connectTimeout: number;
  readonly tls?: TlsOptions | undefined;
  /** May amqplib's undocumented members be used? */
  readonly wire: boolean;
}

/** A way to brokers. */
export interface Dialer {
  /** One connection to one endpoint, as `dial`. */
  readonly dial: (endpoint: Endpoint, options: DialOptions) => Observable<Link>;
  /** Hot. Emits: when a broker that refused takes connections again, and nobody need wait any longer. */
  readonly back$: Observable<void>;
}

/** Until the runtime shows that its sockets cannot be: then what comes together with open-ok is at amqplib's mercy. */
let gated = true;

/**
 * One connection to one endpoint. Cold. Emits: the link, once it is open. Errors: ConnectionError, CONNECT_FAILED before
 * the link, CONNECTION_LOST after it. Completes: never. Unsubscribe: destroys the socket, whatever phase it is in.
 */
function dial(endpoint: Endpoint, { name, heartbeat, connectTimeout, tls, wire }: DialOptions): Observable<Link> {
  return new Observable((subscriber) => {
    // The only handle on the socket that amqplib lets us have: it destroys it in every phase, and with an Error, which
    // amqplib notices (it misses a plain destroy(), and keeps its heartbeat timers).
    const socket = new AbortController();
    const { label } = endpoint;
    let link: Link | undefined;

    const fail = (error: ConnectionError): void => {
      link?.lose(error);
      subscriber.error(error);
    };
    const deadline: Subscription = timer(connectTimeout).subscribe(() => {
      const message = `Cannot connect to ${label}: no open connection within ${String(connectTimeout)} ms (\`connectTimeout\`).`;
      fail(new ConnectionError('CONNECT_FAILED', label, message));
    });
    const gate = gated
      ? new Gate(() => {
          gated = false;
          socket.abort(new Error('this runtime does not tell which socket was read.'));
        })
      : undefined;
    let told = false;
    let telling: NodeJS.Immediate | undefined;
    const opened = (model: ChannelModel): void => {
      // First of all: an amqplib emitter whose 'error' nobody hears throws.
      const gone = (error: unknown): void => {
        if (!link?.closing) fail(told ? connectionLost(label, error) : connectFailed(label, error));
      };
      model.on('error', gone);
      model.on('close', gone);
      deadline.unsubscribe();
      if (subscriber.closed) {
        socket.abort();
        return;
      }
      if (wire) guardFrames(model);
      // In front of the guard: what it takes cannot nest deep.
      const receiver = wire ? Receiver.on(model) : undefined;
      const gathering = gate?.socket && new Gathering(gate.socket);
      const destroy = (): void => {
        socket.abort();
      };
      const born = new Link(model, label, destroy, { frameMax: endpoint.frameMax, wire, receiver, gathering });
      link = born;
      const tell = (): void => {
        told = true;
        subscriber.next(born);
      };
      // What came together with open-ok counts first: one closed by then was never up.
      if (gate?.open()) telling = setImmediate(tell);
      else tell();
    };

    connect(target(endpoint, heartbeat), {
      ...tls,
      ...(gate && { onread: gate.onread }),
      signal: socket.signal,
      noDelay: true,
      keepAlive: true,
      ...(endpoint.external && { credentials: credentials.external() }),
      ...(name !== undefined && { clientProperties: { connection_name: name } }),
    } as Parameters<typeof connect>[1]).then(opened, (error: unknown) => {
      fail(connectFailed(label, error));
    });

    return () => {
      deadline.unsubscribe();
      clearImmediate(telling);
      link?.lose(new ConnectionError('CONNECTION_CLOSED', label, `The connection to ${label} was closed.`));
      // Not in the same turn: amqplib may be in the middle of answering the broker's close.
      setImmediate(() => {
        socket.abort();
      });
    };
  });
}

/** Over TCP or TLS, by amqplib. */
export const amqp: Dialer = { dial, back$: NEVER };

function target(endpoint: Endpoint, heartbeat: number): Parameters<typeof connect>[0] {
  const { protocol, hostname, port, username, password, vhost, frameMax, channelMax, locale } = endpoint;
  return {
    protocol,
    hostname,
    port,
    username,
    password,
    // amqplib decodes the vhost once more, as if it came from a URL.
    vhost: encodeURIComponent(vhost),
    heartbeat: endpoint.heartbeat ?? heartbeat,
    // amqplib reads these with parseInt, and takes undefined for its own defaults.
    ...(frameMax !== undefined && { frameMax }),
    ...(channelMax !== undefined && { channelMax }),
    ...(locale !== undefined && { locale }),
  };
}
