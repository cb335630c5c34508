import type { Arguments, MessageProperties } from '../properties';
import type { InboundMessage, Settlement } from '../transport/transport';
import { historyOf, type RetryHistory } from './retry-history';
import type { StreamPlace } from './stream/offset-tracking';

/** An inbound message that cannot be settled: what handlers see. */
export interface Message<T> {
  /** What the codec made of the content. */
  readonly body: T;
  /** The bytes as they came. */
  readonly content: Buffer;
  /** The queue it was consumed from. */
  readonly queue: string;
  /** Where it was published to; that of the first publish for a message that `retry` let wait. */
  readonly exchange: string;
  readonly routingKey: string;
  /** Was it delivered before, to anyone? */
  readonly redelivered: boolean;
  /**
   * Earlier attempts: those that `retry` counted in this queue, and those the broker tells of: quorum queues count them,
   * classic queues tell only none or some (1).
   */
  readonly deliveryCount: number;
  /** Where it stands in its stream. Only consumers of streams tell. */
  readonly offset?: number;
  readonly properties: MessageProperties;
}

export type { Settlement };

/**
 * An inbound message that is yours to settle, once, on the channel it came on. The first settlement counts; later ones,
 * and those that come when the channel is gone, do nothing and say so. None of the verbs ever throws.
 */
export interface Delivery<T> extends Message<T> {
  /** How it was settled; 'lost' when its channel went first (the broker delivers it again); undefined while it is open. */
  readonly settled: Settlement | 'lost' | undefined;
  /** Done. `true`: accepted here (the channel may still die before it is sent). `false`: settled already, or lost. */
  ack(): boolean;
  /**
   * Failed, try again: `basic.reject` with requeue. It counts towards the delivery limit of a quorum queue, which since
   * RabbitMQ 4.0 is 20 unless its `deliveryLimit` says otherwise: then the broker dead-letters or drops the message.
   * Returns as `ack` does.
   */
  requeue(): boolean;
  /** Never tried: `basic.nack` with requeue, which does not count (RabbitMQ ≥ 4.3). Returns as `ack` does. */
  release(): boolean;
  /** Failed for good: dead-lettered where the queue says so, else dropped. Returns as `ack` does. */
  reject(): boolean;
}

/** A message as it came, with its body decoded. Without settling it is what `noAck` consumers emit. */
export class ArrivedMessage<T> implements Message<T> {
  readonly body: T;
  readonly content: Buffer;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  readonly deliveryCount: number;
  declare readonly offset?: number;
  readonly #message: InboundMessage;

  constructor(message: InboundMessage, queue: string, body: T, place?: StreamPlace) {
    const { headers, redelivered } = message;
    const history = headers && historyOf(headers, queue);
    this.body = body;
    this.content = message.content;
    this.queue = queue;
    this.exchange = history?.exchange ?? message.exchange;
    this.routingKey = history?.routingKey ?? message.routingKey;
    this.redelivered = place ? place.attempts > 0 : redelivered;
    this.deliveryCount = place ? place.attempts : deliveryCountOf(headers, redelivered, history);
    if (place) this.offset = place.offset;
    this.#message = message;
  }

  /** Decoded when asked for: that is half the work of an arrival, and few handlers ask. */
  get properties(): MessageProperties {
    return this.#message.properties;
  }
}

const COUNT = 'x-delivery-count';

/** The broker counts from the last copy on; the runs before that are in the copy's own headers. */
function deliveryCountOf(
  headers: Arguments | undefined,
  redelivered: boolean,
  history: RetryHistory | undefined,
): number {
  // https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
  const counted = headers && Object.hasOwn(headers, COUNT) ? headers[COUNT] : undefined;
  // Where the broker does not count, anybody may write anything there.
  const since = Number.isSafeInteger(counted) && Number(counted) >= 0 ? Number(counted) : Number(redelivered);
  return history === undefined ? since : history.attempts + since;
}
