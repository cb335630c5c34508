import { channel } from 'node:diagnostics_channel';
import { setOrigin, tracing } from '../diagnostics';
import type { InstanceQueueError } from '../errors';
import { FILTER_VALUE } from '../filter-value';
import type { Logger } from '../log';
import type { Arguments, MessageProperties } from '../properties';
import type { InboundMessage, Settlement } from '../transport/transport';
import type { Delivery, Message } from './delivery';
import { DELIVERY_COUNT } from './delivery-limit';
import type { QueueDelays } from './queue-delays';
import { historyOf, replayedRoute, type RetryHistory } from './retry-history';
import type { StreamPlace } from './stream/offset-tracker';

/** An inbound message with its body decoded. Consumers with `noAck` emit it as it is. */
export class ArrivedMessage<T> implements Message<T> {
  readonly body: T;
  readonly content: Buffer;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  readonly deliveryCount: number;
  declare readonly offset?: number;
  declare readonly partition?: number;
  readonly #message: InboundMessage;

  constructor(message: InboundMessage, queue: string, body: T, place?: StreamPlace, partition?: number) {
    const { headers, redelivered } = message;
    const history = headers && historyOf(headers, queue);
    const route = history ?? (headers && replayedRoute(headers, queue)) ?? message;
    this.body = body;
    this.content = message.content;
    this.queue = queue;
    this.exchange = route.exchange;
    this.routingKey = route.routingKey;
    this.redelivered = place ? place.attempts > 0 : redelivered;
    this.deliveryCount = place ? place.attempts : deliveryCountOf(headers, redelivered, history);
    if (place) this.offset = place.offset;
    if (partition !== undefined) this.partition = partition;
    this.#message = message;
  }

  get streamFilter(): string | undefined {
    const value = this.#message.headers?.[FILTER_VALUE];
    return typeof value === 'string' ? value : undefined;
  }
  /** Decoded on first access: that is half the work for a message, and few handlers need it. */
  get properties(): MessageProperties {
    return this.#message.properties;
  }
}

/** The broker counts deliveries of the present copy; the attempts before it are in the headers that `retry` wrote. */
function deliveryCountOf(
  headers: Arguments | undefined,
  redelivered: boolean,
  history: RetryHistory | undefined,
): number {
  const counted = headers && Object.hasOwn(headers, DELIVERY_COUNT) ? headers[DELIVERY_COUNT] : undefined;
  // On a queue that does not count, the header is whatever the publisher wrote.
  const since = Number.isSafeInteger(counted) && Number(counted) >= 0 ? Number(counted) : Number(redelivered);
  return history === undefined ? since : history.attempts + since;
}

/** The channel that a delivery came on, for the delivery and for the operators that hold it. */
export interface DeliveryChannel {
  readonly queue: string;
  readonly prefetch: number;
  readonly log: Logger;
  /** How long requeued messages wait in the queue itself; undefined: they do not wait, or it is unknown. */
  readonly delays?: QueueDelays | undefined;
  /** No new deliveries are handed out; operators should release what they have not started. */
  readonly draining: boolean;
  /** The channel is gone, and nothing can be settled on it. */
  readonly ended: boolean;
  /** Why it ended; undefined if this side ended it. */
  readonly cause: InstanceQueueError | undefined;
  /** Calls the listener when draining starts, at each settlement from then on, and at the end. Returns how to remove it. */
  watch(listener: () => void): () => void;
  /** Called once per delivery. `false`: the channel is gone. */
  settle(tag: number, how: Settlement, delivery: ChannelDelivery<unknown>): boolean;
  /** A delivery was settled a second time, or after its channel ended. */
  stale(settled: Settlement | 'lost', how: Settlement): void;
}

/** A delivery bound to the channel it came on. */
export class ChannelDelivery<T> extends ArrivedMessage<T> implements Delivery<T> {
  readonly #channel: DeliveryChannel;
  readonly #tag: number;
  #settled: Settlement | 'lost' | undefined;

  constructor(channel: DeliveryChannel, message: InboundMessage, body: T, place?: StreamPlace, partition?: number) {
    super(message, channel.queue, body, place, partition);
    this.#channel = channel;
    this.#tag = message.deliveryTag;
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
    // The end of the channel reports this delivery as lost.
    if (!this.#channel.settle(this.#tag, how, this)) {
      this.#settled = 'lost';
      return false;
    }
    tellSettled(this, how);
    return true;
  }

  /** @internal Its channel ended before it was settled. */
  static lose(delivery: ChannelDelivery<unknown>): void {
    delivery.#settled ??= 'lost';
    tellSettled(delivery, 'lost');
  }

  /** @internal The delivery tag. */
  static tagOf(delivery: ChannelDelivery<unknown>): number {
    return delivery.#tag;
  }

  /** @internal For operators, which watch the channel for its end and its draining. Undefined: it came on none. */
  static channelOf(delivery: Message<unknown>): DeliveryChannel | undefined {
    return delivery instanceof ChannelDelivery ? delivery.#channel : undefined;
  }
}

/** `instance-queue:deliver`: a message is emitted. */
export interface DeliverEvent {
  readonly message: Message<unknown>;
  /** The consumer tag. */
  readonly tag: string;
  /** The number of the connection it came on. */
  readonly epoch: number;
}
/** `instance-queue:settle`: a delivery was settled, or its channel ended first. */
export interface SettleEvent {
  readonly message: Message<unknown>;
  readonly settlement: Settlement | 'lost';
}
/**
 * The context of `tracing:instance-queue:deliver:*`, one per delivery: `start` and `end` around its emission, `asyncStart`
 * and `asyncEnd` when it is settled or lost (inside that emission, if its work is done at once). With `noAck` nothing is
 * settled, and nothing traced.
 */
export interface DeliverTrace extends DeliverEvent {
  /** From `asyncStart` on. */
  settlement?: Settlement | 'lost';
}

const traces = tracing<DeliverTrace>('instance-queue:deliver');
const deliveries = channel('instance-queue:deliver');
const settlements = channel('instance-queue:settle');
const open = new WeakMap<Message<unknown>, DeliverTrace>();

/** Does a diagnostics channel of deliveries have subscribers? */
export const areDeliveriesWatched = (): boolean => deliveries.hasSubscribers || traces.hasSubscribers;

/** Publishes that a message of `connection` is about to be emitted. */
export function tellDelivered({ message, tag, epoch }: DeliverEvent, connection: object): void {
  if (!deliveries.hasSubscribers) return;
  const event: DeliverEvent = { message, tag, epoch };
  setOrigin(event, connection);
  deliveries.publish(event);
}

/** Emits a delivery of `connection` within its trace. */
export function traceDelivery({ message, tag, epoch }: DeliverEvent, connection: object, emit: () => void): void {
  tellDelivered({ message, tag, epoch }, connection);
  if (!traces.hasSubscribers) {
    emit();
    return;
  }
  const trace: DeliverTrace = { message, tag, epoch };
  setOrigin(trace, connection);
  open.set(message, trace);
  traces.start.runStores(trace, emit);
  traces.end.publish(trace);
}

/** Publishes that a delivery was settled or lost, and ends its trace. */
export function tellSettled(message: Message<unknown>, settlement: Settlement | 'lost'): void {
  if (settlements.hasSubscribers) settlements.publish({ message, settlement });
  if (!traces.hasSubscribers) return;
  const trace = open.get(message);
  // It was emitted before there was a subscriber.
  if (!trace) return;
  trace.settlement = settlement;
  traces.asyncStart.publish(trace);
  traces.asyncEnd.publish(trace);
}
