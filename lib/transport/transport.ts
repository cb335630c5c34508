/**
 * The port between the library and whatever carries AMQP: connections over a socket (`lib/amqp`), a broker in memory
 * (`lib/testing`). It holds plain data, promises for what happens once and Observables for what happens often; errors
 * come classified. Nothing above it knows the implementation, and nothing below it knows consumers or producers.
 */
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { Observable } from 'rxjs';
import type { ChannelError, ConnectionError } from '../errors';
import type { Arguments, MessageProperties } from '../properties';
import type { BindingSpec, QueueSpec, Topology } from '../topology';
import type { BrokerIdentity } from './broker-version';
import type { Endpoint } from './endpoints';

export interface DialOptions {
  /** Shown as the connection's name by the broker. */
  readonly name?: string | undefined;
  /** Seconds, proposed to the broker unless the endpoint names its own; 0 switches heartbeats off. */
  readonly heartbeat: number;
  /** ms for TCP, TLS and AMQP handshake together. */
  readonly connectTimeout: number;
  readonly tls?: TlsOptions | undefined;
  /** May the implementation reach below the documented surface of its AMQP library for speed? */
  readonly wire: boolean;
}

/** Makes connections. */
export interface Transport {
  /**
   * One connection to one endpoint. Cold. Emits: the link, once it is open. Errors: ConnectionError, CONNECT_FAILED before
   * the link, CONNECTION_LOST after it. Completes: never. Unsubscribe: destroys the connection in whatever phase it is.
   */
  dial(endpoint: Endpoint, options: DialOptions): Observable<Link>;
  /** Hot. Emits: when a broker that refused connections accepts them again. Never emits where that cannot be known. */
  readonly back$: Observable<void>;
}

/** Is a queue there? `hidden`: this user may not ask. */
export type QueuePresence = 'there' | 'missing' | 'hidden';

/** What a queue holds and who consumes from it, at one moment. */
export interface QueueDepth {
  /** Ready, and not out to a consumer. */
  readonly messages: number;
  readonly consumers: number;
}

/** https://www.rabbitmq.com/amqp-0-9-1-reference#queue.delete */
export interface DeleteConditions {
  readonly ifUnused?: boolean | undefined;
  readonly ifEmpty?: boolean | undefined;
}

/** One open connection, from the end of its handshake to its loss. */
export interface Link {
  /** `host:port/vhost` */
  readonly endpoint: string;
  /** Largest frame, bytes, as negotiated; a properties frame is never split. */
  readonly frameMax: number;
  /** Seconds between heartbeats, as negotiated; 0: none. */
  readonly heartbeat: number;
  /** What the broker says of itself; undefined: nothing. */
  readonly broker?: BrokerIdentity | undefined;
  /** The delivery limit that the broker gives quorum queues that do not set their own. Undefined: none, or unknown. */
  readonly quorumDeliveryLimit?: number | undefined;
  /** Hot. Emits: the broker's reason while it blocks publishing, else undefined; the present value first. Completes: when lost. */
  readonly blocked$: Observable<string | undefined>;
  /** Why the connection is gone; undefined while it is up. */
  readonly lost: ConnectionError | undefined;
  /** Marks the link as lost; the first cause wins. */
  lose(cause: ConnectionError): void;

  /**
   * Opens a channel for one consumer. Cold. Emits: the channel, once. Errors: ChannelError, when it cannot be opened or when
   * the broker ends it. Completes: after our own `close`. Unsubscribe: closes a channel that is still opening, and leaves
   * an emitted one open, since its user may have something to finish.
   */
  openInbound(): Observable<InboundChannel>;
  /** Opens a channel with publisher confirms. As `openInbound`. */
  openOutbound(): Observable<OutboundChannel>;
  /** Looks for a queue, on a channel of its own. Rejects: ChannelError, when that cannot be found out. */
  check(queue: string): Promise<QueuePresence>;
  /**
   * Declares exchanges, queues (`own` last), then bindings, on a channel of its own. Resolves with the name of `own`, which
   * the broker may have chosen. Rejects: ChannelError with the broker's words.
   */
  declare(topology: Topology, own?: QueueSpec): Promise<string | undefined>;
  /** How full a queue is. Undefined: there is none of that name. On a channel of its own; rejects: ChannelError. */
  inspect(queue: string): Promise<QueueDepth | undefined>;
  /** Drops the ready messages of a queue; resolves with how many. On a channel of its own; rejects: ChannelError. */
  purge(queue: string): Promise<number>;
  /** Deletes a queue; resolves with how many messages it held. On a channel of its own; rejects: ChannelError. */
  deleteQueue(queue: string, conditions: DeleteConditions): Promise<number>;
  /** Deletes an exchange. On a channel of its own; rejects: ChannelError. */
  deleteExchange(exchange: string, conditions: Pick<DeleteConditions, 'ifUnused'>): Promise<void>;
  /** Removes a binding. On a channel of its own; rejects: ChannelError. */
  unbind(binding: BindingSpec): Promise<void>;
  /**
   * Gives the broker another password or token, for this connection and the channels on it. Resolves when the broker took it. A broker
   * that refuses it closes the connection; one that blocks the connection does not answer before the block ends.
   * Rejects: ConnectionError, when the connection is or gets lost.
   * https://www.rabbitmq.com/amqp-0-9-1-reference#connection.update-secret
   */
  updateSecret(secret: string): Promise<void>;
  /** The closing handshake, for at most `within` ms, then the end of the connection. Never rejects. */
  close(within: number): Promise<void>;
}

/** What both kinds of channel have. */
export interface LinkChannel {
  /**
   * As `Link.check`, on this channel: any answer but `there` ends it.
   * https://www.rabbitmq.com/docs/channels#error-handling
   */
  check(queue: string): Promise<QueuePresence>;
  /** As `Link.declare`, on this channel: a refusal ends it. */
  declare(topology: Topology, own?: QueueSpec): Promise<string | undefined>;
  readonly ended: boolean;
  /** Hot. Emits: once, when the channel is gone: why, or undefined after our own `close`. Then completes. */
  readonly ended$: Observable<ChannelError | undefined>;
  /** Closes it. Resolves when it is closed, gone with its link, or after a few seconds. Never rejects. */
  close(): Promise<void>;
}

/** `basic.consume`, in full. https://www.rabbitmq.com/amqp-0-9-1-reference#basic.consume */
export interface ConsumeRequest {
  readonly queue: string;
  readonly tag: string;
  /** Unsettled deliveries at most, set before the consumer is registered. Without effect beside `noAck`. */
  readonly prefetch: number;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority?: number | undefined;
  readonly arguments: Arguments;
}

/** Called by the channel, in the order of arrival. */
export interface ConsumeListener {
  readonly message: (message: InboundMessage) => void;
  /** The broker cancelled the consumer. https://www.rabbitmq.com/docs/consumer-cancel */
  readonly cancelled: () => void;
}

/**
 * What becomes of a delivery. `requeue` and `release` put it back; the broker counts a requeue as a failed attempt, and a
 * release not (RabbitMQ ≥ 4.3). https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
 */
export type Settlement = 'ack' | 'requeue' | 'release' | 'reject';

/** The channel of one consumer. */
export interface InboundChannel extends LinkChannel {
  /**
   * Sets the prefetch and registers a consumer. Messages may reach the listener before this resolves: they can come in the
   * same read as the broker's answer. Rejects: ChannelError.
   */
  consume(request: ConsumeRequest, listener: ConsumeListener): Promise<void>;
  /** Takes one message without a consumer, to be settled on this channel. Undefined: the queue is empty. Rejects: ChannelError. */
  get(queue: string): Promise<InboundMessage | undefined>;
  /** Settles one delivery; with `multiple` an ack covers every unsettled tag up to it. `false`: the channel is closing. */
  settle(deliveryTag: number, how: Settlement, multiple?: boolean): boolean;
  /** Messages still come until this resolves. Resolves when the broker has answered, or the channel is gone. */
  cancel(tag: string): Promise<void>;
}

/** A message as it arrived. The rarely read parts are decoded when asked for. */
export interface InboundMessage {
  readonly content: Buffer;
  /** Counts on its channel from 1; meaningless on any other. */
  readonly deliveryTag: number;
  readonly redelivered: boolean;
  readonly exchange: string;
  readonly routingKey: string;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** Undefined: none. */
  readonly headers: Arguments | undefined;
  readonly properties: MessageProperties;
  /** Why its headers could not be read; such a message cannot be decoded. */
  readonly unreadable: Error | undefined;
}

/** A message ready for the wire. */
export interface WireMessage {
  readonly exchange: string;
  readonly routingKey: string;
  readonly mandatory: boolean;
  readonly persistent: boolean;
  readonly messageId: string;
  readonly contentType: string | undefined;
  /** Every other property but the expiration; undefined: none. */
  readonly properties: MessageProperties | undefined;
  readonly content: Buffer;
  /** Upper bound of the properties frame, bytes. */
  readonly propertiesFrame: number;
}

/** What the broker says about published messages, numbered from 1 per channel. */
export type Verdict =
  /** With `multiple` all up to `number`. https://www.rabbitmq.com/docs/confirms#publisher-confirms */
  | { readonly kind: 'ack' | 'nack'; readonly number: number; readonly multiple: boolean }
  /** Comes before the ack of the same message. */
  | {
      readonly kind: 'return';
      readonly messageId: string | undefined;
      readonly exchange: string;
      readonly routingKey: string;
      readonly replyCode: number;
      readonly replyText: string;
    };

/** A channel with publisher confirms. */
export interface OutboundChannel extends LinkChannel {
  /** `false` from a full socket until `drain$`. Publishing on is allowed; it fills memory. */
  readonly writable: boolean;
  /** Hot. Emits: when there is room again. Completes: when the channel is gone. */
  readonly drain$: Observable<void>;
  /** Hot. Emits: each verdict of the broker, in order. Completes: when the channel is gone. */
  readonly verdicts$: Observable<Verdict>;
  /**
   * Writes one message behind those before it; it takes the next number. `expiration`: ms left, in whole numbers.
   * `false`: the channel is closing, and nothing was written. Throws: why this message can never be written.
   */
  publish(message: WireMessage, expiration: number | undefined): boolean;
  /**
   * Receives direct replies to what this channel publishes. https://www.rabbitmq.com/docs/direct-reply-to
   * Rejects: ChannelError.
   */
  consumeReplies(onReply: (message: InboundMessage) => void): Promise<void>;
}
