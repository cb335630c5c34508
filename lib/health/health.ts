import {
  combineLatestWith,
  connect,
  distinctUntilChanged,
  map,
  of,
  startWith,
  switchMap,
  timer,
  type Observable,
} from 'rxjs';
import type { ConnectionState } from '../connection/supervisor';
import type { ConsumerState } from '../consumer/consumer-state';
import type { OutboxState } from '../producer/producer';
import type { ProducerState } from '../producer/producer-state';

/** Where both connections are. */
export interface InstanceQueueState {
  readonly producer: ConnectionState;
  readonly consumer: ConnectionState;
}

/** A consumer's state, and the queue it was asked for. */
export type ConsumerHealth = ConsumerState & { readonly queueName: string };

/** Can this service produce and consume? */
export interface Health {
  /**
   * `up`: every connection in use is connected, every consumer attached (or paused on purpose), every producer in use has a
   * channel open that confirms, nothing blocked.
   * `degraded`: one of these is recovering. `down`: something gave up, or has not recovered within `downAfter`, or nothing was ever asked for.
   */
  readonly status: 'up' | 'degraded' | 'down';
  readonly connections: InstanceQueueState;
  readonly consumers: readonly ConsumerHealth[];
  /** Those that were sent with, and are not closed. */
  readonly producers: readonly ProducerState[];
  /** The broker's reason, while it blocks publishing. */
  readonly blocked?: string;
  /** A sample, taken when the rest changed. */
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

/** The verdict of the moment. Pure; how long it has been so is judged by `healthStatus`. */
export function assess(vitals: Vitals): Health['status'] {
  if (isUnused(vitals)) return 'down';
  const { connections, consumers, producers, blocked } = vitals;
  const used = [connections.producer, connections.consumer].filter(({ status }) => status !== 'disconnected');
  if (used.some(({ status }) => status === 'closed')) return 'down';
  if ([...consumers, ...producers].some(({ status }) => status === 'stopped')) return 'down';
  const fine =
    used.every(({ status }) => status === 'connected') &&
    consumers.every(({ status }) => status === 'attached' || status === 'paused' || status === 'draining') &&
    producers.every(({ status }) => status === 'open') &&
    blocked === undefined;
  return fine ? 'up' : 'degraded';
}

/**
 * The verdict over time: what stays degraded for `downAfter` ms is down. Cold. Emits: the vitals with their verdict, for
 * each of `vitals$` and when the time is up. Completes and errors with `vitals$`.
 */
export function diagnose(vitals$: Observable<Vitals>, downAfter: number): Observable<Vitals & Pick<Health, 'status'>> {
  return vitals$.pipe(
    map((vitals) => ({ vitals, status: assess(vitals) })),
    connect((assessed$) => {
      const overdue$ = assessed$.pipe(
        map(({ status }) => status === 'degraded'),
        distinctUntilChanged(),
        switchMap((degraded) =>
          degraded
            ? timer(downAfter).pipe(
                map(() => true),
                startWith(false),
              )
            : of(false),
        ),
      );
      return assessed$.pipe(combineLatestWith(overdue$));
    }),
    map(([{ vitals, status }, overdue]) => ({ ...vitals, status: overdue && status === 'degraded' ? 'down' : status })),
  );
}
