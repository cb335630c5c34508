/**
 * AMQP 0-9-1 over sockets, on amqplib: an implementation of the port in transport/.
 *
 * `amqpTransport` dials; socket.ts holds what stands between a socket and amqplib. An `AmqpLink` is one connection, an `AmqpChannel`
 * one channel: inbound for a consumer, outbound for a producer. wire/ reads deliveries and confirms (`Receiver`) and writes messages
 * (`Publisher`) faster than amqplib does, on its live connection; everything runs without it, too. This room imports transport/ and
 * the layers below. No other room imports amqplib, and of the rooms above only connection/ imports this one.
 */
import { type ChannelModel, connect, credentials } from 'amqplib';
import { NEVER, Observable, type Subscription, timer } from 'rxjs';
import { ConnectionError } from '../errors';
import type { Endpoint } from '../transport/endpoints';
import type { DialOptions, Link, Transport } from '../transport/transport';
import { connectFailed, connectionLost } from './amqp-errors';
import { AmqpLink } from './amqp-link';
import { Cork, HandshakeGate } from './socket';
import { guardFrames } from './wire/frame-guard';
import { Receiver } from './wire/receiver';

/** `false` once the runtime has shown that its sockets cannot be gated: then what comes with open-ok is amqplib's to handle. */
let gated = true;

function dial(endpoint: Endpoint, options: DialOptions): Observable<Link> {
  const { name, heartbeat, wire } = options;
  const { connectTimeout = options.connectTimeout } = endpoint;
  return new Observable((subscriber) => {
    // The only handle on the socket that amqplib offers. It destroys the socket in every phase, and with an Error, which
    // amqplib notices: after a plain destroy() it keeps its heartbeat timers.
    const socket = new AbortController();
    const { label } = endpoint;
    let link: AmqpLink | undefined;

    const fail = (error: ConnectionError): void => {
      link?.lose(error);
      subscriber.error(error);
    };
    const deadline: Subscription = timer(connectTimeout).subscribe(() => {
      const message = `Cannot connect to ${label}: no open connection within ${String(connectTimeout)} ms (\`connectTimeout\`).`;
      fail(new ConnectionError('CONNECT_FAILED', label, message));
    });
    const gate = gated
      ? new HandshakeGate(() => {
          gated = false;
          socket.abort(new Error('this runtime does not tell which socket was read.'));
        })
      : undefined;
    let emitted = false;
    let emitting: NodeJS.Immediate | undefined;
    const onOpen = (model: ChannelModel): void => {
      // First of all: an amqplib emitter throws an 'error' that has no listener.
      const gone = (error: unknown): void => {
        if (!link?.closing) fail(emitted ? connectionLost(label, error) : connectFailed(label, error));
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
      const opened = new AmqpLink(model, label, {
        frameMax: endpoint.frameMax,
        heartbeat: endpoint.heartbeat ?? heartbeat,
        wire,
        receiver,
        cork: gate?.socket && new Cork(gate.socket),
        destroy: () => {
          socket.abort();
        },
      });
      link = opened;
      const emit = (): void => {
        emitted = true;
        subscriber.next(opened);
      };
      // What came together with open-ok counts first: a connection closed by then was never up.
      if (gate?.open(receiver)) emitting = setImmediate(emit);
      else emit();
    };

    connect(target(endpoint, heartbeat), {
      ...options.tls,
      ...endpoint.tls,
      ...(gate && { onread: gate.onread }),
      signal: socket.signal,
      noDelay: true,
      keepAlive: true,
      ...(endpoint.external && { credentials: credentials.external() }),
      ...(name !== undefined && { clientProperties: { connection_name: name } }),
    } as Parameters<typeof connect>[1]).then(onOpen, (error: unknown) => {
      fail(connectFailed(label, error, gate));
    });

    return () => {
      deadline.unsubscribe();
      clearImmediate(emitting);
      link?.lose(new ConnectionError('CONNECTION_CLOSED', label, `The connection to ${label} was closed.`));
      // Not in the same turn: amqplib may be in the middle of answering the broker's close.
      setImmediate(() => {
        socket.abort();
      });
    };
  });
}

/** AMQP 0-9-1 over TCP or TLS, on amqplib. */
export const amqpTransport: Transport = { dial, back$: NEVER };

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
