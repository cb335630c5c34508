import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Message, Settlement } from '../consumer/delivery';
import { originOf } from '../diagnostics';
import { isInstanceQueueError, nameOf, PublishError, type PublishErrorCode } from '../errors';
import type { DiagnosticsEvents, DiagnosticsTraces } from './diagnostics-events';
import { expected } from '../options';
import type { InstanceQueue } from './instance-queue';

/** What became of one `send`, and in how many seconds. */
export interface SentMessage {
  /** '' is the default exchange. */
  readonly exchange: string;
  /** The name of a queue, where the exchange is the default exchange. */
  readonly routingKey: string;
  /** Why it rejected: the code of an error of this library, else the error's name. */
  readonly failure: string | undefined;
  /** Was it written to a connection at least once? */
  readonly attempted: boolean;
  readonly seconds: number;
}

/** Synchronous callbacks for the messages of one InstanceQueue. */
export interface TrafficObserver {
  sent(message: SentMessage): void;
  delivered(message: Message<unknown>): void;
  /** `seconds` since the delivery was handed out. */
  settled(message: Message<unknown>, settlement: Settlement | 'lost', seconds: number): void;
}

/** Failures after which the broker has seen the message; the others say it with `maybeDelivered`. */
const ANSWERED: ReadonlySet<PublishErrorCode> = new Set(['PUBLISH_NACKED', 'PUBLISH_RETURNED', 'PUBLISH_REFUSED']);

const wasAttempted = (error: unknown): boolean =>
  error instanceof PublishError && (ANSWERED.has(error.code) || error.maybeDelivered);

const failureOf = (error: unknown): string => (isInstanceQueueError(error) ? error.code : nameOf(error));

/** What is listened to, by the names of the channels. */
type Listeners = {
  readonly [K in keyof DiagnosticsTraces as `tracing:${K}:${'start' | 'asyncEnd'}`]: (
    trace: DiagnosticsTraces[K],
  ) => void;
} & { readonly [K in 'instance-queue:deliver']: (event: DiagnosticsEvents[K]) => void };

/** @throws OptionsError if it is no InstanceQueue, whose messages could be observed */
export function checkObserved(queue: unknown): void {
  if (typeof Reflect.get(Object(queue), 'uses') !== 'function') throw expected('queue', 'an InstanceQueue', queue);
}

/**
 * Observes the messages of `queue` until it is closed, or until the returned function is called. Until then every
 * InstanceQueue of the process publishes its traces, which costs some 1 µs per message.
 */
export function observeTraffic(queue: InstanceQueue, observer: TrafficObserver): () => void {
  const began = new WeakMap<object, number>();
  const secondsSince = (trace: object): number | undefined => {
    const start = began.get(trace);
    return start === undefined ? undefined : (performance.now() - start) / 1000;
  };
  const isOurs = (event: object): boolean => queue.uses(originOf(event));
  const begin = (trace: object): void => {
    if (isOurs(trace)) began.set(trace, performance.now());
  };

  const listeners: Listeners = {
    'tracing:instance-queue:publish:start': begin,
    'tracing:instance-queue:publish:asyncEnd': (trace) => {
      const seconds = secondsSince(trace);
      if (seconds === undefined) return;
      const { exchange, routingKey, result, error } = trace;
      const failure = result ? undefined : failureOf(error);
      observer.sent({ exchange, routingKey, failure, attempted: result !== undefined || wasAttempted(error), seconds });
    },
    'instance-queue:deliver': (event) => {
      if (isOurs(event)) observer.delivered(event.message);
    },
    'tracing:instance-queue:deliver:start': begin,
    'tracing:instance-queue:deliver:asyncEnd': (trace) => {
      const seconds = secondsSince(trace);
      const { message, settlement } = trace;
      if (seconds !== undefined && settlement !== undefined) observer.settled(message, settlement, seconds);
    },
  };
  // `subscribe` declares its listener to take anything; the names say what these channels carry.
  const all = Object.entries(listeners) as [string, (event: unknown) => void][];
  for (const [name, listener] of all) subscribe(name, listener);
  const stop = (): void => {
    for (const [name, listener] of all) unsubscribe(name, listener);
  };
  queue.state$.subscribe({ complete: stop });
  return stop;
}

/** Names that clients and brokers make up, for one connection each; metrics have one series for all of a kind. */
const MADE_UP = /^(amq\.(?:gen-|rabbitmq\.reply-to\.))./;

/** The name of a queue, as far as there are few of its kind: `amq.gen-*` for the queues that the broker named. */
export const lowCardinality = (queue: string): string => {
  const [, kind] = MADE_UP.exec(queue) ?? [];
  return kind === undefined ? queue : `${kind}*`;
};
