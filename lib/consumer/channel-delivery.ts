import type { InstanceQueueError } from '../errors';
import type { Logger } from '../log';
import { ArrivedMessage, type Delivery, type Message, type Settlement } from './delivery';
import { tellSettled } from './delivery-telemetry';
import type { InboundMessage } from '../transport/transport';
import type { QueueDelays } from './queue-delays';
import type { StreamPlace } from './stream/offset-tracker';

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
