import type { ConsumeMessage } from 'amqplib';
import { fromAmqp, type MessageProperties } from '../properties';

/** An inbound message that cannot be settled: what handlers see. */
export interface Message<T> {
  /** What the codec made of the content. */
  readonly body: T;
  /** The bytes as they came. */
  readonly content: Buffer;
  /** The queue it was consumed from. */
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  /** Was it delivered before, to anyone? */
  readonly redelivered: boolean;
  /** Earlier attempts, as far as the broker tells: quorum queues count them, classic queues tell only none or some (1). */
  readonly deliveryCount: number;
  readonly properties: MessageProperties;
}

/** What becomes of a delivery. */
export type Settlement = 'ack' | 'requeue' | 'release' | 'reject';

/**
 * An inbound message that is yours to settle, once, on the channel it came on. The first settlement counts; later ones,
 * and those that come when the channel is gone, do nothing and say so. None of the verbs ever throws.
 */
export interface Delivery<T> extends Message<T> {
  /** How it was settled; 'lost' when its channel went first (the broker delivers it again); undefined while it is open. */
  readonly settled: Settlement | 'lost' | undefined;
  /** Done. `true`: accepted here (the channel may still die before it is sent). `false`: settled already, or lost. */
  ack(): boolean;
  /** Failed, try again: `basic.reject` with requeue, which counts towards a delivery limit. Returns as `ack` does. */
  requeue(): boolean;
  /** Never tried: `basic.nack` with requeue, which does not count (RabbitMQ ≥ 4.3). Returns as `ack` does. */
  release(): boolean;
  /** Failed for good: dead-lettered where the queue says so, else dropped. Returns as `ack` does. */
  reject(): boolean;
}

/** Without settling: what `noAck` consumers emit. */
export function toMessage<T>(raw: ConsumeMessage, queue: string, body: T, properties: MessageProperties): Message<T> {
  const { exchange, routingKey, redelivered } = raw.fields;
  const deliveryCount = deliveryCountOf(raw);
  return { body, content: raw.content, queue, exchange, routingKey, redelivered, deliveryCount, properties };
}

export const propertiesOf = (raw: ConsumeMessage): MessageProperties => fromAmqp(raw.properties);

export function deliveryCountOf(raw: ConsumeMessage): number {
  // https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
  const counted: unknown = raw.properties.headers?.['x-delivery-count'];
  return typeof counted === 'number' ? counted : Number(raw.fields.redelivered);
}
