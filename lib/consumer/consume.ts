import { Observable, type ObservableInput } from 'rxjs';
import { auto, type Codec } from '../codec';
import type { Connection } from '../connection/connection';
import {
  DEFAULTS,
  boolean,
  checkOptions,
  codec,
  duration,
  func,
  integer,
  observableInput,
  oneOf,
  shortString,
  withDefaults,
} from '../options';
import { expected, type Shape } from '../options';
import type { Arguments } from '../properties';
import { queueNamed, type QueueSpec, type Topology } from '../topology';
import { checkQueueSpec, checkTopology, queueOption, table } from '../topology-checks';
import { ConsumeSubscription } from './consume-subscription';
import type { Delivery, Message } from './delivery';
import type { ResolvedConsumeOptions } from './consume-options';
import { streamOptions, streamStart } from './stream/stream-options';
import type { StreamStart } from './stream/stream-reader';

/** What to consume, and how. */
export interface ConsumeOptions<T = unknown> {
  /**
   * A name: use that queue as it is, and declare it (durable) only if it does not exist. A spec: assert it. A name that
   * the `topology` has an entry for means that entry.
   */
  readonly queue: string | QueueSpec;
  /** `false`: trust that all is there, declare and check nothing (consume-only users). @default true */
  readonly declare?: boolean;
  /** Declared before each attach. */
  readonly topology?: Topology;
  /** How bodies are read. @default auto */
  readonly codec?: Codec<T, never>;
  /**
   * Deliveries on their way or unsettled at most: 1 to 65 535. Of streams: how far work may get ahead of the first message
   * that is still open, and so how many may come again after a loss. @default 20
   */
  readonly prefetch?: number;
  /** Leads the consumer tag, for debugging: at most 218 bytes of UTF-8. @default 'instance-queue' */
  readonly tagPrefix?: string;
  /** The only consumer of its queue, or none. @default false */
  readonly exclusive?: boolean;
  /** Higher ones are served first; the broker's default is 0. */
  readonly priority?: number;
  /** Arguments of `basic.consume`, verbatim. */
  readonly arguments?: Arguments;
  /** What becomes of a message the codec cannot read; it is never emitted. @default 'reject' */
  readonly onUndecodable?: 'reject' | 'requeue';
  /**
   * Attached, and no message for so many ms (up to twice as many, lest all ask at once): look whether the queue is still there, each time anew; 0: never. Brokers lose
   * queues without a word to those who consume from them: RabbitMQ 4.3 when one is deleted in the last moments of its start,
   * clusters behind a partition (https://github.com/rabbitmq/rabbitmq-server/issues/12949). A consumer whose queue is gone
   * counts as cancelled: it declares and attaches anew. Nobody looks with `declare: false`, or any more after a 403.
   * @default 60 000
   */
  readonly checkAfter?: number;
  /**
   * Streams: where to begin. 'first' message, 'last' chunk, what comes 'next', an offset, or a time (RabbitMQ begins with
   * the chunk of that time, so somewhat earlier). A name is declared as a stream if it does not exist. Every later attach
   * goes on behind the last contiguous settled offset: nothing is skipped, and what was acked out of order is not emitted
   * again. Only with this, with `onOffset`, or with a spec that says so, a queue is known to be a stream: RabbitMQ closes the
   * connection over a requeue or reject there, which are dealt with on this side then. A rejected message is passed over,
   * one that is requeued or released is emitted again. @default 'next'
   */
  readonly offset?: StreamStart;
  /**
   * Streams: is told up to which offset all messages are settled, whenever that moved, at most every few ms, and once more
   * before the end. Store it; `offset: stored + 1` goes on from there in another process.
   */
  readonly onOffset?: (offset: number) => void;
  /**
   * While its last value is `true` the consumer is cancelled, and gets nothing; at `false` it attaches again. What was
   * handed out stays valid, and can be settled meanwhile; what `handle` or `batch` has not started is released. Until it
   * emits, the consumer is not paused: to start paused, emit `true` on subscribe. When it completes, its last value
   * stays. When it errors, or emits anything else, the consumer drains and errors with an OptionsError.
   */
  readonly pause?: ObservableInput<boolean>;
  /** When this emits (or ends): cancel, drain, complete. */
  readonly until?: ObservableInput<unknown>;
}
/** Consuming without settling: the broker forgets each message as it sends it. */
export type NoAckConsumeOptions<T = unknown> = Omit<
  ConsumeOptions<T>,
  'prefetch' | 'onUndecodable' | 'offset' | 'onOffset'
> & {
  readonly noAck: true;
};

/** `<prefix>-<uuid>` has to fit 255 bytes: 255 - 1 - 36. */
const TAG_PREFIX = 218;

const CONSUME: Shape<ConsumeOptions & { noAck: boolean }> = {
  queue: queueOption,
  declare: boolean,
  topology: (value) => (typeof value === 'object' && value !== null ? undefined : 'a topology'),
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
  pause: observableInput,
  until: observableInput,
  noAck: boolean,
};

/** The checks of what a front door may decide for all its consumers. */
export const CONSUMER_DEFAULTS: Shape<Pick<ConsumeOptions, 'prefetch' | 'tagPrefix' | 'checkAfter'>> = {
  prefetch: CONSUME.prefetch,
  tagPrefix: CONSUME.tagPrefix,
  checkAfter: CONSUME.checkAfter,
};

/** Checks what can be checked without a broker, and decides what was left open. @throws OptionsError */
export function resolveConsumeOptions<T>(given: ConsumeOptions<T> | NoAckConsumeOptions<T>): ResolvedConsumeOptions<T> {
  checkOptions<ConsumeOptions<T> & { noAck?: boolean }>(given, CONSUME, { of: 'consume()', required: ['queue'] });
  const noAck = 'noAck' in given && given.noAck;
  if (noAck) {
    for (const name of ['prefetch', 'onUndecodable', 'offset', 'onOffset'] as const) {
      if (Reflect.get(given, name) !== undefined)
        throw expected(name, 'absent beside `noAck`: nothing is settled there', Reflect.get(given, name));
    }
  }
  if (given.topology) checkTopology(given.topology);
  if (typeof given.queue !== 'string') checkQueueSpec(given.queue, 'queue');
  const { prefetch, tagPrefix, onUndecodable, declare, checkAfter } = DEFAULTS;
  // A queue that the broker names goes with its consumer: nobody else knows it, and each attach makes a new one.
  const unnamed = { name: '', autoDelete: true };
  const named = typeof given.queue === 'string' ? queueNamed(given.topology, given.queue) : given.queue;
  const queueName = typeof given.queue === 'string' ? given.queue : given.queue.name;
  const spec =
    queueName !== '' ? named : typeof given.queue === 'string' ? (named ?? unnamed) : { ...unnamed, ...named };
  const stream = streamOptions(given, { queueName, spec, noAck });
  const own = { prefetch, tagPrefix, onUndecodable, declare, checkAfter };
  const defaults = { ...own, exclusive: false, topology: {}, arguments: {} };
  return {
    codec: auto as Codec<T, never>,
    ...withDefaults(defaults, given),
    ...stream,
    queueName,
    spec,
    noAck,
  };
}

/**
 * A consumer of one queue, for as long as somebody subscribes.
 *
 * Cold: each subscription is an AMQP consumer of its own on a channel of its own; several compete for messages.
 * Emits: deliveries, decoded, each to be settled once (or plain messages with `noAck`). After a lost connection, a closed
 * channel or a cancel by the broker it declares and attaches anew; messages that were open then come again.
 * Completes: when the connection is closed, or after `until`, once all that was handed out is settled (or the drain
 * timeout has passed).
 * Errors: ChannelError when the *first* attach meets a refusal that cannot mend itself (403, 406, a passive queue that is
 * missing, …) or `reopen.attempts` are spent; ConnectionError when the connection gave up or is closed already.
 * Unsubscribe: cancels at once; what was handed out can still be settled, until all is or the drain timeout has passed.
 *
 * Subscribe with an `error` callback: RxJS throws an error that no callback takes where nothing catches it, which ends the process.
 *
 * @throws OptionsError at once, if an option cannot be right
 * @example
 * consume(connection, { queue: 'orders' }).pipe(handle(work)).subscribe({ error: console.error });
 */
export function consume<T = unknown>(connection: Connection, options: NoAckConsumeOptions<T>): Observable<Message<T>>;
export function consume<T = unknown>(connection: Connection, options: ConsumeOptions<T>): Observable<Delivery<T>>;
export function consume<T>(
  connection: Connection,
  options: ConsumeOptions<T> | NoAckConsumeOptions<T>,
): Observable<Message<T>> {
  return consuming(connection, resolveConsumeOptions(options));
}

/** The same with resolved options. `starting` is called with each subscription before it attaches. */
export function consuming<T>(
  connection: Connection,
  options: ResolvedConsumeOptions<T>,
  starting?: (subscription: ConsumeSubscription<T>) => void,
): Observable<Delivery<T>> {
  return new Observable((subscriber) => {
    const { core } = connection;
    const subscription = new ConsumeSubscription(core, options, subscriber);
    starting?.(subscription);
    subscription.start();
    return () => {
      void subscription.close(core.drainTimeout);
    };
  });
}
