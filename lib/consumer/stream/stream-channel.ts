import { timer } from 'rxjs';
import type { InboundMessage } from '../../transport/transport';
import type { AckFrames, PendingAcks } from '../ack-batching';
import { ConsumerChannel, type ConsumerChannelOptions, type Refusal } from '../consumer-channel';
import type { StreamPlace } from './offset-tracker';
import type { StreamReader } from './stream-reader';

/** A message with its offset. */
interface Read {
  readonly raw: InboundMessage;
  readonly offset: number;
}

/**
 * An attachment to a stream. RabbitMQ accepts only acks on it, as credit for more messages, and closes the connection over a
 * requeue or reject. So a rejected message is acked, and one that is requeued is handed out again from here. RabbitMQ sends
 * whole chunks, whatever the prefetch; what exceeds it waits here.
 */
export class StreamChannel extends ConsumerChannel {
  readonly #reader: StreamReader;
  readonly #acks: InOrderAcks;
  readonly #emit: (raw: InboundMessage, place: StreamPlace) => void;
  #waiting: Read[] = [];
  /** Handed out, or about to be handed out again, by delivery tag. */
  readonly #out = new Map<number, Read>();
  #handingOut = false;

  constructor(
    options: ConsumerChannelOptions,
    reader: StreamReader,
    emit: (attachment: StreamChannel, raw: InboundMessage, place: StreamPlace) => void,
  ) {
    const acks = new InOrderAcks();
    super(options, acks);
    this.#acks = acks;
    this.#reader = reader;
    this.#emit = (raw, place) => {
      emit(this, raw, place);
    };
  }

  /** A message came. */
  take(raw: InboundMessage): void {
    if (this.draining || this.ended) return;
    this.#waiting.push({ raw, offset: this.#reader.read(raw) });
    this.#handOut();
  }

  override drain(): void {
    this.#waiting = [];
    super.drain();
  }

  protected override acked(tag: number): void {
    const read = this.#out.get(tag);
    this.#out.delete(tag);
    super.acked(tag);
    if (read) this.#reader.settled(read.offset);
    this.#handOut();
  }

  protected override refused(tag: number, how: Refusal): void {
    if (how === 'reject') {
      this.acked(tag);
      return;
    }
    const read = this.#out.get(tag);
    if (!read) return;
    if (how === 'release') this.#reader.place.release(read.offset);
    if (this.draining) return;
    // Not synchronously: a handler that fails at once would recurse without end.
    timer(0).subscribe(() => {
      if (!this.draining && !this.ended) this.#deliver(read);
    });
  }

  /** Hands out as many as the prefetch allows. Those handed out before, on another attachment, count already. */
  #handOut(): void {
    if (this.#handingOut) return;
    this.#handingOut = true;
    const { place } = this.#reader;
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (place.ahead >= this.prefetch && !place.knows(next.offset)) break;
      this.#waiting.shift();
      this.#deliver(next);
      if (this.ended) break;
    }
    this.#handingOut = false;
  }

  #deliver(read: Read): void {
    const { raw, offset } = read;
    const { deliveryTag } = raw;
    const attempts = this.#reader.place.arrive(offset);
    this.#acks.open(deliveryTag);
    if (attempts === 'settled') {
      // It was acked out of order on an earlier attachment.
      super.acked(deliveryTag);
      return;
    }
    this.#out.set(deliveryTag, read);
    this.#emit(raw, { offset, attempts });
  }
}

/**
 * Acks that are sent in order: none before all deliveries below it are acked. Pure. On a stream an ack is a credit for
 * another message, so the broker never gets further ahead of the lowest unsettled delivery than the prefetch.
 */
export class InOrderAcks implements PendingAcks {
  readonly #unsettled = new Set<number>();
  #last = 0;
  #sent = 0;

  get size(): number {
    return this.#upTo - this.#sent;
  }

  /** A delivery came. The tags of a channel grow by one. */
  open(tag: number): void {
    this.#unsettled.add(tag);
    this.#last = Math.max(this.#last, tag);
  }

  add(tag: number): void {
    this.#unsettled.delete(tag);
  }

  take(): AckFrames {
    const upTo = this.#upTo > this.#sent ? this.#upTo : undefined;
    this.#sent = this.#upTo;
    return { upTo, singly: [] };
  }

  /** Everything up to this tag is acked. */
  get #upTo(): number {
    const [lowest = this.#last + 1] = this.#unsettled;
    return lowest - 1;
  }
}
