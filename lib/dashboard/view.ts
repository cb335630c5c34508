import { lastValueFrom, type Observable } from 'rxjs';
import type { Metrics } from '../client/metrics';
import { sentenceOf } from '../errors';
import type { ConsumerHealth, Health, InstanceQueueState } from '../health/health';
import type { LogLine } from './event-log';
import type { Point } from './rates';
import type { Span } from './timeline';

/** `Health` for the page: plain data without errors. */
export interface HealthView {
  readonly status: Health['status'];
  readonly connections: Readonly<
    Record<keyof InstanceQueueState, { readonly status: string; readonly endpoint?: string }>
  >;
  readonly consumers: readonly ConsumerView[];
}
interface ConsumerView {
  readonly queue: string;
  readonly status: string;
  readonly tag?: string;
  readonly epoch?: number;
}

/** Rates, gauges and counters, twice a second. */
export interface Sample {
  readonly point: Point;
  readonly metrics: Metrics;
}

/** What a page gets when it opens. */
export interface Present {
  readonly title: string;
  /** The period that the page shows, in ms. */
  readonly window: number;
  /** The wall clock of the service. */
  readonly now: number;
  readonly health: HealthView;
  readonly spans: Readonly<Record<keyof InstanceQueueState, readonly Span[]>>;
  readonly points: readonly Point[];
  readonly metrics: Metrics;
  readonly log: readonly LogLine[];
}

/** The events sent to a page, by name; their data is sent as JSON. */
export interface PageEvents {
  readonly present: Present;
  readonly health: HealthView;
  readonly spans: { readonly role: keyof InstanceQueueState; readonly spans: readonly Span[] };
  readonly sample: Sample;
  readonly log: LogLine;
  /** The queue is closed. */
  readonly end: null;
}
export type PageEvent = { [Name in keyof PageEvents]: readonly [name: Name, data: PageEvents[Name]] }[keyof PageEvents];

export function viewOf({ status, connections, consumers }: Health): HealthView {
  const { producer, consumer } = connections;
  const connection = (state: Health['connections']['producer']): { status: string; endpoint?: string } => ({
    status: state.status,
    ...(state.status === 'connected' && { endpoint: state.endpoint }),
  });
  return {
    status,
    connections: { producer: connection(producer), consumer: connection(consumer) },
    consumers: consumers.map(consumerView),
  };
}

function consumerView(state: ConsumerHealth): ConsumerView {
  const { queueName, status } = state;
  return { queue: queueName, status, ...(state.status === 'attached' && { tag: state.tag, epoch: state.epoch }) };
}

/** A group of letters, as the page shows it. */
interface GroupView {
  readonly reason: string;
  readonly queue: string | undefined;
  readonly error: { readonly name: string; readonly message: string } | undefined;
  readonly count: number;
  readonly newest: Date | undefined;
}

/** A dead-letter queue that can be looked at: `deadLetters(queue, name)` of `instance-queue/tools`. */
export interface HasDeadLetters {
  readonly name: string;
  /** Cold. Emits: counts, the last of which are those of the whole look. Completes: after the look. Errors: if it is refused. */
  groups(): Observable<{
    readonly found: number;
    readonly read: number;
    readonly groups: readonly GroupView[];
    readonly others: number;
  }>;
}

/** What the page gets about one queue: its groups, or why there are none. */
export type DeadLetterView =
  | { readonly name: string; readonly error: string }
  | {
      readonly name: string;
      readonly found: number;
      readonly read: number;
      readonly others: number;
      readonly groups: readonly GroupView[];
    };

/** ms for which a look is shown to all who ask: each look makes the broker deliver the letters. */
const FRESH = 5000;

/** Looks at dead-letter queues for any number of pages, one look at a time. */
export class DeadLetterLooks {
  readonly #queues: readonly HasDeadLetters[];
  #look: Promise<readonly DeadLetterView[]> | undefined;
  #until = 0;

  constructor(queues: readonly HasDeadLetters[]) {
    this.#queues = queues;
  }

  /** Never rejects. */
  look(): Promise<readonly DeadLetterView[]> {
    if (!this.#look || performance.now() > this.#until) {
      this.#until = Infinity;
      this.#look = Promise.all(this.#queues.map(lookAt)).finally(() => {
        this.#until = performance.now() + FRESH;
      });
    }
    return this.#look;
  }
}

async function lookAt(queue: HasDeadLetters): Promise<DeadLetterView> {
  const { name } = queue;
  try {
    const { found, read, others, groups } = await lastValueFrom(queue.groups());
    return { name, found, read, others, groups };
  } catch (error) {
    return { name, error: sentenceOf(error) };
  }
}
