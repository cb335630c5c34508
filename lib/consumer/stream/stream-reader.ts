import { timer, type Subscription } from 'rxjs';
import { intervalOf } from '../../interval';
import { isolated } from '../../reactive/isolated';
import type { Logger } from '../../log';
import type { Arguments } from '../../properties';
import type { InboundMessage } from '../../transport/transport';
import { OffsetTracker } from './offset-tracker';
import { STREAM_OFFSET, startArgument, type StreamStart } from './stream-start';

/** Shortest time in ms between two calls of `onOffset`. */
const REPORT_EVERY = 2;
/** https://www.rabbitmq.com/docs/stream-filtering */
const FILTER = 'x-stream-filter';

const SECOND = 1000;
/** Seconds that a broker may take longer to answer this attach than it took to answer the first one. */
const LEEWAY = 5;
/** In seconds, 31 years: as many digits as the broker in memory reads. */
const LONGEST_INTERVAL = 999_999_999;

/** By both clocks of this machine, ms. */
interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}
const moment = (): Moment => ({ monotonic: performance.now(), wall: Date.now() });
/** ms. The monotonic clock stands still while the machine sleeps, and the other one can be set: the longer time skips nothing. */
const since = ({ monotonic, wall }: Moment): number => Math.max(0, performance.now() - monotonic, Date.now() - wall);

export interface StreamReaderOptions {
  readonly queueName: string;
  readonly offset: StreamStart;
  readonly onOffset?: (offset: number) => void;
  readonly arguments: Arguments;
}

/** One consumer's way through a stream, across all its attachments: where it started, and how far it got. */
export class StreamReader {
  readonly place = new OffsetTracker();
  readonly #options: StreamReaderOptions;
  readonly #log: Logger;
  #start: StreamStart;
  /** When the present attachment was asked for. */
  #askedAt: Moment = moment();
  /** When the first one was, if the start depends on that. */
  #beganAt: Moment | undefined;
  /** When the stream was found empty, before the first attach of one that starts at 'last'. */
  #emptyAt: Moment | undefined;
  /** The offset that the present attachment asked for, until its first message came. */
  #asked: number | undefined;
  #reporting: Subscription | undefined;
  #reported: number | undefined;

  constructor(options: StreamReaderOptions, log: Logger) {
    this.#options = options;
    this.#start = options.offset;
    this.#log = log;
  }

  /** The arguments of `basic.consume` for an attach now. */
  arguments(): Arguments {
    const start = this.place.resumeAt ?? this.#startNow;
    this.#asked = typeof start === 'number' ? start : undefined;
    this.#askedAt = moment();
    return startArgument(start);
  }

  /** The broker accepted them. */
  attached(): void {
    // What counts from the time of an attach is fixed by the first one: nothing may be skipped, even if the link is lost
    // before the first message comes.
    if (this.#start === 'next' || intervalOf(this.#start) !== undefined) this.#beganAt ??= this.#askedAt;
    // There was nothing to be the last: the start is whatever came since.
    else this.#beganAt ??= this.#emptyAt;
  }

  /** Does it depend on whether the stream holds anything now where the reader starts? */
  get startsAtLast(): boolean {
    return this.#start === 'last' && this.#beganAt === undefined && this.place.resumeAt === undefined;
  }

  /** What the stream holds, just before an attach. */
  found({ empty }: { readonly empty: boolean }): void {
    this.#emptyAt = empty ? moment() : undefined;
  }

  /**
   * Where to start, unless something was handed out. What began at a time is asked for as an interval, which the broker takes
   * from its own clock: by a time of this machine's clock, if that is ahead, it would leave out what came meanwhile.
   */
  get #startNow(): StreamStart {
    if (this.#beganAt === undefined) return this.#start;
    const back = (intervalOf(this.#start) ?? 0) + since(this.#beganAt);
    return `${Math.min(Math.ceil(back / SECOND) + LEEWAY, LONGEST_INTERVAL)}s`;
  }

  /** Does the next attach need the stream as it was? */
  get resumes(): boolean {
    return this.place.resumeAt !== undefined || typeof this.#start === 'number';
  }

  /** The queue is missing. One that is made in its place counts its offsets from 0, and all its messages are new. */
  missing(): void {
    if (!this.resumes) return;
    this.#log.warn(
      { queue: this.#options.queueName, position: this.place.position },
      'stream is gone: the new one is read from its first offset',
    );
    this.place.reset();
    this.#reported = undefined;
    this.#start = 'first';
  }

  /** Takes a message that came, and returns its offset. */
  read({ headers }: InboundMessage): number {
    const offset: unknown = headers?.[STREAM_OFFSET];
    if (typeof offset !== 'number') throw new TypeError('A message of a stream has no offset.');
    if (this.#asked !== undefined && offset > this.#asked) this.#beganLater(this.#asked, offset);
    this.#asked = undefined;
    return offset;
  }

  settled(offset: number): void {
    if (this.place.settle(offset)) this.#progress();
  }

  /** Calls `onOffset` now, if the position has advanced since the last call. */
  report(): void {
    this.#reporting?.unsubscribe();
    this.#reporting = undefined;
    const { position } = this.place;
    if (position === undefined || position === this.#reported) return;
    this.#reported = position;
    isolated(() => this.#options.onOffset?.(position));
  }

  /** The first message of an attachment comes from behind the offset that was asked for. */
  #beganLater(expected: number, got: number): void {
    const { queueName: queue, arguments: args } = this.#options;
    const before = this.place.position;
    const unsettled = this.place.resumedAt(got);
    // With a filter the broker leaves out chunks without a match; what it sent before, it would send again.
    const filtered = args[FILTER] !== undefined && unsettled === 0;
    if (!filtered) {
      this.#log.warn(
        { queue, expected, got },
        'stream begins later than expected: retention removed the messages in between',
      );
    }
    if (this.place.position !== before) this.#progress();
  }

  #progress(): void {
    if (!this.#options.onOffset) return;
    this.#reporting ??= timer(REPORT_EVERY).subscribe(() => {
      this.report();
    });
  }
}
