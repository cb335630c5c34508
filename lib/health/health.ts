/**
 * Health: whether a service can produce and consume, and what keeps it from doing so.
 *
 * `assess` and `diagnose` turn the states of connections, consumers and producers into a status; client/health-monitor.ts feeds them.
 * `StallDetector` finds consumers that settle nothing, `probes` answers an orchestrator (the entry point instance-queue/health). This
 * room imports the types of consumer/, producer/ and connection/ and the files in no room; it opens nothing and logs nothing.
 */
import {
  combineLatestWith,
  concat,
  connect,
  defer,
  distinctUntilChanged,
  map,
  of,
  switchMap,
  timer,
  type Observable,
  type OperatorFunction,
} from 'rxjs';
import type { ConnectionState } from '../connection/connection-state';
import type { ConsumerState } from '../consumer/consumer-state';
import type { OutboxState } from '../producer/producer-state';
import type { ProducerState } from '../producer/producer-state';
import type { Stall } from './stall';

/** The states of both connections. */
export interface InstanceQueueState {
  readonly producer: ConnectionState;
  readonly consumer: ConnectionState;
}

/** The state of a consumer, and the name of the queue in its options. */
export type ConsumerHealth = ConsumerState & {
  readonly queueName: string;
  /** It has settled nothing for `downAfter` ms, at its prefetch. A hint: it changes no status. */
  readonly stalled?: Stall;
};

/** Can this service produce and consume? */
export interface Health {
  /**
   * `up`: every connection in use is connected, every consumer attached (or paused on purpose), every producer in use has a
   * channel open that confirms, nothing blocked. A first message may take a second to open what it needs.
   * `degraded`: one of these is recovering, or a connection's credentials could not be renewed and are about to expire. `down`:
   * something gave up, or has not recovered within `downAfter` (a connection works until its credentials expire), or nothing was
   * asked of the queue yet.
   */
  readonly status: 'up' | 'degraded' | 'down';
  readonly connections: InstanceQueueState;
  readonly consumers: readonly ConsumerHealth[];
  /** The producers that have sent something and are not closed. */
  readonly producers: readonly ProducerState[];
  /** The broker's reason, while it blocks publishing. */
  readonly blocked?: string;
  /** A sample, taken when anything else changed. */
  readonly outbox: OutboxState;
}

/** What health is computed from. */
export interface Vitals {
  readonly connections: InstanceQueueState;
  readonly consumers: readonly ConsumerHealth[];
  readonly producers: readonly ProducerState[];
  readonly blocked: string | undefined;
}

/** Was nothing asked of the queue yet? */
export function isUnused({ connections, consumers, producers }: Vitals | Health): boolean {
  const { producer, consumer } = connections;
  const connected = producer.status !== 'disconnected' || consumer.status !== 'disconnected';
  return !connected && consumers.length === 0 && producers.length === 0;
}

/** The status of the moment. Pure: `diagnose` judges how long it has been so. */
export function assess(vitals: Vitals): Health['status'] {
  if (isUnused(vitals)) return 'down';
  const { connections, consumers, producers } = vitals;
  if ([connections.producer, connections.consumer].some(({ status }) => status === 'closed')) return 'down';
  if ([...consumers, ...producers].some(({ status }) => status === 'stopped')) return 'down';
  return works(vitals, isConnected, isOpen) ? 'up' : 'degraded';
}

const isConnected = (state: ConnectionState): boolean => state.status === 'connected' && !state.expiring;
const worksForNow = ({ status }: ConnectionState): boolean => status === 'connected';
const isOpen = ({ status }: ProducerState): boolean => status === 'open';
/** In its first attempt: nothing has gone wrong so far. */
const connects = (state: ConnectionState): boolean =>
  isConnected(state) || (state.status === 'connecting' && state.attempt === 1);
const opens = (state: ProducerState): boolean => isOpen(state) || (state.status === 'opening' && !state.cause);

function works(
  { connections, consumers, producers, blocked }: Vitals,
  connection: (state: ConnectionState) => boolean,
  producer: (state: ProducerState) => boolean,
): boolean {
  const used = [connections.producer, connections.consumer].filter(({ status }) => status !== 'disconnected');
  return (
    used.every(connection) &&
    consumers.every(({ status }) => status === 'attached' || status === 'paused' || status === 'draining') &&
    producers.every(producer) &&
    blocked === undefined
  );
}

/** ms that a first message may take to open what it needs. */
const OPENING = 1000;

/** The vitals with the status that they mean. */
export type Diagnosis = Vitals & Pick<Health, 'status'>;

/**
 * The status over time. A service that is up stays up while a first message opens its connection or channel, for at most a
 * second. A service that stays degraded for `downAfter` ms is down. Cold. Emits: the vitals with their status, for each of
 * `vitals$` and when a time is up. Completes and errors with `vitals$`.
 */
export function diagnose(vitals$: Observable<Vitals>, downAfter: number): Observable<Diagnosis> {
  return vitals$.pipe(
    map((vitals) => ({ ...vitals, status: assess(vitals) })),
    toleratingFirstUse,
    lasting((vitals) => vitals.status === 'degraded' && !works(vitals, worksForNow, isOpen), downAfter),
    map(([vitals, overdue]) => (overdue && vitals.status === 'degraded' ? { ...vitals, status: 'down' } : vitals)),
  );
}

function toleratingFirstUse(assessed$: Observable<Diagnosis>): Observable<Diagnosis> {
  return defer(() => {
    let before: Health['status'] = 'down';
    return assessed$.pipe(
      lasting(isOnlyOpening, OPENING),
      map(([vitals, overdue]) => {
        const tolerated = before === 'up' && !overdue && isOnlyOpening(vitals);
        if (!tolerated) before = vitals.status;
        return { ...vitals, status: before };
      }),
    );
  });
}

const isOnlyOpening = (vitals: Diagnosis): boolean => vitals.status === 'degraded' && works(vitals, connects, opens);

/** Each value with whether the condition has held for `ms`; the latest once more when it has. */
function lasting<T>(holds: (value: T) => boolean, ms: number): OperatorFunction<T, readonly [T, boolean]> {
  return connect((values$) => {
    const overdue$ = values$.pipe(
      map(holds),
      distinctUntilChanged(),
      switchMap((held) => (held ? concat(of(false), timer(ms).pipe(map(() => true))) : of(false))),
    );
    return values$.pipe(combineLatestWith(overdue$));
  });
}
