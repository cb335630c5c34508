import { connect, credentials, type ChannelModel } from 'amqplib';
import { Observable, timer, type Subscription } from 'rxjs';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { ConnectionError } from '../errors';
import type { Endpoint } from './endpoints';
import { Link } from './link';
import { connectFailed, connectionLost } from './refusal';

export interface DialOptions {
  /** Shown as the connection's name by the broker. */
  readonly name?: string | undefined;
  /** Seconds. */
  readonly heartbeat: number;
  /** ms for TCP, TLS and AMQP handshake together. */
  readonly connectTimeout: number;
  readonly tls?: TlsOptions | undefined;
  /** May amqplib's undocumented members be read? */
  readonly wire: boolean;
}

/**
 * One connection to one endpoint. Cold. Emits: the link, once it is open. Errors: ConnectionError, CONNECT_FAILED before
 * the link, CONNECTION_LOST after it. Completes: never. Unsubscribe: destroys the socket, whatever phase it is in.
 */
export function dial(
  endpoint: Endpoint,
  { name, heartbeat, connectTimeout, tls, wire }: DialOptions,
): Observable<Link> {
  return new Observable((subscriber) => {
    // The only handle on the socket that amqplib lets us have: it destroys it in every phase, and with an Error, which
    // amqplib notices (it misses a plain destroy(), and keeps its heartbeat timers).
    const socket = new AbortController();
    let link: Link | undefined;

    const fail = (error: ConnectionError): void => {
      link?.lose(error);
      subscriber.error(error);
    };
    const deadline: Subscription = timer(connectTimeout).subscribe(() => {
      const message = `Cannot connect to ${endpoint.label}: no open connection within ${String(connectTimeout)} ms (\`connectTimeout\`).`;
      fail(new ConnectionError('CONNECT_FAILED', endpoint.label, message));
    });
    const opened = (model: ChannelModel): void => {
      // First of all: an amqplib emitter whose 'error' nobody hears throws.
      const { label } = endpoint;
      const gone = (error: unknown): void => {
        if (!link?.closing) fail(connectionLost(label, error));
      };
      model.on('error', gone);
      model.on('close', gone);
      deadline.unsubscribe();
      if (subscriber.closed) {
        socket.abort();
        return;
      }
      if (wire && stillborn(model)) {
        fail(connectFailed(label, new Error('the broker closed the connection as soon as it was open.')));
        return;
      }
      link = new Link(model, label, wire, () => {
        socket.abort();
      });
      subscriber.next(link);
    };

    connect(target(endpoint, heartbeat), {
      ...tls,
      signal: socket.signal,
      noDelay: true,
      keepAlive: true,
      ...(endpoint.external && { credentials: credentials.external() }),
      ...(name !== undefined && { clientProperties: { connection_name: name } }),
    } as Parameters<typeof connect>[1]).then(opened, (error: unknown) => {
      fail(connectFailed(endpoint.label, error));
    });

    return () => {
      deadline.unsubscribe();
      link?.lose(
        new ConnectionError('CONNECTION_CLOSED', endpoint.label, `The connection to ${endpoint.label} was closed.`),
      );
      // Not in the same turn: amqplib may be in the middle of answering the broker's close.
      setImmediate(() => {
        socket.abort();
      });
    };
  });
}

/**
 * Was it closed before anybody could listen? amqplib reads on behind open-ok before it hands the connection out: of a
 * close in the same read (a broker that is shutting down) no event would ever tell.
 */
function stillborn({ connection }: ChannelModel): boolean {
  const stream: unknown = Reflect.get(connection, 'stream');
  return typeof stream === 'object' && stream !== null && Reflect.get(stream, 'writableEnded') === true;
}

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
