/**
 * Partitioned queues: the order of each key is kept while several processes share the work.
 *
 * Behind the name are N quorum queues with a single active consumer each. `partitionOf` decides by the key to which of them a message
 * goes. `PartitionConsumers` is one consumer of them all: its `Membership` finds the others, `group.ts` (pure)
 * decides who owns which partition. This room imports consumer/, producer/, connection/ and the layers below; only client/ imports it.
 */
import { Observable, ReplaySubject, type Subscription, defer, firstValueFrom, map, merge, retry, timer } from 'rxjs';
import { type Codec, written } from '../codec';
import type { Connection } from '../connection/connection';
import { drainTimeoutOf } from '../connection/connection-options';
import type { CloseOptions, CloseReport } from '../connection/member';
import type { ConsumeOptions, ResolvedConsumeOptions } from '../consumer/consume-options';
import type { ConsumeSubscription } from '../consumer/consume-subscription';
import type { Delivery } from '../consumer/delivery';
import { ChannelError, type ConnectionError, ConsumerError } from '../errors';
import { checkOptions, duration, expected } from '../options';
import type { Confirmation } from '../producer/pending-send';
import type { Producer } from '../producer/producer';
import type { ProducerOptions, SendOptions } from '../producer/producer-options';
import { StateSubject } from '../reactive/state-subject';
import type { Topology } from '../topology';
import { isBrokerCrash } from '../transport/link-errors';
import { PartitionConsumers, type PartitionConsumeOptions } from './partition-consumers';
import type { KeyedMessage } from './keyed-message';
import { KeyedSends } from './keyed-sends';
import { PARTITIONS, type PartitionedOptions, checkConsume } from './partitioned-options';
import {
  type PartitionLayout,
  partitionedTopology,
  withCount,
  type PartitionAdmin,
  resizePartitions,
} from './partition-topology';

/** ms before a declaration that failed is tried again. */
const AGAIN_AFTER = 500;
/** How often what crashes the broker is declared again. */
const CRASHES = 3;

/** A delivery of a partitioned queue. */
export interface PartitionedDelivery<T> extends Delivery<T> {
  /** The partition that it came from: from 0. */
  readonly partition: number;
}

/** The consumers of one subscription, as one. */
export type StartedConsumers = Pick<PartitionConsumers<unknown>, 'queueName' | 'state$'> & {
  readonly subscriptions: readonly Pick<ConsumeSubscription<unknown>, 'backlog'>[];
};

/** What an `InstanceQueue` gives to its partitioned queues. */
export interface PartitionedHost<T> {
  readonly consuming: Connection;
  readonly producing: Connection;
  readonly admin: PartitionAdmin;
  /** ms for a `send` that says nothing else. */
  readonly timeout: number;
  resolve(options: ConsumeOptions<T>): ResolvedConsumeOptions<T>;
  /** How bodies are written without a codec of their own. */
  readonly codec: Codec<unknown, T>;
  producer(options: ProducerOptions<Buffer>): Producer<Buffer>;
  /** Calls with each consumer that starts, for health. */
  readonly started: (consumers: StartedConsumers) => void;
}

/**
 * A queue in partitions: messages of the same key are worked on one after the other, in the order in which they were sent, whatever
 * the number of processes that consume. The processes find each other and share the partitions.
 *
 * @example
 * const orders = queue.partitioned<Order>({ name: 'orders', partitions: 32 });
 * await orders.send({ key: 'customer-4711', body: order });
 * orders.consume().pipe(handle(({ body }) => ship(body))).subscribe({ error: console.error });
 */
export class Partitioned<T = unknown> implements AsyncDisposable {
  readonly name: string;
  readonly #host: PartitionedHost<T>;
  readonly #options: PartitionedOptions<T>;
  readonly #sends: KeyedSends<T>;
  readonly #consumers = new Map<PartitionConsumers<T>, Subscription>();
  readonly #assignment = new StateSubject<readonly number[]>(Object.freeze([]));
  readonly #unregister: () => void;
  /** Emits when nothing has to be declared any more: it is closed, or, with the error of that, its connection is. */
  readonly #over$ = new ReplaySubject<ConnectionError | undefined>(1);
  #partitions: number;
  #declared: Promise<void> | undefined;
  #closed: Promise<CloseReport> | undefined;
  /** When closing has to be done; monotonic, ms. */
  #deadline = Infinity;

  /** @internal */
  constructor(options: PartitionedOptions<T>, host: PartitionedHost<T>) {
    const { name, partitions, codec } = options;
    this.name = name;
    this.#partitions = partitions;
    this.#options = options;
    this.#host = host;
    this.#sends = new KeyedSends({
      name,
      partitions: () => this.#partitions,
      timeout: host.timeout,
      codec: codec ?? host.codec,
      // A message that comes back tells that its partition is gone: without that it would be lost.
      producer: host.producer({ mandatory: true, codec: written }),
      declare: (again) => this.#declare(again),
    });
    // What a send may have to wait for is declared over the consuming connection, which must not close before.
    this.#unregister = host.consuming.core.register({
      direction: 'inbound',
      close: (within) => this.#sends.drained(within),
    });
    host.consuming.core.state$.subscribe({
      complete: () => {
        this.#over$.next(host.consuming.core.closedError());
        this.#assignment.end(Object.freeze([]));
      },
    });
  }

  /** The number of partitions. */
  get partitions(): number {
    return this.#partitions;
  }
  /**
   * Hot. Emits: the partitions that this object's consumers hold, in order, then each change. Of several processes each partition is
   * held by one at most, as far as they know of each other. Completes: when the queue is closed. Errors: never.
   */
  get assignment$(): Observable<readonly number[]> {
    return this.#assignment.value$;
  }
  /** The partitions that it holds now. */
  get assignment(): readonly number[] {
    return this.#assignment.value;
  }

  /**
   * Sends one message to the partition of its key. The next message of the same key is published when the broker has confirmed this one
   * (or it has failed): a broker that declines one message and takes the next could otherwise reverse them. Messages of different keys do
   * not wait for each other. A message that a partition did not take, because it has no leader or is full, is sent again until the deadline.
   *
   * Rejects: as `Producer.send`; OptionsError, when the queue has another number of partitions.
   */
  send(message: KeyedMessage<T>, options?: SendOptions): Promise<Confirmation> {
    return this.#sends.send(message, options);
  }

  /**
   * Joins the processes that consume this queue, and consumes from its share of the partitions. Shares differ by 1 at most; they
   * follow when a process comes, leaves or dies. `handle` works on the deliveries of a partition one after the other, unless its
   * option `key` says otherwise.
   *
   * Cold: each subscription is a member of its own. Emits: deliveries with their `partition`, each to be settled once. Completes: when
   * closed (at once, if it is closed already), or after `until`, once everything handed out is settled or the drain timeout has passed.
   * Errors: OptionsError, when the queue has another number of partitions; otherwise as `consume()` does. Unsubscribe: leaves; what was
   * handed out can still be settled, until the drain timeout has passed.
   *
   * @throws OptionsError at once, if an option cannot be right
   */
  consume(options: PartitionConsumeOptions = {}): Observable<PartitionedDelivery<T>> {
    checkConsume(options);
    const { codec } = this.#options;
    return new Observable((subscriber) => {
      if (this.#closed) {
        subscriber.complete();
        return undefined;
      }
      const host = this.#host;
      const { consuming, producing } = host;
      const consumers = new PartitionConsumers<T>(
        {
          layout: this.#layout,
          consuming,
          producing,
          consume: options,
          resolve: (of) => host.resolve(codec ? { ...of, codec } : of),
          declare: () => this.#declare(false),
        },
        subscriber,
      );
      const assignments = consumers.assignment$.subscribe({
        next: () => {
          this.#assign();
        },
        complete: () => {
          this.#consumers.delete(consumers);
          this.#assign();
        },
      });
      this.#consumers.set(consumers, assignments);
      this.#assign();
      host.started(consumers);
      consumers.start();
      return () => {
        void consumers.close(consuming.core.drainTimeout);
      };
    });
  }

  /**
   * Changes the number of partitions. Most keys move to another partition then, so nothing may be on its way: stop all that
   * send, and the consumers of other processes once the queue is empty. This one's consumers work off what is left, and are
   * completed. Other objects and processes have to be made anew with the new number; those with the old one are refused.
   *
   * Rejects: ConsumerError NOT_DRAINED, when messages or consumers are left after `timeout` (@default 30 000 ms), with nothing changed;
   * OptionsError, when the queue has another number of partitions by now; ChannelError.
   */
  async resize(partitions: number, options: { readonly timeout?: number } = {}): Promise<void> {
    const wrong = PARTITIONS(partitions);
    if (wrong !== undefined) throw expected('partitions', wrong, partitions);
    checkOptions<{ timeout?: number }>(options, { timeout: duration() }, { of: 'resize()' });
    if (this.#closed)
      throw new ConsumerError('NOT_DRAINED', this.name, `Partitioned queue \`${this.name}\` is closed.`);
    await this.#declare(true);
    await resizePartitions(this.#host.admin, this.#layout, partitions, {
      timeout: options.timeout,
      stopConsumers: () => this.#closeConsumers(this.#host.consuming.core.drainTimeout),
    });
    this.#partitions = partitions;
    this.#declared = Promise.resolve();
  }

  /**
   * Completes its consumers, waits for confirms. Idempotent; always resolves, within `drainTimeout`. A later call may shorten the time
   * that is left.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    const within = drainTimeoutOf(options, this.#host.consuming.core.drainTimeout);
    this.#deadline = Math.min(this.#deadline, performance.now() + within);
    if (this.#closed && this.#consumers.size > 0) void this.#closeConsumers(within);
    else if (this.#closed) void this.#sends.close(within);
    return (this.#closed ??= this.#close());
  }

  /** `await using`: closes at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #layout(): PartitionLayout {
    return { name: this.name, partitions: this.#partitions, queues: this.#options.queues ?? {} };
  }

  async #close(): Promise<CloseReport> {
    const left = (): number => Math.max(0, this.#deadline - performance.now());
    const unsettled = await this.#closeConsumers(left());
    const { unconfirmed } = await this.#sends.close(left());
    this.#over$.next(undefined);
    this.#unregister();
    this.#assignment.end(Object.freeze([]));
    return { unsettled, unconfirmed };
  }

  async #closeConsumers(within: number): Promise<number> {
    const reports = await Promise.all([...this.#consumers.keys()].map((consumers) => consumers.close(within)));
    return reports.reduce((sum, { unsettled }) => sum + unsettled, 0);
  }

  #assign(): void {
    const held = [...this.#consumers.keys()].flatMap(({ assignment }) => assignment);
    const assignment = Object.freeze(held.sort((a, b) => a - b));
    if (assignment.join() !== this.assignment.join()) this.#assignment.next(assignment);
  }

  /** Everything at the broker, once, and `again` when something may be missing. Rejects as `admin.declare`; OptionsError. */
  #declare(again: boolean): Promise<void> {
    if (again) this.#declared = undefined;
    return (this.#declared ??= this.#declareAll(partitionedTopology(this.#layout)));
  }

  async #declareAll(topology: Topology): Promise<void> {
    const unlessOver = (error: unknown): Observable<never> =>
      this.#over$.pipe(
        map((closed) => {
          throw closed ?? error;
        }),
      );
    // A link that was lost meanwhile, or a node that just starts, refuses nothing.
    const patiently$ = defer(() => this.#host.admin.declare(topology)).pipe(
      retry({
        delay: (error: unknown, count) => {
          // Members that start together declare the same queues.
          const mayPass = (refusal: ChannelError): boolean =>
            refusal.retryable || (isBrokerCrash(refusal) && count <= CRASHES);
          if (error instanceof ChannelError && mayPass(error)) return merge(timer(AGAIN_AFTER), unlessOver(error));
          throw withCount(error, this.#layout);
        },
      }),
    );
    try {
      await firstValueFrom(patiently$);
    } catch (error) {
      this.#declared = undefined;
      throw error;
    }
  }
}
