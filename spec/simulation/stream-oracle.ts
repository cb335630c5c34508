import type { InstanceQueue, Message } from 'instance-queue';
import { filter, take } from 'rxjs';
import type { StoredMessage } from '../../lib/testing/memory/stored-message';
import type { Universe } from '../../lib/testing/simulation/universe';
import { bodyIn, type Body } from './body';
import type { Findings } from './findings';
import type { Plan, ReaderPlan } from './plan';

type Violate = (rule: string, what: string) => void;

/** What one consumer of a stream was handed out, and what it settled. */
export class Reading {
  readonly #findings: Findings;
  readonly #breaks: Violate;
  readonly #prefetch: number;
  readonly #isFiltered: boolean;
  readonly #wants: (offset: number) => boolean;
  /** The app has made up its mind to be done with it. */
  readonly decided = new Set<number>();
  /** The library has accepted that it is settled. */
  readonly #settled = new Set<number>();
  /** Where it began, and how far it got. */
  #first: number | undefined;
  #last = -1;
  #lowest = 0;
  #reported: number | undefined;
  #over = false;
  /** How long the stream was when the consumer was seen attached. */
  attachedAt: number | undefined;

  constructor(
    findings: Findings,
    violate: Violate,
    { prefetch, filter }: ReaderPlan,
    readonly stream: string,
    readonly from: ReaderPlan['from'],
    /** Does its filter let a message pass? */
    wants: (offset: number) => boolean,
    /** Was the stream there? Of one that is made now the reader begins with the first message, if it is the one that makes it. */
    readonly existed: boolean,
  ) {
    this.#findings = findings;
    this.#breaks = violate;
    this.#prefetch = prefetch;
    this.#isFiltered = filter !== undefined;
    this.#wants = wants;
  }

  /** The app has made up its mind to be done with it, or it is not for the app. */
  isDone(offset: number): boolean {
    return this.decided.has(offset) || !this.#wants(offset);
  }

  get reported(): number | undefined {
    return this.#reported;
  }

  ends(): void {
    this.#over = true;
  }

  handedOut({ properties }: Message<unknown>): void {
    const offset = offsetOf(properties);
    this.#findings.note(`app: reads ${this.stream}/${String(offset)}`);
    if (this.#settled.has(offset)) this.#violate('what-is-settled-on-a-stream-is-not-read-again', offset);
    if (!this.#wants(offset)) this.#violate('a-filter-is-kept', offset);
    if (this.#first === undefined) this.#begins(offset);
    else if (this.#skips(this.#last + 1, offset)) this.#violate('nothing-of-a-stream-is-skipped', offset);
    this.#last = Math.max(this.#last, offset);
    while (this.#lowest <= offset && this.isDone(this.#lowest)) this.#lowest++;
    // What the filter of the broker leaves out does not count.
    if (!this.#isFiltered && offset >= this.#lowest + this.#prefetch) {
      this.#violate('a-stream-keeps-its-prefetch', offset);
    }
  }

  /** Is there one that it wants from `from` to `to`, `to` excluded? */
  #skips(from: number, to: number): boolean {
    for (let at = from; at < to; at++) if (this.#wants(at)) return true;
    return false;
  }

  #begins(offset: number): void {
    this.#first = offset;
    this.#lowest = offset;
    const wanted = this.#wanted();
    if (wanted !== undefined && this.#skips(wanted, offset)) this.#violate('nothing-of-a-stream-is-skipped', offset);
    if (this.from !== 'next' && wanted !== undefined && offset < wanted) {
      this.#violate('a-stream-begins-where-it-is-asked-to', offset);
    }
  }

  /** The first offset that it has to get; undefined: that is not known. */
  #wanted(): number | undefined {
    if (this.from === 'next') return this.attachedAt;
    if (this.from === 'first') return 0;
    return this.existed ? this.from : undefined;
  }

  decides({ properties }: Message<unknown>): void {
    this.decided.add(offsetOf(properties));
  }

  settled({ properties }: Message<unknown>): void {
    this.#settled.add(offsetOf(properties));
  }

  /** The library says that all is settled up to this offset. */
  reports(offset: number): void {
    this.#findings.note(`app: ${this.stream} is read up to ${String(offset)}`);
    if (offset <= (this.#reported ?? -1)) this.#violate('offsets-reported-grow', offset);
    for (let at = this.#first ?? this.#wanted() ?? offset + 1; at <= offset; at++) {
      if (!this.isDone(at)) this.#violate('a-reported-offset-is-settled', at);
    }
    this.#reported = offset;
  }

  /** Everything had time to arrive. `length`: of the stream. */
  calm(length: number): void {
    const wanted = this.#wanted();
    if (this.#over || wanted === undefined) return;
    for (let at = Math.min(wanted, this.#first ?? wanted); at < length; at++) {
      if (this.#wants(at) && !this.#settled.has(at)) this.#violate('nothing-of-a-stream-is-skipped', at);
    }
    let last = length - 1;
    while (last >= wanted && !this.#wants(last)) last--;
    if (last >= wanted && (this.#reported ?? -1) < last) this.#violate('the-last-offset-is-reported', last);
  }

  #violate(rule: string, offset: number): void {
    const from = `from ${String(this.from)} on, last ${String(this.#last)}, reported ${String(this.#reported)}`;
    this.#breaks(rule, `${this.stream}/${String(offset)}, read ${from}`);
  }
}

/** The rules about streams: read in order and without a gap, over every loss; acks for what is settled, and nothing but acks. */
export class StreamOracle {
  readonly #universe: Universe;
  readonly #findings: Findings;
  /** Offsets that count from 0 again are not followed. */
  readonly #startsOver: boolean;
  readonly #streams: ReadonlySet<string>;
  readonly #readings: Reading[] = [];
  readonly #filterValueOf: (body: Body | undefined) => string | undefined;

  /** `filterValueOf`: as its sender said. */
  constructor(
    universe: Universe,
    plan: Plan,
    findings: Findings,
    filterValueOf: (body: Body | undefined) => string | undefined,
  ) {
    this.#filterValueOf = filterValueOf;
    this.#universe = universe;
    this.#findings = findings;
    // A channel that ends with 404 while its reader asks for the stream says the same as a stream that is missing.
    this.#startsOver = plan.faults.some(
      (fault) => fault.kind === 'queue-deleted' || (fault.kind === 'channel-closed' && fault.replyCode === 404),
    );
    this.#streams = new Set(plan.queues.filter(({ type }) => type === 'stream').map(({ name }) => name));
  }

  has(queue: string): boolean {
    return this.#streams.has(queue);
  }

  begins(client: InstanceQueue, plan: ReaderPlan, stream: string, from: ReaderPlan['from']): Reading {
    const violate: Violate = (rule, what) => {
      if (!this.#startsOver) this.#findings.violate(rule, what);
    };
    const existed = this.#length(stream) !== undefined;
    const wants = (offset: number): boolean => this.#passes(plan, stream, offset);
    const reading = new Reading(this.#findings, violate, plan, stream, from, wants, existed);
    this.#readings.push(reading);
    const isAttached = filter<InstanceQueue['health']>(({ consumers }) =>
      consumers.some(({ queueName, status }) => queueName === stream && status === 'attached'),
    );
    client.health$.pipe(isAttached, take(1)).subscribe(() => {
      // With two on one stream it is open which of them is attached.
      const isAlone = !this.#readings.some((one) => one !== reading && one.stream === stream);
      if (isAlone) reading.attachedAt = this.#length(stream);
    });
    return reading;
  }

  /** The broker got a settlement. */
  settled({ properties }: StoredMessage, how: string, stream: string): void {
    const offset = offsetOf(properties);
    if (how !== 'ack') this.#findings.violate('a-stream-takes-acks-alone', `${how} of ${stream}/${String(offset)}`);
    const readings = this.#readings.filter((one) => one.stream === stream);
    if (this.#startsOver || readings.some((one) => one.isDone(offset))) return;
    this.#findings.violate('an-ack-of-a-stream-is-for-what-is-settled', `${stream}/${String(offset)}`);
  }

  calm(): void {
    for (const reading of this.#readings) reading.calm(this.#length(reading.stream) ?? 0);
  }

  #passes({ filter }: ReaderPlan, stream: string, offset: number): boolean {
    if (!filter) return true;
    const body = this.#universe.broker.vhost.find(stream)?.ready[offset]?.message.content;
    const value = this.#filterValueOf(body && bodyIn(body));
    return value === undefined ? filter.matchUnfiltered : filter.values.includes(value);
  }

  #length(stream: string): number | undefined {
    return this.#universe.broker.vhost.find(stream)?.ready.length;
  }
}

/** As the broker wrote it. */
const offsetOf = ({ headers }: StoredMessage['properties'] | Message<unknown>['properties']): number =>
  Number(headers?.['x-stream-offset']);
