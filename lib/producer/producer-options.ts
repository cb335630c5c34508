import { auto, type Codec } from '../codec';
import {
  DEFAULTS,
  abortSignal,
  boolean,
  checkOptions,
  codec,
  duration,
  integer,
  object,
  oneOf,
  withDefaults,
  type Shape,
} from '../options';
import type { DelayKind } from '../delay/levels';
import type { Topology } from '../topology';
import { checkTopology } from '../topology-checks';
import type { RouteNames } from './encoded-message';
import type { Prepare } from './publishing-loop';

/** Options of a single `send`. */
export interface SendOptions {
  /** ms from the call to the confirm, waiting included. @default the producer's `timeout` */
  readonly timeout?: number;
  /** Aborting rejects the send (PUBLISH_ABORTED). A message on the wire cannot be recalled. */
  readonly signal?: AbortSignal;
}

/** How much may wait for the wire, and what happens to further messages. */
export interface OutboxOptions {
  /** Messages at most. @default 10 000 */
  readonly limit?: number;
  /** Bytes at most. @default 64 MiB */
  readonly bytes?: number;
  /**
   * What happens to further messages. `'wait'`: they wait their turn, with the deadline running; `'reject'`: they are rejected
   * (OUTBOX_FULL); `'drop-oldest'`: the oldest is rejected to make room. @default 'wait'
   */
  readonly overflow?: 'wait' | 'reject' | 'drop-oldest';
}

/** Options for all messages of a producer. */
export interface ProducerOptions<T = unknown> {
  /** How bodies are encoded. @default auto */
  readonly codec?: Codec<unknown, T>;
  /** Declared before the channel is used, and again after each reconnect. */
  readonly topology?: Topology;
  /** `false`: declare and check nothing, not even the queue of a `queue` route. @default true */
  readonly declare?: boolean;
  /** The largest number of unconfirmed messages. @default 1000 */
  readonly maxInFlight?: number;
  /** ms from `send` to the confirm. @default 30 000 */
  readonly timeout?: number;
  /** Rejects messages that no queue takes (PUBLISH_RETURNED). @default true */
  readonly mandatory?: boolean;
  /** Messages survive a restart of the broker, in durable queues. @default true */
  readonly persistent?: boolean;
  /** For messages in flight when the link was lost (the broker may have them): resend with the same messageId, or reject. @default 'resend' */
  readonly onUnknown?: 'resend' | 'reject';
  /**
   * For messages that a queue did not take, because it is full or has no leader. `resend` on a queue route: with backoff until
   * the deadline. `resend` on an exchange route: at most four times, since each may add a copy to the other queues behind it,
   * and only with `onUnknown: 'resend'`. Never to a queue that is known to dead-letter what it refuses (`overflow: 'reject-publish-dlx'`):
   * each attempt would leave a copy. `reject`: at once. @default 'resend'
   */
  readonly onNack?: 'resend' | 'reject';
  /**
   * The kind of queue in which messages with a `delay` or an `at` wait, always durable. 'quorum' (RabbitMQ ≥ 3.10): replicated, and
   * handed on at least once, so that a delay survives the loss of a node. 'classic': on one node, handed on at most once, at somewhat
   * less work for the broker. @default 'quorum'
   */
  readonly delayIn?: DelayKind;
  /** Bounds of what waits for the wire. */
  readonly outbox?: OutboxOptions;
}

export const PRODUCER: Shape<ProducerOptions> = {
  codec,
  topology: object,
  declare: boolean,
  maxInFlight: integer(1, 65_535),
  timeout: duration(1),
  mandatory: boolean,
  persistent: boolean,
  onUnknown: oneOf('resend', 'reject'),
  onNack: oneOf('resend', 'reject'),
  delayIn: oneOf('quorum', 'classic'),
  outbox: object,
};
const OUTBOX: Shape<OutboxOptions> = {
  limit: integer(1, Number.MAX_SAFE_INTEGER),
  bytes: integer(1, Number.MAX_SAFE_INTEGER),
  overflow: oneOf('wait', 'reject', 'drop-oldest'),
};
export const SEND: Shape<SendOptions> = { timeout: duration(1), signal: abortSignal };

/** Options with all defaults filled in. */
export type ResolvedProducerOptions<T> = Required<Omit<ProducerOptions<T>, 'topology' | 'outbox'>> & {
  readonly outbox: Required<OutboxOptions>;
  readonly topology: Topology | undefined;
};

/** Checks the options and fills in the defaults. @throws OptionsError */
export function resolveProducerOptions<T>(given: ProducerOptions<T>): ResolvedProducerOptions<T> {
  checkOptions<ProducerOptions>(given, PRODUCER, { of: 'a producer' });
  if (given.outbox) checkOptions(given.outbox, OUTBOX, { of: '`outbox`', path: 'outbox.' });
  if (given.topology) checkTopology(given.topology);
  const { declare, maxInFlight, timeout, mandatory, persistent, onUnknown, onNack, delayIn, outbox } = DEFAULTS;
  const defaults = { declare, maxInFlight, timeout, mandatory, persistent, onUnknown, onNack, delayIn };
  return {
    codec: auto,
    ...withDefaults(defaults, given),
    topology: given.topology,
    outbox: withDefaults(outbox, given.outbox),
  };
}

/** What an `InstanceQueue` adds to its producers. */
export interface ProducerInside {
  /** The library sends for itself: neither traces nor metrics show it. */
  readonly internal?: boolean | undefined;
  readonly prepare?: Prepare | undefined;
  /** The names that its messages may name; without it, any. */
  readonly names?: RouteNames | undefined;
}
