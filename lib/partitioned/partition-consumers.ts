import { from, type Observable, type Subscriber, type Subscription, take } from 'rxjs';
import type { Connection } from '../connection/connection';
import { type CloseReport, Closing } from '../connection/member';
import { consuming } from '../consumer/consume';
import type { ConsumeOptions, ResolvedConsumeOptions } from '../consumer/consume-options';
import type { ConsumeSubscription } from '../consumer/consume-subscription';
import type { ConsumerState } from '../consumer/consumer-state';
import type { Delivery } from '../consumer/delivery';
import { type InstanceQueueError, OptionsError, isInstanceQueueError } from '../errors';
import { StateSubject } from '../reactive/state-subject';
import { isHeldByOther } from './group';
import { Membership } from './membership';
import { type PartitionLayout, partitionSpec, withCount } from './partition-topology';

/** The consumer of one partition. */
interface PartitionConsumer<T> {
  readonly partition: number;
  subscription: ConsumeSubscription<T> | undefined;
  /** The partition is free for it, so it is the one that the broker delivers to. */
  active: boolean;
  /** It hands the partition over. */
  leaving: boolean;
}

/** The options of `consume()` that hold for each partition. */
export type PartitionConsumeOptions = Pick<
  ConsumeOptions,
  'prefetch' | 'tagPrefix' | 'checkAfter' | 'onUndecodable' | 'consumerTimeout' | 'until'
>;

export interface PartitionConsumersOptions<T> {
  readonly layout: PartitionLayout;
  readonly consuming: Connection;
  readonly producing: Connection;
  readonly consume: PartitionConsumeOptions;
  readonly resolve: (options: ConsumeOptions<T>) => ResolvedConsumeOptions<T>;
  /** Makes sure that everything exists. A consumer alone declares its own queue only. */
  readonly declare: () => Promise<void>;
}

/**
 * One subscription of `Partitioned.consume()`: a member of the group, with a consumer on each partition that the plan gives it.
 *
 * A partition changes hands without a gap in its order. The new owner attaches at once and waits, because the queue has a single
 * active consumer. The old owner starts nothing more, settles what it works on, and closes the channel: in one step the broker puts
 * back what was not started, in front of everything else, and activates the new owner.
 */
export class PartitionConsumers<T> {
  readonly #options: PartitionConsumersOptions<T>;
  readonly #subscriber: Subscriber<Delivery<T>>;
  readonly #membership: Membership;
  readonly #consumers = new Set<PartitionConsumer<T>>();
  readonly #assignment = new StateSubject<readonly number[]>(Object.freeze([]));
  readonly #state = new StateSubject<ConsumerState>(Object.freeze({ status: 'detached' }));
  readonly #unregister: () => void;
  #until: Subscription | undefined;
  readonly #closing = new Closing(
    (within) => this.#end(within),
    () => {
      for (const { subscription } of this.#consumers) void subscription?.close(0);
    },
  );
  #cause: InstanceQueueError | undefined;

  constructor(options: PartitionConsumersOptions<T>, subscriber: Subscriber<Delivery<T>>) {
    this.#options = options;
    this.#subscriber = subscriber;
    const { layout, consuming: connection, producing } = options;
    this.#membership = new Membership({
      layout,
      consuming: connection,
      producing,
      failed: (error) => {
        this.#fail(error);
      },
    });
    // The consumers of the partitions are members as well, and report what was left unsettled.
    const close = async (within: number): Promise<CloseReport> => {
      await this.close(within);
      return { unsettled: 0, unconfirmed: 0 };
    };
    this.#unregister = connection.core.register({ direction: 'inbound', close });
  }

  get queueName(): string {
    return this.#options.layout.name;
  }
  /** Hot. Emits: the partitions that this subscription holds, then each change. Completes: at the end. Errors: never. */
  get assignment$(): Observable<readonly number[]> {
    return this.#assignment.value$;
  }
  get assignment(): readonly number[] {
    return this.#assignment.value;
  }
  /** Hot. Emits: the state of all its consumers as one, then each change. Completes: behind `stopped`. Errors: never. */
  get state$(): Observable<ConsumerState> {
    return this.#state.value$;
  }
  get state(): ConsumerState {
    return this.#state.value;
  }
  /** The consumers of the partitions. */
  get subscriptions(): readonly ConsumeSubscription<T>[] {
    return [...this.#consumers].map(({ subscription }) => subscription).filter((one) => one !== undefined);
  }

  start(): void {
    const membership = this.#membership;
    membership.group$.subscribe(() => {
      this.#follow();
    });
    membership.state$.subscribe(() => {
      this.#review();
    });
    membership.join();
    this.#options.declare().catch((error: unknown) => {
      this.#fail(error);
    });
    const { until } = this.#options.consume;
    if (until === undefined || this.#closing.begun) return;
    const end = (): void => {
      void this.close(this.#options.consuming.core.drainTimeout);
    };
    this.#until = from(until).pipe(take(1)).subscribe({ next: end, error: end, complete: end });
  }

  /** Leaves the group, and hands over all partitions, within this many ms. A later call may shorten the time that is left. */
  close(within: number): Promise<CloseReport> {
    return this.#closing.within(within);
  }

  /** Attaches to the partitions that the plan gives this member, and leaves the others. */
  #follow(): void {
    const { plan } = this.#membership.group;
    if (plan && !this.#closing.begun) {
      const mine = new Set<number>();
      plan.owners.forEach((owner, partition) => {
        if (owner === this.#membership.id) mine.add(partition);
      });
      for (const consumer of this.#consumers) if (!mine.delete(consumer.partition)) this.#leave(consumer);
      for (const partition of mine) this.#attach(partition);
    }
    this.#review();
  }

  #attach(partition: number): void {
    const { layout, resolve, consume, consuming: connection } = this.#options;
    const { until: _, ...options } = consume;
    const resolved = resolve({ ...options, queue: partitionSpec(layout, partition) });
    const consumer: PartitionConsumer<T> = { partition, subscription: undefined, active: false, leaving: false };
    this.#consumers.add(consumer);
    const deliveries$ = consuming(connection, { ...resolved, partition }, (subscription) => {
      consumer.subscription = subscription;
      subscription.state$.subscribe(({ status }) => {
        if (status === 'detached') consumer.active = false;
        this.#review();
      });
    });
    deliveries$.subscribe({
      next: (delivery) => {
        this.#subscriber.next(delivery);
      },
      error: (error: unknown) => {
        this.#consumers.delete(consumer);
        this.#review();
        this.#fail(error);
      },
      complete: () => {
        this.#consumers.delete(consumer);
        // The plan may have given the partition back while it was being handed over.
        this.#follow();
      },
    });
  }

  #leave(consumer: PartitionConsumer<T>): void {
    if (consumer.leaving) return;
    consumer.leaving = true;
    void consumer.subscription?.close(this.#options.consuming.core.drainTimeout);
  }

  /** Derives what is held, the assignment and the state from the consumers and the group. */
  #review(): void {
    const { id, group } = this.#membership;
    for (const consumer of this.#consumers) {
      const { leaving, partition, subscription } = consumer;
      const attached = subscription?.state.status === 'attached';
      if (attached && !leaving && !isHeldByOther(id, group, partition)) consumer.active = true;
    }
    const held = [...this.#consumers].filter(({ active }) => active);
    const sorted = (consumers: readonly PartitionConsumer<T>[]): readonly number[] =>
      Object.freeze(consumers.map(({ partition }) => partition).sort((a, b) => a - b));
    this.#membership.hold(sorted(held));
    const assignment = sorted(held.filter(({ leaving }) => !leaving));
    if (assignment.join() !== this.assignment.join()) this.#assignment.next(assignment);
    if (!this.#state.ended) this.#write(this.#present());
  }

  #present(): ConsumerState {
    const consumers = [...this.#consumers];
    if (this.#closing.begun) {
      const unsettled = consumers.reduce((sum, { subscription }) => sum + unsettledOf(subscription), 0);
      return { status: 'draining', unsettled };
    }
    const { state, group } = this.#membership;
    const states = consumers.filter(({ leaving }) => !leaving).map(({ subscription }) => subscription?.state);
    for (const one of [state, ...states]) if (one?.status === 'detached') return one;
    if (state.status !== 'attached' || group.plan?.owners.length !== this.#options.layout.partitions)
      return { status: 'detached' };
    return { ...state, queue: this.queueName };
  }

  #write(state: ConsumerState): void {
    if (JSON.stringify(state) !== JSON.stringify(this.state)) this.#state.next(Object.freeze(state));
  }

  async #end(within: number): Promise<CloseReport> {
    const deadline = performance.now() + within;
    this.#until?.unsubscribe();
    this.#membership.leave();
    for (const consumer of this.#consumers) consumer.leaving = true;
    const closing = this.subscriptions.map((subscription) => subscription.close(within));
    this.#review();
    const reports = await Promise.all(closing);
    this.#assignment.end(Object.freeze([]));
    this.#unregister();
    await this.#membership.end(Math.max(0, deadline - performance.now()));
    const cause = this.#cause;
    this.#state.end(Object.freeze(cause ? { status: 'stopped', cause } : { status: 'stopped' }));
    if (cause) this.#subscriber.error(cause);
    else this.#subscriber.complete();
    return { unsettled: reports.reduce((sum, report) => sum + report.unsettled, 0), unconfirmed: 0 };
  }

  #fail(error: unknown): void {
    if (this.#closing.begun) return;
    const { layout, consuming: connection } = this.#options;
    const cause = withCount(error, layout);
    this.#cause = isInstanceQueueError(cause) ? cause : new OptionsError('consume', 'The consumer failed.', { cause });
    connection.core.log.error({ queue: this.queueName, err: this.#cause }, 'consumer stopped');
    void this.close(connection.core.drainTimeout);
  }
}

/** The channel of one that drains is no longer its own, so that it has no backlog. */
function unsettledOf(subscription: Pick<ConsumeSubscription<unknown>, 'state' | 'backlog'> | undefined): number {
  const state = subscription?.state;
  return state?.status === 'draining' ? state.unsettled : (subscription?.backlog?.unsettled ?? 0);
}
