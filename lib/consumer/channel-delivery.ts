import type { InstanceQueueError } from '../errors';
import type { Logger } from '../log';
import { ArrivedMessage, type Delivery, type Message, type Settlement } from './delivery';
import { tellSettled } from './delivery-telemetry';
import type { InboundMessage } from '../transport/transport';
import type { StreamPlace } from './stream/offset-tracking';

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

/** A delivery bound to the channel it came on. */
export class ChannelDelivery<T> extends ArrivedMessage<T> implements Delivery<T> {
  readonly #channel: DeliveryChannel;
  readonly #tag: number;
  #settled: Settlement | 'lost' | undefined;

  constructor(channel: DeliveryChannel, message: InboundMessage, body: T, place?: StreamPlace) {
    super(message, channel.queue, body, place);
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

  /** @internal What a settlement names it by. */
  static tagOf(delivery: ChannelDelivery<unknown>): number {
    return delivery.#tag;
  }

  /** @internal The channel's end and its draining concern whoever works on the delivery. */
  static channelOf(delivery: Message<unknown>): DeliveryChannel | undefined {
    return delivery instanceof ChannelDelivery ? delivery.#channel : undefined;
  }
}
