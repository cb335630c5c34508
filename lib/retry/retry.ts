import { DEFAULTS, checkOptions, countFrom, either, expected, integer, isObject, oneOf, type Shape } from '../options';
import type { Route } from '../properties';
import type { QueueSpec } from '../topology';
import { checkRoute } from '../topology-checks';
import type { Message, Settlement } from '../consumer/delivery';
import { handOver } from './forward-then-settle';
import { copyOf, type Copy } from './retry-copy';
import { historyOf } from '../consumer/retry-history';
import { waitQueue, type WaitIn } from './wait-queue';

/** How often a failed message is worked on again, after which waits, and what becomes of it then. */
export interface RetryOptions {
  /** Runs of the handler in all, the first included; 1: no retry. Infinity: it never ends. */
  readonly attempts: number;
  /**
   * ms that a message waits at the broker between two runs, or a list: one wait after the other, the last for all that
   * follow. 0: it comes back at once, behind what is in the queue.
   */
  readonly delay: number | readonly number[];
  /**
   * After the last run: 'reject' (dead-letter where the queue says so, else drop), or a route where a copy is moved that
   * tells the error in its headers. @default 'reject'
   */
  readonly then?: 'reject' | Route;
  /**
   * The kind of queue in which they wait. 'classic': goes when unused. 'quorum' (RabbitMQ ≥ 3.10): replicated, hands its
   * messages back at least once even while the queue is full or has no leader, and stays until somebody deletes it.
   * @default 'classic'
   */
  readonly waitIn?: WaitIn;
}

/** An error policy that is a function: for `onError`, or to be asked by one of your own. */
export type RetryPolicy<T> = (error: unknown, message: Message<T>) => Promise<Settlement>;

/**
 * Publishes a copy over the producing connection; resolves when the broker has confirmed it, however long that takes.
 * `into` is the queue it goes to, declared as needed. Rejects when `signal` is aborted, or when it never can be confirmed.
 */
export type Forward = (
  copy: Copy,
  options: { readonly into?: QueueSpec; readonly signal: AbortSignal },
) => Promise<void>;

/** Node's timers and RabbitMQ's `x-message-ttl` agree up to here. */
const wait = integer(0, 2 ** 31 - 1);
const RETRY: Shape<RetryOptions> = {
  attempts: countFrom(1),
  delay: either(wait, (value) => (Array.isArray(value) && value.length > 0 ? undefined : 'a list of such numbers')),
  then: (value) => (value === 'reject' || isObject(value) ? undefined : `'reject' or a route`),
  waitIn: oneOf('classic', 'quorum'),
};

const spentBy = new WeakMap<object, (message: Message<unknown>) => boolean>();

/** Is this a retry policy for which the run that just failed was the last? */
export const isSpent = (policy: object, message: Message<unknown>): boolean => spentBy.get(policy)?.(message) ?? false;

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

  const runsOf = ({ properties, queue }: Message<unknown>): number =>
    (historyOf(properties.headers, queue)?.attempts ?? 0) + 1;
  const policy: RetryPolicy<T> = async (error, message) => {
    const { headers } = message.properties;
    if (headers?.['x-stream-offset'] !== undefined) throw noStreams(message.queue);
    const runs = runsOf(message);
    const spent = runs >= attempts;
    if (spent && then === 'reject') return 'reject';
    const into = spent ? undefined : waitQueue(message.queue, delays[Math.min(runs, delays.length) - 1] ?? 0, waitIn);
    const route: Route = into ? { queue: into.name } : then === 'reject' ? { queue: message.queue } : then;
    const history = historyOf(headers, message.queue);
    const copy = copyOf(message, route, { error, attempts: runs, history, spent });
    return handOver(message, (signal) => forward(copy, { ...(into && { into }), signal }), 'ack');
  };
  spentBy.set(policy, (message) => runsOf(message) >= attempts);
  return policy;
}

function noStreams(queue: string): TypeError {
  return new TypeError(`Queue \`${queue}\` is a stream: nothing can be put back into it for a later try.`);
}
