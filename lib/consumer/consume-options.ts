import { distinctUntilChanged, from, tap, type Observable, type ObservableInput } from 'rxjs';
import { auto, type Codec } from '../codec';
import { codecBesideContract, queueCodecs } from '../contract';
import { type AnyQueueContract, type CONTRACT, type PlainQueue, type QueueOf } from '../contract-codecs';
import { OptionsError, isInstanceQueueError, type InstanceQueueError } from '../errors';
import { DEFAULTS, boolean, checkOptions, codec, duration, expected, func, integer } from '../options';
import { observableInput, oneOf, shortString, withDefaults, type Shape } from '../options';
import type { Arguments } from '../properties';
import { queueNamed, queueTypeOf, type QueueSpec, type Topology } from '../topology';
import { checkQueueSpec, checkTopology, queueOption, table } from '../topology-checks';
import { resolveFilter, streamFilter, type FilterMatch, type StreamFilter } from './stream/stream-filter';
import { resolveStart, streamStart, type StreamStart } from './stream/stream-start';

/** What to consume, and how. */
export interface ConsumeOptions<T = unknown> {
  /**
   * A name: that queue is used as it is, and declared (durable) only if it does not exist. A spec: that queue is asserted.
   * A name that the `topology` has an entry for means that entry. A contract: the same as a spec, and it says how bodies are read.
   */
  readonly queue: string | PlainQueue | QueueOf<T>;
  /**
   * `false`: declare and check nothing, for users that may only consume; everything has to exist already. @default true
   */
  readonly declare?: boolean;
  /** Declared before each attach. */
  readonly topology?: Topology;
  /** Decodes bodies. Must be omitted with a contract, which has its own. @default auto */
  readonly codec?: Codec<T, never>;
  /**
   * Maximum number of unsettled deliveries: 1 to 65 535. On a stream: how far deliveries may get ahead of the first message
   * that is not settled, and so how many may come again after a loss. @default 20
   */
  readonly prefetch?: number;
  /** Prefix of the consumer tag, for debugging: at most 218 bytes of UTF-8. @default 'instance-queue' */
  readonly tagPrefix?: string;
  /**
   * `true`: the broker accepts no other consumer on the queue. While another one is attached, this one stays `detached` and
   * tries again. @default false
   */
  readonly exclusive?: boolean;
  /** The broker serves consumers of higher priority first; its default is 0. */
  readonly priority?: number;
  /** Arguments of `basic.consume`, sent unchanged. An `x-stream-offset` in them counts as `offset`. */
  readonly arguments?: Arguments;
  /** What to do with a message that the codec cannot decode. It is never emitted. @default 'reject' */
  readonly onUndecodable?: 'reject' | 'requeue';
  /**
   * Idle time in ms before checking that the queue still exists (jittered up to 2×), repeated as long as no message comes; 0
   * disables it. Brokers can lose a queue without cancelling its consumers: RabbitMQ 4.3 when a queue is deleted just as it
   * starts, clusters behind a partition (https://github.com/rabbitmq/rabbitmq-server/issues/12949). A consumer whose queue
   * is gone counts as cancelled: it declares and attaches again. There is no check with `declare: false`, and none after
   * the broker has refused one (403). @default 60 000
   */
  readonly checkAfter?: number;
  /**
   * Streams: where to start. `'first'` message, `'last'` chunk, the `'next'` message to be published, an offset, a `Date`, or
   * an interval before now: a whole number and a unit, Y, M, D, h, m or s, such as `'7D'` or `'1h'`. From a time or an
   * interval RabbitMQ starts with the chunk of that time, so somewhat earlier.
   *
   * A queue named here is declared as a stream if it does not exist. Each later attach resumes after the last offset up to
   * which everything is settled: no message is skipped, and one that was acked out of order is not emitted again. The
   * library treats a queue as a stream only with this option, with `onOffset` or `filter`, or with a spec of that type. It
   * has to know, because RabbitMQ closes the connection over a requeue or reject on a stream: a rejected message is passed over
   * instead, and one that is requeued or released is emitted again. @default 'next'
   */
  readonly offset?: StreamStart;
  /**
   * Streams: called with the offset up to which all messages are settled, when it has advanced (at most every few ms), and a
   * last time before the consumer ends. Store it; `offset: stored + 1` resumes there in another process.
   */
  readonly onOffset?: (offset: number) => void;
  /**
   * Streams, RabbitMQ ≥ 3.13 (refused before): only messages that were sent with one of these filter values (`streamFilter`).
   * The broker leaves out chunks that hold none of them, and the library the messages beside them in the other chunks; those
   * count as settled. https://www.rabbitmq.com/docs/stream-filtering
   */
  readonly filter?: string | readonly string[] | StreamFilter;
  /**
   * Quorum queues, RabbitMQ ≥ 4.3 (refused before): ms that this consumer may take to settle a delivery. Then the broker takes
   * its deliveries back and cancels it, and it attaches again. @default that of the queue
   */
  readonly consumerTimeout?: number;
  /**
   * While its last value is `true` the consumer is cancelled and gets no messages; at `false` it attaches again. Deliveries
   * already handed out stay valid and can be settled meanwhile; those that `handle` or `batch` has not started are
   * released. Until it emits, the consumer is not paused: to start paused, emit `true` on subscribe. When it completes, its
   * last value stays. When it errors, or emits anything but a boolean, the consumer drains and errors with an OptionsError.
   */
  readonly pause?: ObservableInput<boolean>;
  /** When this emits, completes or errors: cancel, drain, complete. */
  readonly until?: ObservableInput<unknown>;
}
/** Consuming without settling: the broker forgets each message as it sends it. */
export type NoAckConsumeOptions<T = unknown> = Omit<
  ConsumeOptions<T>,
  'prefetch' | 'onUndecodable' | 'offset' | 'onOffset' | 'filter' | 'consumerTimeout'
> & {
  readonly noAck: true;
};

/** Checked options, with the defaults filled in. */
export interface ResolvedConsumeOptions<T> {
  readonly queueName: string;
  /** Asserted. Undefined: the queue is used by its name. */
  readonly spec: QueueSpec | undefined;
  readonly declare: boolean;
  readonly topology: Topology;
  readonly codec: Codec<T, never>;
  /** In the place of `codec`, where it depends on the routing key. */
  readonly codecs: AnyQueueContract[typeof CONTRACT] | undefined;
  readonly prefetch: number;
  readonly tagPrefix: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority?: number;
  readonly arguments: Arguments;
  readonly onUndecodable: 'reject' | 'requeue';
  readonly checkAfter: number;
  /** Present if the queue is known to be a stream. */
  readonly offset?: StreamStart;
  readonly onOffset?: (offset: number) => void;
  /** Drops what the broker's filter let pass. */
  readonly filter?: FilterMatch;
  readonly consumerTimeout?: number;
  readonly pause?: ObservableInput<boolean>;
  readonly until?: ObservableInput<unknown>;
  /** The queue is this partition of a partitioned queue. */
  readonly partition?: number;
  /** The library consumes for itself: neither health, traces nor metrics show it. */
  readonly internal?: boolean;
}

/** A tag is `<prefix>-<uuid>`, in 255 bytes: 255 - 1 - 36. */
const TAG_PREFIX = 218;

const CONSUME: Shape<ConsumeOptions & { noAck: boolean }> = {
  queue: queueOption,
  declare: boolean,
  // `checkTopology` looks at all of it.
  topology: () => undefined,
  codec,
  prefetch: integer(1, 65_535),
  tagPrefix: shortString(TAG_PREFIX),
  exclusive: boolean,
  priority: integer(-(2 ** 31), 2 ** 31 - 1),
  arguments: table,
  onUndecodable: oneOf('reject', 'requeue'),
  checkAfter: duration(),
  offset: streamStart,
  onOffset: func,
  filter: streamFilter,
  consumerTimeout: integer(1, 2 ** 32 - 1),
  pause: observableInput,
  until: observableInput,
  noAck: boolean,
};

/** The checks of the options that an InstanceQueue can set for all its consumers. */
export const CONSUMER_DEFAULTS: Shape<Pick<ConsumeOptions, 'prefetch' | 'tagPrefix' | 'checkAfter'>> = {
  prefetch: CONSUME.prefetch,
  tagPrefix: CONSUME.tagPrefix,
  checkAfter: CONSUME.checkAfter,
};

/** Checks everything that can be checked without a broker, and fills in the defaults. @throws OptionsError */
export function resolveConsumeOptions<T>(given: ConsumeOptions<T> | NoAckConsumeOptions<T>): ResolvedConsumeOptions<T> {
  checkOptions<ConsumeOptions<T> & { noAck?: boolean }>(given, CONSUME, { of: 'consume()', required: ['queue'] });
  const noAck = 'noAck' in given && given.noAck;
  if (noAck) {
    for (const name of ['prefetch', 'onUndecodable', 'offset', 'onOffset', 'filter', 'consumerTimeout'] as const) {
      if (Reflect.get(given, name) !== undefined)
        throw expected(name, 'absent beside `noAck`: without acks nothing is settled', Reflect.get(given, name));
    }
  }
  if (given.topology !== undefined) checkTopology(given.topology);
  if (typeof given.queue !== 'string') checkQueueSpec(given.queue, 'queue');
  const { prefetch, tagPrefix, onUndecodable, declare, checkAfter } = DEFAULTS;
  // No other client knows the name of a queue that the broker names, and each attach makes a new one: it goes with its consumer.
  const unnamed = { name: '', autoDelete: true };
  const named = typeof given.queue === 'string' ? queueNamed(given.topology, given.queue) : given.queue;
  const queueName = typeof given.queue === 'string' ? given.queue : given.queue.name;
  const spec =
    queueName !== '' ? named : typeof given.queue === 'string' ? (named ?? unnamed) : { ...unnamed, ...named };
  const own = { prefetch, tagPrefix, onUndecodable, declare, checkAfter };
  const defaults = { ...own, exclusive: false, topology: {}, arguments: {} };
  const codecs = queueCodecs(given.queue);
  if (codecs && given.codec !== undefined) throw codecBesideContract(queueName);
  const { filter, consumerTimeout }: Pick<ConsumeOptions, 'queue' | 'filter' | 'consumerTimeout'> = given;
  const start = resolveStart(given, { queueName, spec, noAck });
  const resolved = { ...withDefaults(defaults, { ...given, filter: undefined }), ...start };
  if (consumerTimeout !== undefined) checkConsumerTimeout(resolved, queueName, spec);
  const filtering = filter === undefined ? undefined : resolveFilter(filter, resolved.arguments);
  return {
    // T is what the contract says, or stands for whatever `auto` decodes.
    codec: (codecs?.body ?? auto) as Codec<T, never>,
    ...resolved,
    ...(filtering && { filter: filtering.match }),
    arguments: {
      ...(filtering ?? resolved).arguments,
      ...(consumerTimeout !== undefined && { [CONSUMER_TIMEOUT]: consumerTimeout }),
    },
    codecs: codecs?.routed === true ? codecs : undefined,
    queueName,
    spec,
    noAck,
  };
}

/** An argument of `basic.consume`. https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout */
const CONSUMER_TIMEOUT = 'x-consumer-timeout';

function checkConsumerTimeout(
  { arguments: args, offset }: { readonly arguments: Arguments; readonly offset?: StreamStart },
  queueName: string,
  spec: QueueSpec | undefined,
): void {
  const type = offset === undefined ? spec && queueTypeOf(spec) : 'stream';
  if (type !== undefined && type !== 'quorum') {
    const sentence = `Queue \`${queueName}\`: \`consumerTimeout\` is for quorum queues, and this is a ${type} queue.`;
    throw new OptionsError('consumerTimeout', sentence);
  }
  if (args[CONSUMER_TIMEOUT] !== undefined) {
    const sentence = `Expected the timeout once: either \`consumerTimeout\` or \`${CONSUMER_TIMEOUT}\` in \`arguments\`, got both.`;
    throw new OptionsError('arguments', sentence);
  }
}

/** The distinct values of the option `pause`, checked. Cold. Errors: as `pause` does; OptionsError, for any other value. */
export function pauses(pause: ObservableInput<boolean>): Observable<boolean> {
  return from(pause).pipe(
    tap((paused) => {
      if (boolean(paused) !== undefined) throw expected('pause', 'an Observable of true and false', paused);
    }),
    distinctUntilChanged(),
  );
}

/** Why a consumer ends whose `pause` failed. */
export function pauseFailed(queueName: string, cause: unknown): InstanceQueueError {
  if (isInstanceQueueError(cause)) return cause;
  const message = `The \`pause\` of the consumer of queue \`${queueName}\` failed. The consumer ends, because nothing could resume it.`;
  return new OptionsError('pause', message, { cause });
}
