import { Subject, type Observable } from 'rxjs';
import type { Replies, Requests } from '../memory/reply-line';
import type { Random } from './random';

/** How long what is sent takes, ms. */
export interface Latency {
  readonly least: number;
  readonly most: number;
}

/** So much on its way fills the buffer of the sender. */
const FULL = 15;

/** One direction of a connection: in order, with latency, held or cut. Several messages may arrive in one read. */
export class SimulatedLine implements Replies, Requests {
  readonly gathersConfirms = true;
  readonly drain$: Observable<void>;
  readonly #drain$ = new Subject<void>();
  readonly #random: Random;
  readonly #latency: Latency;
  readonly #sent: { readonly at: number; readonly arrive: () => void }[] = [];
  #latest = 0;
  #timer: NodeJS.Timeout | undefined;
  #held = false;
  #cut = false;
  #full = false;
  /** How many messages arrive before it is cut. */
  #left = Infinity;
  #onCut: () => void = () => undefined;

  constructor(random: Random, latency: Latency, held = false) {
    this.#random = random;
    this.#latency = latency;
    this.#held = held;
    this.drain$ = this.#drain$.asObservable();
  }

  get busy(): boolean {
    return this.#sent.length > 0;
  }
  get writable(): boolean {
    return !this.#full;
  }

  send(arrive: () => void): void {
    if (this.#cut) return;
    const { least, most } = this.#latency;
    this.#latest = Math.max(this.#latest, performance.now() + least + this.#random.next() * (most - least));
    this.#sent.push({ at: this.#latest, arrive });
    if (this.#sent.length >= FULL) this.#full = true;
    this.#await();
  }

  hold(): void {
    this.#held = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  release(): void {
    this.#held = false;
    this.#await();
  }

  /** Drops what is on its way, and everything after it. */
  cut(): void {
    this.#cut = true;
    this.#sent.length = 0;
    this.hold();
  }

  /** Cuts after that many further messages, and calls back. */
  cutAfter(messages: number, onCut: () => void): void {
    this.#left = messages;
    this.#onCut = onCut;
  }

  #await(): void {
    const first = this.#sent[0];
    if (this.#held || this.#timer !== undefined || first === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#arrive();
      },
      Math.max(1, first.at - performance.now()),
    );
  }

  /** All that is due arrives in one read. */
  #arrive(): void {
    try {
      for (let first = this.#sent[0]; first && first.at <= performance.now() && !this.#held; first = this.#sent[0]) {
        if (this.#left-- <= 0) {
          this.cut();
          this.#onCut();
          return;
        }
        this.#sent.shift();
        first.arrive();
      }
    } finally {
      if (this.#full && this.#sent.length < FULL / 2) {
        this.#full = false;
        this.#drain$.next();
      }
      this.#await();
    }
  }
}
