import { timer } from 'rxjs';
import type { InboundMessage } from '../../transport/transport';
import { ConsumerChannel, type ConsumerChannelOptions, type Refusal } from '../consumer-channel';
import { InOrderWindow } from './in-order-acks';
import type { StreamPlace } from './offset-tracking';
import type { StreamReader } from './stream-reader';

/** A message, and where it stands. */
interface Read {
  readonly raw: InboundMessage;
  readonly offset: number;
}

/**
 * An attachment to a stream. The broker knows acks there and nothing else (it closes the connection over the rest), and
 * an ack only means: send more. So a rejected message is passed over, and one that is requeued is handed out once more
 * from here. It sends whole chunks, whatever the prefetch; what is too much waits here.
 */
export class StreamChannel extends ConsumerChannel {
  readonly #reading: StreamReader;
  readonly #window: InOrderWindow;
  readonly #hand: (raw: InboundMessage, place: StreamPlace) => void;
  #waiting: Read[] = [];
  /** Handed out, or about to be again, by their tags. */
  readonly #out = new Map<number, Read>();
  #handing = false;

  constructor(
    facts: ConsumerChannelOptions,
    reading: StreamReader,
    hand: (attachment: StreamChannel, raw: InboundMessage, place: StreamPlace) => void,
  ) {
    const window = new InOrderWindow();
    super(facts, window);
    this.#window = window;
    this.#reading = reading;
    this.#hand = (raw, place) => {
      hand(this, raw, place);
    };
  }

  /** A message came. */
  take(raw: InboundMessage): void {
    if (this.draining || this.ended) return;
    this.#waiting.push({ raw, offset: this.#reading.read(raw) });
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
    if (read) this.#reading.settled(read.offset);
    this.#handOut();
  }

  protected override refused(tag: number, how: Refusal): void {
    if (how === 'reject') {
      this.acked(tag);
      return;
    }
    const read = this.#out.get(tag);
    if (!read) return;
    if (how === 'release') this.#reading.place.release(read.offset);
    if (this.draining) return;
    // Not at once: who fails at once would be asked without an end.
    timer(0).subscribe(() => {
      if (!this.draining && !this.ended) this.#handOver(read);
    });
  }

  /** As many as the prefetch lets through; those it let through before come first, and are not counted again. */
  #handOut(): void {
    if (this.#handing) return;
    this.#handing = true;
    const { place } = this.#reading;
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (place.ahead >= this.prefetch && !place.knows(next.offset)) break;
      this.#waiting.shift();
      this.#handOver(next);
      if (this.ended) break;
    }
    this.#handing = false;
  }

  #handOver(read: Read): void {
    const { raw, offset } = read;
    const { deliveryTag } = raw;
    const attempts = this.#reading.place.arrive(offset);
    this.#window.open(deliveryTag);
    if (attempts === 'settled') {
      // By somebody who settled it out of order, before a reconnect.
      super.acked(deliveryTag);
      return;
    }
    this.#out.set(deliveryTag, read);
    this.#hand(raw, { offset, attempts });
  }
}
