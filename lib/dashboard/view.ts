import type { Metrics } from '../client/metrics';
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
