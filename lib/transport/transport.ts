/**
 * The port between the library and an implementation of AMQP: connections over a socket (`lib/amqp`), or a broker in memory
 * (`lib/testing`). It consists of plain data, promises for single results and Observables for many. Errors are already classified.
 * Nothing above it knows the implementation, and nothing below it knows consumers or producers.
 */
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { Observable } from 'rxjs';
import type { ChannelError, ConnectionError } from '../errors';
import type { Arguments, MessageProperties } from '../properties';
import type { BindingSpec, QueueSpec, Topology } from '../topology';
import type { BrokerIdentity } from './broker-version';
import type { Endpoint } from './endpoints';

export interface DialOptions {
  /** The name of the connection that the broker shows. */
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

/** Does a queue exist? `hidden`: the user has no permission to check. */
export type QueuePresence = 'there' | 'missing' | 'hidden';

/** The number of messages and consumers of a queue at one moment. */
export interface QueueDepth {
  /** Messages that are ready, without unsettled deliveries. */
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
  /** The cause of the loss; undefined while the link is up. */
  readonly lost: ConnectionError | undefined;
  /** Marks the link as lost; the first cause wins. */
  lose(cause: ConnectionError): void;

  /**
   * Opens a channel for one consumer. Cold. Emits: the channel, once. Errors: ChannelError, when it cannot be opened or when
   * the broker ends it. Completes: after our own `close`. Unsubscribe: closes a channel that is still opening, but not
   * an emitted one, since its user may have work to finish.
   */
  openInbound(): Observable<InboundChannel>;
  /** Opens a channel with publisher confirms. As `openInbound`. */
  openOutbound(): Observable<OutboundChannel>;
  /** Checks whether a queue exists, on a channel of its own. Rejects: ChannelError, if that cannot be determined. */
  check(queue: string): Promise<QueuePresence>;
  /**
   * Declares exchanges, queues (`own` last), then bindings, on a channel of its own. Resolves with the name of `own`, which
   * the broker may have chosen. Rejects: ChannelError with the broker's reply text.
   */
  declare(topology: Topology, own?: QueueSpec): Promise<string | undefined>;
  /** The depth of a queue. Undefined: there is none of that name. On a channel of its own; rejects: ChannelError. */
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

/** The members of both kinds of channel. */
export interface LinkChannel {
  /**
   * As `Link.check`, on this channel: any answer but `there` ends it.
   * https://www.rabbitmq.com/docs/channels#error-handling
   */
  check(queue: string): Promise<QueuePresence>;
  /** As `Link.inspect`, on this channel: a missing queue ends it, and so does a refusal. */
  inspect(queue: string): Promise<QueueDepth | undefined>;
  /** As `Link.declare`, on this channel: a refusal ends it. */
  declare(topology: Topology, own?: QueueSpec): Promise<string | undefined>;
  readonly ended: boolean;
  /** Hot. Emits: once, when the channel has ended: the cause, or undefined after our own `close`. Then completes. */
  readonly ended$: Observable<ChannelError | undefined>;
  /** Closes the channel. Resolves when it is closed, lost with its link, or after a few seconds. Never rejects. */
  close(): Promise<void>;
}

/** `basic.consume`, in full. https://www.rabbitmq.com/amqp-0-9-1-reference#basic.consume */
export interface ConsumeRequest {
  readonly queue: string;
  readonly tag: string;
  /** The largest number of unsettled deliveries, set before the consumer is registered. Has no effect with `noAck`. */
  readonly prefetch: number;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority?: number | undefined;
  readonly arguments: Arguments;
  /**
   * A prefetch of the channel as a whole (`global`), set behind the registration. Undefined: none.
   * https://www.rabbitmq.com/docs/consumer-prefetch
   */
  readonly channelPrefetch?: number | undefined;
}

/** Called by the channel, in the order of arrival. */
export interface ConsumeListener {
  readonly message: (message: InboundMessage) => void;
  /** The broker cancelled the consumer. https://www.rabbitmq.com/docs/consumer-cancel */
  readonly cancelled: () => void;
}

/**
 * How a delivery is settled. `requeue` and `release` put it back; the broker counts a requeue as a failed attempt, but not a
 * release (RabbitMQ ≥ 4.3). https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
 */
export type Settlement = 'ack' | 'requeue' | 'release' | 'reject';

/** The channel of one consumer. */
export interface InboundChannel extends LinkChannel {
  /**
   * Sets the prefetch and registers a consumer. Messages may reach the listener before this resolves: they can arrive in the
   * same read as the broker's answer. Rejects: ChannelError.
   */
  consume(request: ConsumeRequest, listener: ConsumeListener): Promise<void>;
  /** Takes one message without a consumer, to be settled on this channel. Undefined: the queue is empty. Rejects: ChannelError. */
  get(queue: string): Promise<InboundMessage | undefined>;
  /**
   * Settles one delivery; with `multiple` an ack or a release covers every unsettled tag up to it, and with tag 0 every unsettled
   * tag. `false`: the channel is closing.
   */
  settle(deliveryTag: number, how: Settlement, multiple?: boolean): boolean;
  /** Cancels the consumer. Messages may arrive until this resolves: when the broker has answered, or the channel has ended. */
  cancel(tag: string): Promise<void>;
}

/** A message as it arrived. Rarely used parts are decoded on access. */
export interface InboundMessage {
  readonly content: Buffer;
  /** Counts from 1 on its channel, and is valid only there. */
  readonly deliveryTag: number;
  readonly redelivered: boolean;
  readonly exchange: string;
  readonly routingKey: string;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** Undefined: none. */
  readonly headers: Arguments | undefined;
  readonly properties: MessageProperties;
  /** The reason why its headers could not be read. Such a message is undecodable. */
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
  /** An upper bound of the properties frame, bytes. */
  readonly propertiesFrame: number;
}

/** The verdicts of the broker on published messages, which are numbered from 1 per channel. */
export type Verdict =
  /** With `multiple`, all up to `number`. https://www.rabbitmq.com/docs/confirms#publisher-confirms */
  | { readonly kind: 'ack' | 'nack'; readonly number: number; readonly multiple: boolean }
  /** Precedes the ack of the same message. */
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
  /** `false` while the socket buffer is full, until `drain$`. Publishing is still possible, and fills memory. */
  readonly writable: boolean;
  /** Hot. Emits: when there is room again. Completes: when the channel has ended. */
  readonly drain$: Observable<void>;
  /** Hot. Emits: each verdict of the broker, in order. Completes: when the channel has ended. */
  readonly verdicts$: Observable<Verdict>;
  /**
   * Writes one message, which takes the next number. `expiration`: the remaining time, whole ms. `false`: the channel is closing,
   * and nothing was written. Throws: the reason why this message can never be written.
   */
  publish(message: WireMessage, expiration: number | undefined): boolean;
  /**
   * Receives direct replies to what this channel publishes. https://www.rabbitmq.com/docs/direct-reply-to
   * Rejects: ChannelError.
   */
  consumeReplies(onReply: (message: InboundMessage) => void): Promise<void>;
}
