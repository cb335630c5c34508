import { withoutBrokerHeaders } from '../broker-headers';
import { ChannelDelivery } from '../consumer/channel-delivery';
import type { Message, Settlement } from '../consumer/delivery';
import { type RetryHistory, historyOf } from '../consumer/retry-history';
import { DEFAULTS, type Shape, checkOptions, countFrom, either, expected, integer, isObject, oneOf } from '../options';
import { OWN, errorHeaders } from '../own-headers';
import type { Arguments, MessageProperties, Route } from '../properties';
import type { QueueSpec } from '../topology';
import { checkRoute } from '../topology-checks';
import { workScopeHeaders } from '../work-scope';
import { forwardThenSettle } from './forward-then-settle';
import { type WaitIn, waitQueue } from './wait-queues';

/**
 * Delayed retries at the broker: an error policy for `handle` that lets failed messages wait in a queue and come back.
 *
 * `retry` decides per message: a `Copy` of it goes through the `Forwarder`, over the producing connection, into a wait
 * queue, and the original is acked once that is confirmed (`forwardThenSettle`). The broker returns the copy to its queue,
 * where consumer/retry-history.ts reads its count. This room imports operators/, consumer/, producer/ and the layers below.
 */

/** How often a message is worked on, how long it waits between two runs, and what becomes of it after the last. */
export interface RetryOptions {
  /** Runs of the handler in all, including the first; 1: no retry. Infinity: it never ends. */
  readonly attempts: number;
  /**
   * ms that a message waits at the broker between two runs; or a list: one delay after the other, the last for all later
   * runs. 0: it comes back at once, behind the messages in the queue.
   */
  readonly delay: number | readonly number[];
  /**
   * After the last run: 'reject' (dead-letter where the queue says so, or drop), or a route to which a copy is moved, with
   * the error in its headers. @default 'reject'
   */
  readonly then?: 'reject' | Route;
  /**
   * The kind of queue in which messages wait. 'classic': expires when unused. 'quorum' (RabbitMQ ≥ 3.10): replicated, returns
   * its messages at least once even while their queue is full or has no leader, and stays until it is deleted; one for each
   * `priority`. Messages of a queue that the broker named wait in classic ones: their queue goes with its connection.
   *
   * 'queue': the message's own queue, where that does the same: a quorum queue on RabbitMQ ≥ 4.3 whose spec has a `delayedRetry`
   * that makes messages wait for just these delays, and a `deliveryLimit` (20 by default) that allows all attempts. The message is
   * requeued: no copy, no duplicate, and no header about the failure. Elsewhere messages wait as with 'quorum', and a warning
   * tells so once per queue.
   * @default 'classic'
   */
  readonly waitIn?: WaitIn;
}

/** An error policy for `onError`, which a policy of your own may call as well. */
export type RetryPolicy<T> = (error: unknown, message: Message<T>) => Promise<Settlement>;

/**
 * Publishes a copy over the producing connection, into the queue `into`, which is declared as needed. Resolves when the broker
 * has confirmed it, however long that takes. Rejects: when `signal` is aborted, or when it can never be confirmed.
 */
export type Forward = (
  copy: Copy,
  options: { readonly into?: QueueSpec; readonly signal: AbortSignal },
) => Promise<void>;

/** ms; the limit of both Node's timers and RabbitMQ's `x-message-ttl`. */
const wait = integer(0, 2 ** 31 - 1);
const RETRY: Shape<RetryOptions> = {
  attempts: countFrom(1),
  delay: either(wait, (value) => (Array.isArray(value) && value.length > 0 ? undefined : 'a list of such numbers')),
  then: (value) => (value === 'reject' || isObject(value) ? undefined : `'reject' or a route`),
  waitIn: oneOf('classic', 'quorum', 'queue'),
};

/** Not by the policy: one of the caller's may have called it. */
const spent = new WeakSet();

/** Did a retry policy find that the message has no further run? */
export const isSpent = (message: Message<unknown>): boolean => spent.has(message);

/** @throws OptionsError if an option cannot be right */
export function retry<T>(options: RetryOptions, forward: Forward): RetryPolicy<T> {
  checkOptions(options, RETRY, { of: 'retry()', required: ['attempts', 'delay'] });
  const { attempts, then = DEFAULTS.then, waitIn = DEFAULTS.waitIn } = options;
  if (then !== 'reject') checkRoute(then, 'then');
  const delays = typeof options.delay === 'number' ? [options.delay] : [...options.delay];
  delays.forEach((delay, i) => {
    const wrong = wait(delay);
    if (wrong !== undefined) throw expected(`delay[${String(i)}]`, wrong, delay);
  });

  const warned = new Set<string>();
  const waitsInQueue = (message: Message<unknown>): boolean =>
    waitIn === 'queue' && ChannelDelivery.channelOf(message)?.delays?.areThose(delays, attempts) === true;
  const runsOf = (message: Message<unknown>): number =>
    // The broker counts what it delays; and what a copy says of earlier runs is in the count as well.
    (waitsInQueue(message)
      ? message.deliveryCount
      : (historyOf(message.properties.headers, message.queue)?.attempts ?? 0)) + 1;
  return async (error, message) => {
    const { headers, priority } = message.properties;
    if (isFromStream(message)) throw noStreams(message.queue);
    const runs = runsOf(message);
    const move = (route: Route, into?: QueueSpec): Promise<Settlement> => {
      const history = historyOf(headers, message.queue);
      const copy = copyOf(message, route, { error, attempts: runs, history, spent: into === undefined });
      return forwardThenSettle(message, (signal) => forward(copy, { ...(into && { into }), signal }), 'ack');
    };
    if (runs >= attempts) {
      spent.add(message);
      return then === 'reject' ? 'reject' : move(then);
    }
    if (waitIn === 'queue') {
      if (waitsInQueue(message)) return 'requeue';
      warnOfCopies(message, warned);
    }
    const delay = delays[Math.min(runs, delays.length) - 1] ?? 0;
    const into = waitQueue(message.queue, delay, kindFor(message.queue, waitIn), priority);
    return move({ queue: into.name }, into);
  };
}

/** A queue that the broker named goes with its connection, and one for its messages that stays would be left behind by each. */
function kindFor(queue: string, waitIn: WaitIn): Exclude<WaitIn, 'queue'> {
  if (queue.startsWith('amq.')) return 'classic';
  return waitIn === 'queue' ? 'quorum' : waitIn;
}

function warnOfCopies(message: Message<unknown>, warned: Set<string>): void {
  const { queue } = message;
  if (warned.has(queue)) return;
  warned.add(queue);
  ChannelDelivery.channelOf(message)?.log.warn(
    { queue },
    "`waitIn: 'queue'`: this queue is not known to delay retries as asked, so that messages wait as copies in a queue beside it",
  );
}

/**
 * Did the broker read it from a stream? A publisher may copy the header of a stream into messages for other queues. Those queues
 * redeliver a message, and a stream never does.
 */
function isFromStream({ offset, redelivered, properties: { headers } }: Message<unknown>): boolean {
  return offset !== undefined || (headers?.['x-stream-offset'] !== undefined && !redelivered);
}

function noStreams(queue: string): TypeError {
  return new TypeError(`Queue \`${queue}\` is a stream: a message cannot be put back into it to be retried.`);
}

/** A message to publish over the producing connection, with these bytes. */
interface Copy {
  readonly route: Route;
  readonly content: Buffer;
  readonly properties: MessageProperties;
}

/**
 * Carbon copies already took effect for the original: on the copy they would route it to their queues again. What a letter died of
 * before it was moved says nothing about this failure.
 */
const LEFT_OUT: readonly string[] = ['CC', 'BCC', OWN.moved];

/** What the headers of a copy say about the failure. */
interface Failure {
  readonly error: unknown;
  /** Runs of the handler, including this one. */
  readonly attempts: number;
  readonly history: RetryHistory | undefined;
  /** No attempt is left: the copy is moved, not retried. */
  readonly spent: boolean;
}

/**
 * A copy of a message whose work failed: the same bytes, id, properties and headers, and headers about the failure. Like
 * RabbitMQ's own dead letters it has no `expiration`: the message was delivered in time.
 */
export function copyOf(message: Message<unknown>, route: Route, failure: Failure): Copy {
  const { headers = {}, expiration: _, userId, ...properties } = message.properties;
  return {
    route,
    content: message.content,
    properties: {
      ...properties,
      headers: { ...kept(headers, userId), ...workScopeHeaders(message), ...failureHeaders(message, failure) },
    },
  };
}

function kept(headers: Arguments, userId: string | undefined): Arguments {
  const left = Object.entries(withoutBrokerHeaders(headers)).filter(([name]) => !LEFT_OUT.includes(name));
  return { ...Object.fromEntries(left), ...(userId !== undefined && { [OWN.userId]: userId }) };
}

function failureHeaders(
  { queue, exchange, routingKey, properties }: Message<unknown>,
  { error, attempts, history, spent }: Failure,
): Arguments {
  const deaths = properties.headers?.['x-death'];
  return {
    [OWN.attempts]: attempts,
    [OWN.queue]: queue,
    [OWN.firstFailed]: history?.firstFailed ?? new Date().toISOString(),
    [OWN.exchange]: exchange,
    [OWN.routingKey]: routingKey,
    ...errorHeaders(error),
    [OWN.spent]: spent,
    // Only at the first failure: later on `x-death` is that of the wait queue.
    ...(history === undefined && deaths !== undefined && { [OWN.death]: deaths }),
  };
}
