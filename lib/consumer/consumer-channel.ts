import { OrderedMap } from '../collections/ordered-map';
import type { Counters } from '../counters';
import { ChannelError, type InstanceQueueError } from '../errors';
import type { Logger } from '../log';
import type { InboundChannel, InboundMessage } from '../transport/transport';
import { AckBatch, AckBatching, type PendingAcks } from './ack-batching';
import { ChannelDelivery, type DeliveryChannel } from './channel-delivery';
import type { Backlog } from './consumer-state';
import type { Settlement } from './delivery';
import type { DeliveryLimit } from './delivery-limit';
import type { QueueDelays } from './queue-delays';
import type { StreamPlace } from './stream/offset-tracker';

/** The settlements that are sent at once, each in a frame of its own. */
export type Refusal = Exclude<Settlement, 'ack'>;

/** With more unsettled deliveries than this many times the prefetch, the broker does not respect it. */
const OVERDRAWN = 2;

/**
 * ms that acks of a partition wait for others. Each of many partitions gets few messages at a time: in the usual time few acks would
 * gather, and the broker's work per ack frame would halve the throughput.
 */
const PARTITION_GATHERS_FOR = 25;

export interface ConsumerChannelOptions {
  readonly channel: InboundChannel;
  readonly queue: string;
  readonly tag: string;
  readonly epoch: number;
  readonly prefetch: number;
  readonly counters: Counters;
  readonly log: Logger;
  /** Called for each delivery whose channel ended before it was settled. */
  readonly lost: (delivery: ChannelDelivery<unknown>) => void;
  readonly limit: DeliveryLimit;
  readonly delays?: QueueDelays | undefined;
  /** The queue is this partition, whose order has to survive the change to its next consumer. */
  readonly partition?: number | undefined;
}

/**
 * One AMQP consumer on a channel of its own, from consume-ok to the end of that channel, with the deliveries handed out on
 * it. A delivery keeps a reference to it: a settlement goes to this channel or nowhere.
 */
export class ConsumerChannel implements DeliveryChannel {
  readonly queue: string;
  readonly tag: string;
  readonly epoch: number;
  readonly prefetch: number;
  readonly log: Logger;
  readonly delays: QueueDelays | undefined;
  readonly #options: ConsumerChannelOptions;
  readonly #unsettled = new OrderedMap<ChannelDelivery<unknown>>((delivery) => ChannelDelivery.tagOf(delivery));
  readonly #acks: AckBatching;
  readonly #listeners = new Set<() => void>();
  #draining = false;
  /** The lowest tag that was released while the channel hands its partition over. */
  #withheld = Infinity;
  #ended: InstanceQueueError | true | undefined;

  constructor(options: ConsumerChannelOptions, pending: PendingAcks = new AckBatch()) {
    this.#options = options;
    this.queue = options.queue;
    this.tag = options.tag;
    this.epoch = options.epoch;
    this.prefetch = options.prefetch;
    this.log = options.log;
    this.delays = options.delays;
    const flush = (): void => {
      this.flush();
    };
    this.#acks = new AckBatching(pending, options.prefetch, flush, this.handsOver ? PARTITION_GATHERS_FOR : undefined);
  }

  /** Deliveries handed out and not settled. */
  get unsettled(): number {
    return this.#unsettled.size;
  }
  /** A sample of the unsettled deliveries. Two of them show whether the consumer makes progress. */
  get backlog(): Backlog {
    return { unsettled: this.unsettled, prefetch: this.prefetch, latest: this.#unsettled.latest };
  }
  /** No new deliveries are handed out; operators should release what they have not started. */
  get draining(): boolean {
    return this.#draining;
  }
  /** The channel is gone, and nothing can be settled on it. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }
  /**
   * The consumer is not cancelled when it drains: it keeps everything that it has not started until its channel closes. The broker
   * then puts all of it back in one step, in order and in front of the rest, and activates the next consumer. After a cancel a
   * single active consumer would be succeeded at once, and get newer messages before those that are put back.
   */
  get handsOver(): boolean {
    return this.#options.partition !== undefined;
  }
  /** Why it ended; undefined if this side ended it. */
  get cause(): InstanceQueueError | undefined {
    return this.#ended === true ? undefined : this.#ended;
  }
  /** Set when the broker ignores the prefetch, which would end in a process out of memory. */
  get overdrawn(): ChannelError | undefined {
    if (this.unsettled < OVERDRAWN * this.prefetch) return undefined;
    return new ChannelError(
      `The broker ignores the prefetch of ${String(this.prefetch)}: ${String(this.unsettled)} messages of queue \`${this.queue}\` are unsettled.`,
    );
  }

  /** Calls the listener when draining starts, at each settlement from then on, and at the end. Returns how to remove it. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Makes a delivery of a decoded message. */
  deliver<T>(message: InboundMessage, body: T, place?: StreamPlace): ChannelDelivery<T> {
    const delivery = new ChannelDelivery(this, message, body, place, this.#options.partition);
    this.#unsettled.add(delivery);
    const { counters } = this.#options;
    counters.delivered++;
    counters.inFlight++;
    if (delivery.redelivered) counters.redelivered++;
    return delivery;
  }

  /** Refuses a message without handing it out. */
  refuse({ deliveryTag, headers }: InboundMessage, how: Refusal): void {
    if (this.ended) return;
    if (how === 'release' && this.#withholds(deliveryTag)) return;
    if (how === 'requeue') this.#options.limit.requeued(headers);
    this.refused(deliveryTag, how);
  }

  /** For `ChannelDelivery`, which calls it once. `false`: the channel is gone. */
  settle(tag: number, how: Settlement, delivery: ChannelDelivery<unknown>): boolean {
    if (this.ended || this.#options.channel.ended || !this.#unsettled.delete(tag)) return false;
    const { counters } = this.#options;
    counters.inFlight--;
    if (how === 'ack') {
      counters.acked++;
      this.acked(tag);
    } else {
      counters[how === 'release' ? 'released' : how === 'requeue' ? 'requeued' : 'rejected']++;
      if (how === 'requeue') this.#options.limit.requeued(delivery.properties.headers);
      if (how !== 'release' || !this.#withholds(tag)) this.refused(tag, how);
    }
    if (this.#draining) this.#notify();
    return true;
  }

  /** A delivery was settled a second time, or after its channel ended. */
  stale(settled: Settlement | 'lost', how: Settlement): void {
    this.log.debug(
      { queue: this.queue, tag: this.tag, epoch: this.epoch, settled, how },
      'settled too late or twice: ignored',
    );
  }

  /** Sends the pending acks. */
  flush(): void {
    const { first } = this.#unsettled;
    // What is withheld is unsettled at the broker, and a `multiple` ack must not reach it.
    const lowest = Math.min(this.#withheld, first ? ChannelDelivery.tagOf(first) : Infinity);
    const frames = this.#acks.take(lowest);
    if (!frames || this.ended) return;
    if (frames.upTo !== undefined) this.#send(frames.upTo, 'ack', true);
    for (const tag of frames.singly) this.#send(tag, 'ack');
  }

  /** From now on new messages are released, and operators start no more of the deliveries that they hold. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#notify();
  }

  /** The channel is gone or given up: its unsettled deliveries are lost, and the broker delivers them again. */
  end(cause?: InstanceQueueError): void {
    if (this.ended) return;
    this.flush();
    this.#ended = cause ?? true;
    const { counters, lost, log } = this.#options;
    const left = [...this.#unsettled];
    this.#unsettled.clear();
    counters.inFlight -= left.length;
    counters.lost += left.length;
    for (const delivery of left) ChannelDelivery.lose(delivery);
    if (left.length > 0) {
      log.warn(
        { queue: this.queue, tag: this.tag, epoch: this.epoch, lost: left.length },
        'deliveries lost: the broker delivers them again',
      );
    }
    this.#notify();
    this.#listeners.clear();
    for (const delivery of left) lost(delivery);
  }

  /** Cancels the consumer. Resolves with cancel-ok, or when the channel is gone. */
  cancel(): Promise<void> {
    return this.#options.channel.cancel(this.tag);
  }

  /** Closes the channel behind the settlements so far; the broker delivers the rest again. */
  async close(): Promise<void> {
    this.flush();
    this.end();
    await this.#options.channel.close();
  }

  /** As `close`, without waiting for the broker. */
  abandon(cause?: InstanceQueueError): void {
    this.end(cause);
    void this.#options.channel.close();
  }

  /** Adds an ack to those that are sent together soon. */
  protected acked(tag: number): void {
    this.#acks.ack(tag);
  }

  /** Sends any other settlement at once. */
  protected refused(tag: number, how: Refusal): void {
    this.#send(tag, how);
  }

  /** Is the release of this delivery left to the end of the channel? */
  #withholds(tag: number): boolean {
    if (!this.#draining || !this.handsOver) return false;
    this.#withheld = Math.min(this.#withheld, tag);
    return true;
  }

  #send(tag: number, how: Settlement, multiple = false): void {
    const { channel } = this.#options;
    // The channel is closing and has not reported it yet: the broker takes back everything unsettled.
    if (!channel.settle(tag, how, multiple))
      this.log.debug({ queue: this.queue, tag: this.tag }, 'settled on a closing channel');
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
