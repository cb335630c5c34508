import type { ConsumeMessage } from 'amqplib';
import type { OpenChannel } from '../amqp/channel';
import type { InstanceQueueError } from '../errors';
import type { Logger } from '../log';
import type { Counters } from '../counters';
import { AckWindow, type Window } from './ack-batching';
import { ChannelDelivery, type DeliveryChannel } from './channel-delivery';
import type { Settlement } from './delivery';
import { Flushing } from './flushing';
import { Outstanding } from '../collections/ordered-map';
import type { StreamPlace } from './stream/offset-tracking';
import { tagged } from '../amqp/tagged';

/** Every settlement but the ack. */
export type Refusal = Exclude<Settlement, 'ack'>;

export interface AttachmentFacts {
  readonly open: OpenChannel;
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
 * One AMQP consumer on its own channel, from consume-ok to the end of that channel, and everything handed out on it.
 * Deliveries hold on to it: what they settle goes to this channel or nowhere.
 */
export class Attachment implements DeliveryChannel {
  readonly queue: string;
  readonly tag: string;
  readonly epoch: number;
  readonly prefetch: number;
  readonly log: Logger;
  readonly #facts: AttachmentFacts;
  readonly #unsettled = new Outstanding<ChannelDelivery<unknown>>((delivery) => ChannelDelivery.tagOf(delivery));
  readonly #window: Window;
  readonly #listeners = new Set<() => void>();
  readonly #flushing: Flushing;
  #draining = false;
  #ended: InstanceQueueError | true | undefined;

  constructor(facts: AttachmentFacts, window: Window = new AckWindow()) {
    this.#facts = facts;
    this.#window = window;
    this.queue = facts.queue;
    this.tag = facts.tag;
    this.epoch = facts.epoch;
    this.prefetch = facts.prefetch;
    this.log = facts.log;
    this.#flushing = new Flushing(facts.prefetch, () => {
      this.flush();
    });
  }

  /** Handed out and not settled. */
  get unsettled(): number {
    return this.#unsettled.size;
  }
  /** Nothing new is wanted any more; what is not started should be released. */
  get draining(): boolean {
    return this.#draining;
  }
  /** The channel is gone: nothing can be settled any more. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }
  /** Why it ended, if it was not our own doing. */
  get cause(): InstanceQueueError | undefined {
    return this.#ended === true ? undefined : this.#ended;
  }

  /** Told when draining starts, at each settlement from then on, and at the end. Returns how to stop listening. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** A message came and can be decoded. */
  deliver<T>(raw: ConsumeMessage, body: T, place?: StreamPlace): ChannelDelivery<T> {
    const delivery = new ChannelDelivery(this, raw, body, place);
    this.#unsettled.add(delivery);
    const { counters } = this.#facts;
    counters.delivered++;
    counters.inFlight++;
    if (delivery.redelivered) counters.redelivered++;
    return delivery;
  }

  /** A message came that is not handed out. */
  refuse(raw: ConsumeMessage, how: Refusal): void {
    const { deliveryTag } = raw.fields;
    if (!this.ended) this.refused(deliveryTag, how);
  }

  /** For `ChannelDelivery`, which calls it once. `false`: the channel is gone. */
  settle(tag: number, how: Settlement): boolean {
    if (this.ended || this.#facts.open.ended || !this.#unsettled.delete(tag)) return false;
    const { counters } = this.#facts;
    counters.inFlight--;
    if (how === 'ack') {
      counters.acked++;
      this.acked(tag);
    } else {
      counters[how === 'release' ? 'released' : how === 'requeue' ? 'requeued' : 'rejected']++;
      this.refused(tag, how);
    }
    if (this.#draining) this.#tell();
    return true;
  }

  /** Somebody settled once more, or too late. */
  stale(settled: Settlement | 'lost', how: Settlement): void {
    this.log.debug(
      { queue: this.queue, tag: this.tag, epoch: this.epoch, settled, how },
      'settled too late or twice: ignored',
    );
  }

  /** Sends what has gathered. */
  flush(): void {
    this.#flushing.told();
    if (this.ended || this.#window.gathered === 0) return;
    const { first } = this.#unsettled;
    const { upTo, singly } = this.#window.flush(first ? ChannelDelivery.tagOf(first) : Infinity);
    this.#write((channel) => {
      if (upTo !== undefined) channel.ack(tagged(upTo), true);
      for (const tag of singly) channel.ack(tagged(tag), false);
    });
  }

  /** From here on new messages are released and whoever works on deliveries is told to start no other. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#tell();
  }

  /** The channel is gone, or given up: what is unsettled is lost to us, and comes again. */
  end(cause?: InstanceQueueError): void {
    if (this.ended) return;
    this.flush();
    this.#ended = cause ?? true;
    const { counters, lost, log } = this.#facts;
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
    this.#tell();
    this.#listeners.clear();
    for (const delivery of left) lost(delivery);
  }

  /** No new messages. Resolves with cancel-ok, or when the channel is gone. */
  async cancel(): Promise<void> {
    const { open, tag } = this.#facts;
    // A refusal can only mean that the channel is gone, which ends us anyway.
    await open.channel.cancel(tag).catch(() => undefined);
  }

  /** Closes the channel behind what was settled so far; what was not comes again. */
  async close(): Promise<void> {
    this.flush();
    this.end();
    await this.#facts.open.close();
  }

  /** The same without waiting for it. */
  abandon(cause?: InstanceQueueError): void {
    this.end(cause);
    void this.#facts.open.close();
  }

  /** To be told with others, soon. */
  protected acked(tag: number): void {
    this.#window.ack(tag);
    this.#flushing.gathered(this.#window.gathered);
  }

  /** To be told at once, by a frame of its own. */
  protected refused(tag: number, how: Refusal): void {
    this.#write((channel) => {
      if (how === 'release') channel.nack(tagged(tag), false, true);
      else channel.reject(tagged(tag), how === 'requeue');
    });
  }

  #write(send: (channel: OpenChannel['channel']) => void): void {
    const { open } = this.#facts;
    if (open.ended) return;
    try {
      send(open.channel);
      open.link.gathering?.gather();
    } catch (err) {
      // The channel is closing and has not said so yet; the broker takes everything unsettled back.
      this.log.debug({ err, queue: this.queue, tag: this.tag }, 'settled on a closing channel');
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
