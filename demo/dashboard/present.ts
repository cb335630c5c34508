import type { ConsumerHealth, Health, Metrics, Role } from 'instance-queue';
import type { Balance } from './books';
import type { LogLine } from './log-tail';
import type { Point } from './meter';
import type { TroubleState } from './runner';
import type { Span } from './timeline';

/** `health$` as the page needs it: errors are their messages. */
export interface HealthView {
  readonly status: Health['status'];
  readonly connections: Readonly<Record<Role, { readonly status: string; readonly endpoint?: string }>>;
  readonly consumers: readonly {
    readonly queue: string;
    readonly status: string;
    readonly tag?: string;
    readonly epoch?: number;
  }[];
  readonly paused: boolean;
}

/** Twice a second: how much of everything. */
export interface Sample {
  readonly point: Point;
  readonly balance: Balance;
  readonly metrics: Metrics;
}

/** All that there is to know, for a page that has just come. */
export interface Present {
  readonly broker: { readonly version: string; readonly where: string; readonly queue: string };
  /** ms that the page looks back. */
  readonly window: number;
  /** Of the wall clock here, from which the page counts. */
  readonly now: number;
  readonly health: HealthView;
  readonly spans: Readonly<Record<Role, readonly Span[]>>;
  readonly points: readonly Point[];
  readonly sample: Sample;
  readonly troubles: readonly TroubleState[];
  readonly log: readonly LogLine[];
}

/** What the page is told, event by event, as JSON. */
export interface PageEvents {
  readonly present: Present;
  readonly health: HealthView;
  readonly spans: { readonly role: Role; readonly spans: readonly Span[] };
  readonly sample: Sample;
  readonly trouble: TroubleState;
  readonly log: LogLine;
  /** The dashboard is being closed; `balance` is missing until all is counted. */
  readonly end: { readonly balance?: Balance };
}

export function viewOf({ status, connections, consumers }: Health, paused: boolean): HealthView {
  const { producer, consumer } = connections;
  return {
    status,
    connections: { producer: connectionView(producer), consumer: connectionView(consumer) },
    consumers: consumers.map(consumerView),
    paused,
  };
}

function connectionView(state: Health['connections'][Role]): { readonly status: string; readonly endpoint?: string } {
  return { status: state.status, ...(state.status === 'connected' && { endpoint: state.endpoint }) };
}

function consumerView(state: ConsumerHealth): HealthView['consumers'][number] {
  const { queueName, status } = state;
  return { queue: queueName, status, ...(state.status === 'attached' && { tag: state.tag, epoch: state.epoch }) };
}
