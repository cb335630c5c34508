import type { Random } from '../../../lib/testing/simulation/random';
import type { Latency } from '../../../lib/testing/simulation/simulated-line';

/** The time in which a network runs: that of a simulated world, or the real one. */
export interface Clock {
  /** ms. */
  readonly now: number;
  /** Runs `task` after `ms`, unless `waiting` is made false before. */
  after(ms: number, task: () => void): Waiting;
}
export interface Waiting {
  waiting: boolean;
}

/** Into how many reads the bytes that have arrived are split. */
export type Reads = 'whole' | 'split' | 'bytes';

/** What the network is like. */
export interface LineOptions {
  readonly latency: Latency;
  /** Bytes that the kernels of both ends hold before the sender has to wait. */
  readonly window: number;
  readonly reads: Reads;
}

/** The end that reads. */
export interface LineReader {
  read(bytes: Buffer): void;
  /** The other end has closed (`fin`) or aborted (`rst`) the connection. */
  end(how: 'fin' | 'rst'): void;
}

type Sent = { readonly at: number } & ({ readonly bytes: Buffer } | { readonly end: 'fin' | 'rst' });

/** Of the bytes that arrive together, up to so many are read one by one with `bytes`: a header and a little more. */
const ONE_BY_ONE = 24;
/** ms between two reads of bytes that arrived together. */
const NEXT_READ = 0.001;

/** One direction of a TCP connection: bytes in order, with latency, in reads of any size. */
export class ByteLine {
  reader: LineReader | undefined;
  /** Called when the sender has room again. */
  onRoom: () => void = () => undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: LineOptions;
  readonly #sent: Sent[] = [];
  /** Arrived, and not read. */
  #inbox: Buffer = Buffer.alloc(0);
  #size = 0;
  /** How many more bytes are read one by one. */
  #singles = 0;
  #latest = 0;
  #timer: Waiting | undefined;
  #holds = 0;
  #paused = false;
  #dead = false;
  #left = Infinity;
  #onCut: () => void = () => undefined;

  constructor(clock: Clock, random: Random, options: LineOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
  }

  /** Is anything on its way that will be read? */
  get busy(): boolean {
    return !this.#dead && (this.#sent.length > 0 || this.#inbox.length > 0);
  }
  /** How many bytes the sender may hand over. */
  get room(): number {
    return Math.max(0, this.#options.window - this.#size);
  }

  /** Copies the bytes, as a kernel does. */
  send(bytes: Uint8Array): void {
    if (bytes.length > 0) this.give(Buffer.from(bytes));
  }

  /** Takes bytes that the sender does not change any more. */
  give(bytes: Buffer): void {
    this.#size += bytes.length;
    this.#push({ at: this.#due(), bytes });
  }

  end(how: 'fin' | 'rst'): void {
    // What was not read when a connection is aborted is lost.
    if (how === 'rst') this.#clear();
    this.#push({ at: this.#due(), end: how });
  }

  /** Nothing arrives until as many releases. */
  hold(): void {
    this.#holds++;
    this.#stop();
  }
  release(): void {
    this.#holds--;
    this.#await();
  }

  /** The reader reads no further until `resume`. */
  pause(): void {
    this.#paused = true;
    this.#stop();
  }
  resume(): void {
    this.#paused = false;
    this.#await();
  }

  /** Nothing arrives any more, and no end either. */
  die(): void {
    this.#dead = true;
    this.#stop();
  }

  /** Calls back once some more bytes have been read; those behind them are not. */
  cutAfter(bytes: number, onCut: () => void): void {
    this.#left = bytes;
    this.#onCut = onCut;
    if (bytes === 0) this.#cut();
  }

  #due(): number {
    const { least, most } = this.#options.latency;
    return (this.#latest = Math.max(this.#latest, this.#clock.now + least + this.#random.next() * (most - least)));
  }

  #push(sent: Sent): void {
    if (this.#dead) return;
    this.#sent.push(sent);
    this.#await();
  }

  #clear(): void {
    this.#sent.length = 0;
    this.#inbox = Buffer.alloc(0);
    this.#size = 0;
    this.#stop();
  }

  #stop(): void {
    if (this.#timer) this.#timer.waiting = false;
    this.#timer = undefined;
  }

  #await(): void {
    const [first] = this.#sent;
    if (this.#timer || this.#holds > 0 || this.#paused || this.#dead) return;
    if (this.#inbox.length === 0 && !first) return;
    const wait = this.#inbox.length > 0 ? NEXT_READ : Math.max(NEXT_READ, (first?.at ?? 0) - this.#clock.now);
    this.#timer = this.#clock.after(wait, () => {
      this.#timer = undefined;
      this.#arrive();
      this.#await();
    });
  }

  #arrive(): void {
    if (this.#inbox.length === 0) this.#gather();
    if (this.#inbox.length === 0) {
      const [first] = this.#sent;
      if (first === undefined || 'bytes' in first) return;
      this.#sent.shift();
      this.reader?.end(first.end);
      return;
    }
    const piece = this.#inbox.subarray(0, Math.min(this.#pieceSize(), this.#left));
    this.#inbox = this.#inbox.subarray(piece.length);
    this.#size -= piece.length;
    this.#left -= piece.length;
    this.reader?.read(piece);
    this.onRoom();
    if (this.#left === 0) this.#cut();
  }

  #gather(): void {
    const arrived: Buffer[] = [];
    for (let [first] = this.#sent; first && 'bytes' in first && first.at <= this.#clock.now; [first] = this.#sent) {
      arrived.push(first.bytes);
      this.#sent.shift();
    }
    this.#inbox = arrived.length === 1 && arrived[0] ? arrived[0] : Buffer.concat(arrived);
    if (this.#options.reads === 'bytes') this.#singles = this.#random.integer(0, ONE_BY_ONE);
  }

  #pieceSize(): number {
    const { length } = this.#inbox;
    const { reads } = this.#options;
    if (reads === 'whole') return length;
    if (this.#singles-- > 0) return 1;
    return this.#random.chance(0.6) ? length : this.#random.integer(1, length);
  }

  #cut(): void {
    this.#left = Infinity;
    this.#clear();
    this.#onCut();
  }
}
