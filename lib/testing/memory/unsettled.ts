import type { Place } from './queue';
import { Refusal } from './refusal';
import type { ChannelTaker } from './queue-consumer';

/** A delivery under its tag. */
interface Out {
  readonly place: Place;
  readonly taker: ChannelTaker;
}

/** What is out on one channel, by delivery tag. */
export class Unsettled {
  readonly #out = new Map<number, Out>();
  #tags = 0;

  /** The tag for a delivery, which is kept if it is to be settled. */
  tag(place: Place, taker: ChannelTaker): number {
    const tag = ++this.#tags;
    if (!taker.noAck) this.#out.set(tag, { place, taker });
    return tag;
  }

  /** Settles one, or all up to it. */
  settle(tag: number, upTo: boolean, how: (place: Place, taker: ChannelTaker) => void): void {
    const tags = upTo ? [...this.#out.keys()].filter((one) => one <= tag) : [tag];
    if (!this.#out.has(tag)) throw new Refusal(406, `unknown delivery tag ${String(tag)}`);
    const outs = tags.map((one) => this.#take(one)).filter((out) => out !== undefined);
    for (const { place, taker } of outs) {
      taker.unsettled--;
      how(place, taker);
    }
    for (const { taker } of outs) taker.queue.dispatch();
  }

  /** All of it goes back. */
  giveBack(): void {
    const outs = [...this.#out.values()];
    this.#out.clear();
    for (const { place, taker } of outs) taker.queue.returned(place, true);
    for (const { taker } of outs) taker.queue.dispatch();
  }

  #take(tag: number): Out | undefined {
    const out = this.#out.get(tag);
    this.#out.delete(tag);
    return out;
  }
}
