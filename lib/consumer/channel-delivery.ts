import type { ConsumeMessage } from 'amqplib';
import type { InstanceQueueError } from '../errors';
import type { Logger } from '../log';
import type { MessageProperties } from '../properties';
import { deliveryCountOf, type Delivery, type Message, type Settlement } from './delivery';
import { tellSettled } from './delivery-telemetry';
import { historyOf } from './retry-history';

/** The channel a delivery came on, as far as deliveries and whoever works on them are concerned. */
export interface DeliveryChannel {
  readonly queue: string;
  readonly prefetch: number;
  readonly log: Logger;
  /** Nothing new is wanted any more; what is not started should be released. */
  readonly draining: boolean;
  /** The channel is gone: nothing can be settled any more. */
  readonly ended: boolean;
  /** Why it ended, if it was not our own doing. */
  readonly cause: InstanceQueueError | undefined;
  /** Told when draining starts, at each settlement from then on, and at the end. Returns how to stop listening. */
  watch(listener: () => void): () => void;
  /** Called once per delivery. `false`: the channel is gone. */
  settle(tag: number, how: Settlement): boolean;
  /** Somebody settled once more, or too late. */
  stale(settled: Settlement | 'lost', how: Settlement): void;
}

/** Where in its stream a message stands, and how often it was tried before: the broker does not count there. */
export interface StreamPlace {
  readonly offset: number;
  readonly attempts: number;
}

/** A delivery bound to the channel it came on. */
export class ChannelDelivery<T> implements Delivery<T> {
  readonly body: T;
  readonly content: Buffer;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  readonly deliveryCount: number;
  declare readonly offset?: number;
  readonly properties: MessageProperties;
  readonly #channel: DeliveryChannel;
  readonly #tag: number;
  #settled: Settlement | 'lost' | undefined;

  constructor(
    channel: DeliveryChannel,
    raw: ConsumeMessage,
    body: T,
    properties: MessageProperties,
    place?: StreamPlace,
  ) {
    this.body = body;
    this.content = raw.content;
    this.queue = channel.queue;
    const history = historyOf(raw.properties.headers, channel.queue);
    this.exchange = history?.exchange ?? raw.fields.exchange;
    this.routingKey = history?.routingKey ?? raw.fields.routingKey;
    this.redelivered = place ? place.attempts > 0 : raw.fields.redelivered;
    this.deliveryCount = place ? place.attempts : deliveryCountOf(raw, history);
    if (place) this.offset = place.offset;
    this.properties = properties;
    this.#channel = channel;
    this.#tag = raw.fields.deliveryTag;
  }

  get settled(): Settlement | 'lost' | undefined {
    return this.#settled;
  }

  ack(): boolean {
    return this.#settle('ack');
  }
  requeue(): boolean {
    return this.#settle('requeue');
  }
  release(): boolean {
    return this.#settle('release');
  }
  reject(): boolean {
    return this.#settle('reject');
  }

  #settle(how: Settlement): boolean {
    if (this.#settled !== undefined) {
      this.#channel.stale(this.#settled, how);
      return false;
    }
    this.#settled = how;
    // Too late: its end is told with that of its channel.
    if (!this.#channel.settle(this.#tag, how)) {
      this.#settled = 'lost';
      return false;
    }
    tellSettled(this, how);
    return true;
  }

  /** @internal Its channel went before it was settled. */
  static lose(delivery: ChannelDelivery<unknown>): void {
    delivery.#settled ??= 'lost';
    tellSettled(delivery, 'lost');
  }

  /** @internal The channel's end and its draining concern whoever works on the delivery. */
  static channelOf(delivery: Message<unknown>): DeliveryChannel | undefined {
    return delivery instanceof ChannelDelivery ? delivery.#channel : undefined;
  }
}
