import { types } from 'node:util';
import { timer, type Subscription } from 'rxjs';
import { isolated } from '../../reactive/isolated';
import type { Logger } from '../../log';
import type { Arguments } from '../../properties';
import type { InboundMessage } from '../../transport/transport';
import { StreamOffset } from './offset-tracking';

/** Where to begin in a stream: its first message, its last chunk, what comes next, an offset, or a time. */
export type StreamStart = 'first' | 'last' | 'next' | number | Date;

/** ms in which progress is told once. */
const TELL_EVERY = 2;
const OFFSET = 'x-stream-offset';

/** One consumer's way through a stream, over all its attachments: where it began, where it is, who is told. */
export class StreamReader {
  readonly place = new StreamOffset();
  readonly #queue: string;
  readonly #log: Logger;
  readonly #onOffset: ((offset: number) => void) | undefined;
  #start: StreamStart;
  /** The offset that the present attachment was to begin with. */
  #asked: number | undefined;
  #askedAt = 0;
  #telling: Subscription | undefined;
  #told: number | undefined;

  constructor(
    options: {
      readonly queueName: string;
      readonly offset: StreamStart;
      readonly onOffset?: (offset: number) => void;
    },
    log: Logger,
  ) {
    this.#queue = options.queueName;
    this.#start = options.offset;
    this.#onOffset = options.onOffset;
    this.#log = log;
  }

  /** What `basic.consume` is sent with now. https://www.rabbitmq.com/docs/streams#consuming */
  arguments(): Arguments {
    const start = this.place.resumeAt ?? this.#start;
    this.#asked = typeof start === 'number' ? start : undefined;
    this.#askedAt = Date.now();
    const seconds = (ms: number): unknown => ({ '!': 'timestamp', value: Math.floor(ms / 1000) });
    return { [OFFSET]: types.isDate(start) ? seconds(start.getTime()) : start };
  }

  /** The broker has accepted it. */
  attached(): void {
    // From here on nothing may be skipped, also if the link is lost before the first message comes.
    if (this.#start === 'next') this.#start = new Date(this.#askedAt);
  }

  /** Does it go on from somewhere? Then the stream should be there already. */
  get resumes(): boolean {
    return this.place.resumeAt !== undefined || typeof this.#start === 'number';
  }

  /** The queue is not there, so another is about to be made: its offsets begin anew, and all in it is new. */
  missing(): void {
    if (!this.resumes) return;
    this.#log.warn(
      { queue: this.#queue, position: this.place.position },
      'stream is gone: the new one is read from its first offset',
    );
    this.place.reset();
    this.#told = undefined;
    this.#start = 'first';
  }

  /** The offset of a message that came. */
  read({ headers }: InboundMessage): number {
    const offset: unknown = headers?.[OFFSET];
    if (typeof offset !== 'number') throw new TypeError('A message of a stream has no offset.');
    if (this.#asked !== undefined && offset > this.#asked) {
      const skipped = { queue: this.#queue, expected: this.#asked, got: offset };
      this.#log.warn(skipped, 'stream begins later than expected: what lay between was removed by its retention');
      if (this.place.begin(offset)) this.#progress();
    }
    this.#asked = undefined;
    return offset;
  }

  settled(offset: number): void {
    if (this.place.settle(offset)) this.#progress();
  }

  /** Tells at once how far it got, if that is not known yet. */
  tell(): void {
    this.#telling?.unsubscribe();
    this.#telling = undefined;
    const { position } = this.place;
    if (position === undefined || position === this.#told) return;
    this.#told = position;
    isolated(() => this.#onOffset?.(position));
  }

  #progress(): void {
    if (!this.#onOffset) return;
    this.#telling ??= timer(TELL_EVERY).subscribe(() => {
      this.tell();
    });
  }
}
