import type { ConsumeMessage, Message as AmqpMessage } from 'amqplib';
import { timer, type Subscription } from 'rxjs';
import type { OpenChannel } from '../connection/channel';
import type { InstanceQueueError } from '../errors';
import type { Logger } from '../log';
import type { Counters } from '../metrics';
import { AckWindow, type Window } from './ack-window';
import { ChannelDelivery, type DeliveryChannel } from './channel-delivery';
import type { Settlement } from './delivery';
import type { StreamPlace } from './stream-offset';

/** Every settlement but the ack. */
export type Refusal = Exclude<Settlement, 'ack'>;

/** ms that an ack waits for others to share its frame. */
const GATHER_FOR = 2;

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
  readonly #unsettled = new Map<number, ChannelDelivery<unknown>>();
  readonly #window: Window;
  readonly #listeners = new Set<() => void>();
  readonly #quarter: number;
  #flushing: Subscription | undefined;
  /** Is what has gathered told at the end of this turn? */
  #due = false;
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
    this.#quarter = Math.max(1, Math.floor(facts.prefetch / 4));
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
    const { deliveryTag } = raw.fields;
    this.#window.open(deliveryTag);
    this.#unsettled.set(deliveryTag, delivery);
    const { counters } = this.#facts;
    counters.delivered++;
    counters.inFlight++;
    if (delivery.redelivered) counters.redelivered++;
    return delivery;
  }

  /** A message came that is not handed out. */
  refuse(raw: ConsumeMessage, how: Refusal): void {
    const { deliveryTag } = raw.fields;
    this.opened(deliveryTag);
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
    this.#flushing?.unsubscribe();
    this.#flushing = undefined;
    if (this.ended || this.#window.gathered === 0) return;
    // In the order in which they came, which is that of their tags.
    const [lowest = Infinity] = this.#unsettled.keys();
    const { upTo, singly } = this.#window.flush(lowest);
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
    const left = [...this.#unsettled.values()];
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

  protected opened(tag: number): void {
    this.#window.open(tag);
  }

  /** To be told with others, soon. */
  protected acked(tag: number): void {
    this.#window.ack(tag);
    if (this.#window.gathered >= this.#quarter) this.#flushThisTurn();
    else {
      this.#flushing ??= timer(GATHER_FOR).subscribe(() => {
        this.flush();
      });
    }
  }

  /** To be told at once, by a frame of its own. */
  protected refused(tag: number, how: Refusal): void {
    this.#window.settle(tag);
    this.#write((channel) => {
      if (how === 'release') channel.nack(tagged(tag), false, true);
      else channel.reject(tagged(tag), how === 'requeue');
    });
  }

  /** Once what was read is worked off: one read can bring several quarters of the prefetch. */
  #flushThisTurn(): void {
    if (this.#due) return;
    this.#due = true;
    process.nextTick(() => {
      this.#due = false;
      this.flush();
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

const NOTHING = Buffer.alloc(0);
const NO_PROPERTIES: AmqpMessage['properties'] = Object.freeze({
  contentType: undefined,
  contentEncoding: undefined,
  headers: undefined,
  deliveryMode: undefined,
  priority: undefined,
  correlationId: undefined,
  replyTo: undefined,
  expiration: undefined,
  messageId: undefined,
  timestamp: undefined,
  type: undefined,
  userId: undefined,
  appId: undefined,
  clusterId: undefined,
});

/** amqplib settles by message, of which it reads the tag. */
const tagged = (deliveryTag: number): AmqpMessage => ({
  content: NOTHING,
  properties: NO_PROPERTIES,
  fields: { deliveryTag, redelivered: false, exchange: '', routingKey: '' },
});
