import { ChannelError, type InstanceQueueError } from '../errors';
import type { Logger } from '../log';
import type { Counters } from '../counters';
import { OrderedMap } from '../collections/ordered-map';
import type { InboundChannel, InboundMessage } from '../transport/transport';
import { AckWindow, type AckGathering } from './ack-batching';
import { ChannelDelivery, type DeliveryChannel } from './channel-delivery';
import type { Settlement } from './delivery';
import type { Backlog } from './consumer-state';
import { Flushing } from './flushing';
import type { StreamPlace } from './stream/offset-tracking';

/** Every settlement but the ack. */
export type Refusal = Exclude<Settlement, 'ack'>;

/** More unsettled deliveries than this many times the prefetch: the broker does not keep to it. */
const OVERDRAWN = 2;

export interface ConsumerChannelOptions {
  readonly channel: InboundChannel;
  readonly queue: string;
  readonly tag: string;
  readonly epoch: number;
  readonly prefetch: number;
  readonly counters: Counters;
  readonly log: Logger;
  /** A delivery was handed out and its channel went before it was settled. */
  readonly lost: (delivery: ChannelDelivery<unknown>) => void;
}

/**
 * One AMQP consumer on its own channel, from consume-ok to the end of that channel, with everything handed out on it.
 * Deliveries hold on to it: what they settle goes to this channel or nowhere.
 */
export class ConsumerChannel implements DeliveryChannel {
  readonly queue: string;
  readonly tag: string;
  readonly epoch: number;
  readonly prefetch: number;
  readonly log: Logger;
  readonly #options: ConsumerChannelOptions;
  readonly #unsettled = new OrderedMap<ChannelDelivery<unknown>>((delivery) => ChannelDelivery.tagOf(delivery));
  readonly #acks: AckGathering;
  readonly #listeners = new Set<() => void>();
  readonly #flushing: Flushing;
  #draining = false;
  #ended: InstanceQueueError | true | undefined;

  constructor(options: ConsumerChannelOptions, acks: AckGathering = new AckWindow()) {
    this.#options = options;
    this.#acks = acks;
    this.queue = options.queue;
    this.tag = options.tag;
    this.epoch = options.epoch;
    this.prefetch = options.prefetch;
    this.log = options.log;
    this.#flushing = new Flushing(options.prefetch, () => {
      this.flush();
    });
  }

  /** Handed out and not settled. */
  get unsettled(): number {
    return this.#unsettled.size;
  }
  /** A sample of what is handed out, to see whether the consumer gets on. */
  get backlog(): Backlog {
    return { unsettled: this.unsettled, prefetch: this.prefetch, latest: this.#unsettled.latest };
  }
  /** No new deliveries are wanted; what is not started should be released. */
  get draining(): boolean {
    return this.#draining;
  }
  /** The channel is gone: nothing can be settled any more. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }
  /** Why it ended, unless this side ended it. */
  get cause(): InstanceQueueError | undefined {
    return this.#ended === true ? undefined : this.#ended;
  }
  /** A broker that ignores the prefetch would go on until the process runs out of memory. Undefined: it keeps to it. */
  get overdrawn(): ChannelError | undefined {
    if (this.unsettled < OVERDRAWN * this.prefetch) return undefined;
    return new ChannelError(
      `The broker does not keep to the prefetch of ${String(this.prefetch)}: ${String(this.unsettled)} messages of queue \`${this.queue}\` are unsettled.`,
    );
  }

  /** Calls the listener when draining starts, at each settlement from then on, and at the end. Returns how to stop it. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Hands out a message that was decoded. */
  deliver<T>(message: InboundMessage, body: T, place?: StreamPlace): ChannelDelivery<T> {
    const delivery = new ChannelDelivery(this, message, body, place);
    this.#unsettled.add(delivery);
    const { counters } = this.#options;
    counters.delivered++;
    counters.inFlight++;
    if (delivery.redelivered) counters.redelivered++;
    return delivery;
  }

  /** Returns a message to the broker that is not handed out. */
  refuse({ deliveryTag }: InboundMessage, how: Refusal): void {
    if (!this.ended) this.refused(deliveryTag, how);
  }

  /** For `ChannelDelivery`, which calls it once. `false`: the channel is gone. */
  settle(tag: number, how: Settlement): boolean {
    if (this.ended || this.#options.channel.ended || !this.#unsettled.delete(tag)) return false;
    const { counters } = this.#options;
    counters.inFlight--;
    if (how === 'ack') {
      counters.acked++;
      this.acked(tag);
    } else {
      counters[how === 'release' ? 'released' : how === 'requeue' ? 'requeued' : 'rejected']++;
      this.refused(tag, how);
    }
    if (this.#draining) this.#notify();
    return true;
  }

  /** A delivery was settled a second time, or too late. */
  stale(settled: Settlement | 'lost', how: Settlement): void {
    this.log.debug(
      { queue: this.queue, tag: this.tag, epoch: this.epoch, settled, how },
      'settled too late or twice: ignored',
    );
  }

  /** Sends the acks gathered so far. */
  flush(): void {
    this.#flushing.flushed();
    if (this.ended || this.#acks.gathered === 0) return;
    const { first } = this.#unsettled;
    const { upTo, singly } = this.#acks.flush(first ? ChannelDelivery.tagOf(first) : Infinity);
    if (upTo !== undefined) this.#send(upTo, 'ack', true);
    for (const tag of singly) this.#send(tag, 'ack');
  }

  /** From here on new messages are released, and operators that hold deliveries start no other. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#notify();
  }

  /** The channel is gone, or given up: what is unsettled is lost here, and the broker delivers it again. */
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
        'deliveries lost: they come again',
      );
    }
    this.#notify();
    this.#listeners.clear();
    for (const delivery of left) lost(delivery);
  }

  /** No new messages. Resolves with cancel-ok, or when the channel is gone. */
  cancel(): Promise<void> {
    return this.#options.channel.cancel(this.tag);
  }

  /** Closes the channel after what was settled so far; the broker delivers the rest again. */
  async close(): Promise<void> {
    this.flush();
    this.end();
    await this.#options.channel.close();
  }

  /** The same without waiting for it. */
  abandon(cause?: InstanceQueueError): void {
    this.end(cause);
    void this.#options.channel.close();
  }

  /** Gathers an ack, to be sent soon with others. */
  protected acked(tag: number): void {
    this.#acks.ack(tag);
    this.#flushing.gathered(this.#acks.gathered);
  }

  /** Sends any other settlement at once, in a frame of its own. */
  protected refused(tag: number, how: Refusal): void {
    this.#send(tag, how);
  }

  #send(tag: number, how: Settlement, multiple = false): void {
    const { channel } = this.#options;
    // A channel that closes without having said so yet: the broker takes back everything unsettled.
    if (!channel.settle(tag, how, multiple))
      this.log.debug({ queue: this.queue, tag: this.tag }, 'settled on a closing channel');
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
