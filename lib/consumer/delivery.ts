import type { ConsumeMessage } from 'amqplib';
import { fromAmqp, type MessageProperties } from '../properties';
import { historyOf, type RetryHistory } from './retry-history';

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
  const { redelivered } = raw.fields;
  const history = historyOf(raw.properties.headers, queue);
  const { exchange, routingKey } = history ?? raw.fields;
  const deliveryCount = deliveryCountOf(raw, history);
  return { body, content: raw.content, queue, exchange, routingKey, redelivered, deliveryCount, properties };
}

export const propertiesOf = (raw: ConsumeMessage): MessageProperties => fromAmqp(raw.properties);

const COUNT = 'x-delivery-count';

/** The broker counts from the last copy on; the runs before that are in the copy's own headers. */
export function deliveryCountOf(raw: ConsumeMessage, history: RetryHistory | undefined): number {
  // https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
  const headers: unknown = raw.properties.headers;
  const told = typeof headers === 'object' && headers !== null && Object.hasOwn(headers, COUNT);
  const counted: unknown = told ? Reflect.get(headers, COUNT) : undefined;
  // Where the broker does not count, anybody may write anything there.
  const since =
    Number.isSafeInteger(counted) && Number(counted) >= 0 ? Number(counted) : Number(raw.fields.redelivered);
  return history === undefined ? since : history.attempts + since;
}
