import type { InstanceQueue, Message } from 'instance-queue';
import { filter, take } from 'rxjs';
import type { StoredMessage } from '../../lib/testing/memory/stored-message';
import type { Universe } from '../../lib/testing/simulation/universe';
import type { Findings } from './findings';
import type { Plan, ReaderPlan } from './plan';

type Violate = (rule: string, what: string) => void;

/** What one consumer of a stream was handed out, and what it settled. */
export class Reading {
  readonly #findings: Findings;
  readonly #breaks: Violate;
  readonly #prefetch: number;
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
    prefetch: number,
    readonly stream: string,
    readonly from: ReaderPlan['from'],
    /** Was the stream there? Of one that is made now the reader begins with the first message, if it is the one that makes it. */
    readonly existed: boolean,
  ) {
    this.#findings = findings;
    this.#breaks = violate;
    this.#prefetch = prefetch;
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
    if (this.#first === undefined) this.#begins(offset);
    else if (offset > this.#last + 1) this.#violate('nothing-of-a-stream-is-skipped', offset);
    this.#last = Math.max(this.#last, offset);
    while (this.decided.has(this.#lowest)) this.#lowest++;
    if (offset >= this.#lowest + this.#prefetch) this.#violate('a-stream-keeps-its-prefetch', offset);
  }

  #begins(offset: number): void {
    this.#first = offset;
    this.#lowest = offset;
    const wanted = this.#wanted();
    if (wanted !== undefined && offset > wanted) this.#violate('nothing-of-a-stream-is-skipped', offset);
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
    for (let at = this.#first ?? 0; at <= offset; at++) {
      if (!this.decided.has(at)) this.#violate('a-reported-offset-is-settled', at);
    }
    this.#reported = offset;
  }

  /** Everything had time to arrive. `length`: of the stream. */
  calm(length: number): void {
    const wanted = this.#wanted();
    if (this.#over || wanted === undefined) return;
    for (let at = Math.min(wanted, this.#first ?? wanted); at < length; at++) {
      if (!this.#settled.has(at)) this.#violate('nothing-of-a-stream-is-skipped', at);
    }
    if (length > wanted && this.#reported !== length - 1) this.#violate('the-last-offset-is-reported', length - 1);
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

  constructor(universe: Universe, plan: Plan, findings: Findings) {
    this.#universe = universe;
    this.#findings = findings;
    this.#startsOver = plan.faults.some(({ kind }) => kind === 'queue-deleted');
    this.#streams = new Set(plan.queues.filter(({ type }) => type === 'stream').map(({ name }) => name));
  }

  has(queue: string): boolean {
    return this.#streams.has(queue);
  }

  begins(client: InstanceQueue, { prefetch }: ReaderPlan, stream: string, from: ReaderPlan['from']): Reading {
    const violate: Violate = (rule, what) => {
      if (!this.#startsOver) this.#findings.violate(rule, what);
    };
    const existed = this.#length(stream) !== undefined;
    const reading = new Reading(this.#findings, violate, prefetch, stream, from, existed);
    const others = this.#readings.some((one) => one.stream === stream);
    this.#readings.push(reading);
    const isAttached = filter<InstanceQueue['health']>(({ consumers }) =>
      consumers.some(({ queueName, status }) => queueName === stream && status === 'attached'),
    );
    // With two on one stream it is open which of them is attached.
    if (!others) {
      client.health$.pipe(isAttached, take(1)).subscribe(() => {
        reading.attachedAt = this.#length(stream);
      });
    }
    return reading;
  }

  /** The broker got a settlement. */
  settled({ properties }: StoredMessage, how: string, stream: string): void {
    const offset = offsetOf(properties);
    if (how !== 'ack') this.#findings.violate('a-stream-takes-acks-alone', `${how} of ${stream}/${String(offset)}`);
    const readings = this.#readings.filter((one) => one.stream === stream);
    if (this.#startsOver || readings.some(({ decided }) => decided.has(offset))) return;
    this.#findings.violate('an-ack-of-a-stream-is-for-what-is-settled', `${stream}/${String(offset)}`);
  }

  calm(): void {
    for (const reading of this.#readings) reading.calm(this.#length(reading.stream) ?? 0);
  }

  #length(stream: string): number | undefined {
    return this.#universe.broker.vhost.find(stream)?.ready.length;
  }
}

/** As the broker wrote it. */
const offsetOf = ({ headers }: StoredMessage['properties'] | Message<unknown>['properties']): number =>
  Number(headers?.['x-stream-offset']);
