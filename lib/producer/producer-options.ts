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
import type { Topology } from '../topology';
import { checkTopology } from '../topology-checks';
import type { Encoded } from './outbound-message';
import type { Prepare } from './publishing-loop';

/** For one message. */
export interface SendOptions {
  /** ms from the call to the confirm, waiting included. @default the producer's `timeout` */
  readonly timeout?: number;
  /** Aborting rejects the send (PUBLISH_ABORTED); what is on the wire cannot be called back. */
  readonly signal?: AbortSignal;
}

/** How much may wait for the wire, and what happens beyond. */
export interface OutboxOptions {
  /** Messages at most. @default 10 000 */
  readonly limit?: number;
  /** Bytes at most. @default 64 MiB */
  readonly bytes?: number;
  /**
   * What happens to a message beyond: it waits its turn outside, its deadline running; or it is rejected (OUTBOX_FULL);
   * or it takes the place of the oldest, which is rejected. @default 'wait'
   */
  readonly overflow?: 'wait' | 'reject' | 'drop-oldest';
}

/** What holds for every message of a producer. */
export interface ProducerOptions<T = unknown> {
  /** How bodies are written. @default auto */
  readonly codec?: Codec<unknown, T>;
  /** Declared before the channel is used, and again after each reconnect. */
  readonly topology?: Topology;
  /** `false`: declare and check nothing, not even the queue of a `queue` route. @default true */
  readonly declare?: boolean;
  /** Messages published and not confirmed, at most. @default 1000 */
  readonly maxInFlight?: number;
  /** ms from `send` to the confirm. @default 30 000 */
  readonly timeout?: number;
  /** Messages that no queue takes come back and reject. @default true */
  readonly mandatory?: boolean;
  /** Messages survive a restart of the broker, in durable queues. @default true */
  readonly persistent?: boolean;
  /** In flight when the link was lost, the broker may have it or not: send it again (same messageId) or reject. @default 'resend' */
  readonly onUnknown?: 'resend' | 'reject';
  /**
   * A queue did not take the message: it is full, or has no leader. `resend` to a queue: again with backoff until the
   * deadline. `resend` to an exchange: at most four times, since each may add a copy to the other queues behind it, and
   * only with `onUnknown: 'resend'`. `reject`: at once. @default 'resend'
   */
  readonly onNack?: 'resend' | 'reject';
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
  outbox: object,
};
const OUTBOX: Shape<OutboxOptions> = {
  limit: integer(1, Number.MAX_SAFE_INTEGER),
  bytes: integer(1, Number.MAX_SAFE_INTEGER),
  overflow: oneOf('wait', 'reject', 'drop-oldest'),
};
export const SEND: Shape<SendOptions> = { timeout: duration(1), signal: abortSignal };

/** Options with nothing left open. */
export type ResolvedProducerOptions<T> = Required<Omit<ProducerOptions<T>, 'topology' | 'outbox'>> & {
  readonly outbox: Required<OutboxOptions>;
  readonly topology: Topology | undefined;
};

/** Checks what can be checked without a broker, and decides what was left open. @throws OptionsError */
export function resolveProducerOptions<T>(given: ProducerOptions<T>): ResolvedProducerOptions<T> {
  checkOptions<ProducerOptions>(given, PRODUCER, { of: 'a producer' });
  if (given.outbox) checkOptions(given.outbox, OUTBOX, { of: '`outbox`', path: 'outbox.' });
  if (given.topology) checkTopology(given.topology);
  const { declare, maxInFlight, timeout, mandatory, persistent, onUnknown, onNack, outbox } = DEFAULTS;
  const defaults = { declare, maxInFlight, timeout, mandatory, persistent, onUnknown, onNack };
  return {
    codec: auto,
    ...withDefaults(defaults, given),
    topology: given.topology,
    outbox: withDefaults(outbox, given.outbox),
  };
}

/** What an `InstanceQueue` adds to the producers it makes. */
export interface ProducerInside {
  readonly prepare?: Prepare | undefined;
  /** Refuses a route by throwing a PublishError. */
  readonly checkRoute?: ((message: Encoded) => void) | undefined;
}
