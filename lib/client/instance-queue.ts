/**
 * The front door: `InstanceQueue` puts the rooms below together.
 *
 * It holds a `ConnectionPair`. `MemberFactory` makes what consumes on one of the two and what publishes on the other, `HealthMonitor`
 * derives health and metrics from all of them, `KnownNames` checks the names they are given. A delivery passes through consumer/ and
 * operators/ on its way to the work, a `send` through producer/. This room imports every room but testing/ and the entry points; only
 * entry points import it.
 */
import type { Observable, OperatorFunction } from 'rxjs';
import type { CloseOptions, CloseReport } from '../connection/member';
import type { ConsumeOptions, NoAckConsumeOptions } from '../consumer/consume-options';
import type { Consumer } from '../consumer/consumer';
import type { Delivery, Message } from '../consumer/delivery';
import type { Messages, PlainQueue, ReplyFor, RoutingKey } from '../contract-codecs';
import type { Health, InstanceQueueState } from '../health/health';
import type { HandleOptions, Handled, Worker } from '../operators/handle-options';
import { DEFAULTS } from '../options';
import type { Partitioned } from '../partitioned/partitioned';
import type { PartitionedOptions } from '../partitioned/partitioned-options';
import type {
  AnyMessage,
  Checked,
  ContractMessage,
  ExchangeMessage,
  OutboundMessage,
  QueueMessage,
} from '../producer/outbound-message';
import type { Confirmation } from '../producer/pending-send';
import type { Producer } from '../producer/producer';
import type { ProducerOptions, SendOptions } from '../producer/producer-options';
import {
  isIterable,
  publish,
  type CheckedIterable,
  type Iterables,
  type MessageIterable,
  type PublishOperator,
  type PublishOptions,
  type Sender,
} from '../producer/publish';
import { TypedEmitter } from '../reactive/typed-emitter';
import type { RetryOptions, RetryPolicy } from '../retry/retry';
import type { RequestOptions } from '../rpc/requester';
import type { Transport } from '../transport/transport';
import { Admin } from './admin';
import { ConnectionPair, type InstanceQueueEvents } from './connection-pair';
import { HealthMonitor } from './health-monitor';
import { checkInstanceQueueOptions, type InstanceQueueOptions } from './instance-queue-options';
import { KnownNames } from './known-names';
import { MemberFactory } from './member-factory';
import type { Metrics } from './metrics';

/**
 * One service's use of one broker: a producing and a consuming connection, each opened on first use, closed together.
 *
 * @example
 * const queue = new InstanceQueue('amqp://localhost');
 * queue.consume({ queue: 'orders' }).pipe(handle(({ body }) => console.log(body))).subscribe({ error: console.error });
 * await queue.send({ queue: 'orders', body: { id: 1 } });
 */
export class InstanceQueue extends TypedEmitter<InstanceQueueEvents> implements AsyncDisposable {
  /** Declares, inspects, empties and deletes queues and exchanges. */
  readonly admin: Admin;
  readonly #connections: ConnectionPair;
  readonly #monitor: HealthMonitor;
  readonly #members: MemberFactory;
  readonly #producer: Producer;
  readonly #sender: Sender<OutboundMessage | ContractMessage> = {
    send: (message, options) => this.#producer.sendUnchecked(message, options),
  };

  /** @throws OptionsError if the URL or an option cannot be right */
  constructor(target: string | InstanceQueueOptions);
  /** @internal */
  constructor(target: string | InstanceQueueOptions, transport: Transport);
  constructor(target: string | InstanceQueueOptions, transport?: Transport) {
    super();
    const options: InstanceQueueOptions = typeof target === 'string' ? { url: target } : target;
    checkInstanceQueueOptions(options);
    const { topology: _, names: _names, producer: _producer, consumer: _consumer, downAfter, ...rest } = options;
    const names = KnownNames.of(options);
    this.#connections = new ConnectionPair(rest, transport, this);
    this.#monitor = new HealthMonitor(this.#connections, downAfter ?? DEFAULTS.downAfter);
    this.admin = new Admin(this.#connections.consumer.core, options.topology);
    this.#members = new MemberFactory(this.#connections, options, names, this.#monitor);
    this.#producer = this.#members.producer();
  }

  /** Hot. Emits: both states, then whenever one changed. Completes: when both connections are closed. Errors: never. */
  get state$(): Observable<InstanceQueueState> {
    return this.#connections.state$;
  }
  /** The present states. */
  get state(): InstanceQueueState {
    return this.#connections.state;
  }

  /**
   * Hot. Emits: the present health, then each that differs in more than the outbox, which is a sample. Completes: when both
   * connections are closed. Errors: never.
   */
  get health$(): Observable<Health> {
    return this.#monitor.health$;
  }
  /** The present health, with the outbox of this moment. */
  get health(): Health {
    return this.#monitor.health;
  }

  /** Counters since the start, and gauges now. A snapshot. */
  get metrics(): Metrics {
    return this.#monitor.metrics;
  }

  /**
   * Opens both connections; without it each opens on first use. Resolves when both are up. Rejects: ConnectionError, when one was
   * refused for good, its attempts are spent, or it is closed.
   */
  connect(): Promise<void> {
    return this.#connections.connect();
  }

  /**
   * `consume()` on the consuming connection, with the topology and defaults given at construction.
   *
   * Cold: each subscription is an AMQP consumer of its own. Emits: deliveries, or messages with `noAck`.
   * Completes: when closed, or after `until`, once everything handed out is settled or the drain timeout has passed. Errors: when
   * the first attach is refused for good, or the connection gave up or is closed. Unsubscribe: cancels; what was handed out can still be settled.
   *
   * Subscribe with an `error` callback: RxJS throws an error that no callback takes, which ends the process.
   *
   * @throws OptionsError at once, if an option cannot be right
   */
  consume<T = unknown>(options: NoAckConsumeOptions<T>): Observable<Message<T>>;
  consume<T = unknown>(options: ConsumeOptions<T>): Observable<Delivery<T>>;
  consume<T>(options: ConsumeOptions<T> | NoAckConsumeOptions<T>): Observable<Message<T>> {
    return this.#members.consume(options);
  }

  /** A `Consumer` on the consuming connection, with this queue's topology and defaults. @throws OptionsError */
  consumer<T = unknown>(options: ConsumeOptions<T>): Consumer<T> {
    return this.#members.consumer(options);
  }

  /** Sends one message over the producing connection; see `Producer.send`. */
  send<In>(message: QueueMessage<In>, options?: SendOptions): Promise<Confirmation>;
  send<M extends Messages, K extends RoutingKey<M>>(
    message: ExchangeMessage<M, K>,
    options?: SendOptions,
  ): Promise<Confirmation>;
  send<T = unknown>(message: OutboundMessage<T>, options?: SendOptions): Promise<Confirmation>;
  send(message: OutboundMessage | ContractMessage, options?: SendOptions): Promise<Confirmation> {
    return this.#producer.sendUnchecked(message, options);
  }

  /** Sends messages together, over the producing connection; see `Producer.sendAll`. */
  sendAll<K extends string, M extends OutboundMessage | ContractMessage<unknown, K>>(
    messages: readonly (M & Checked<M>)[],
    options?: SendOptions,
  ): Promise<readonly Confirmation[]>;
  sendAll<T = unknown>(
    messages: readonly OutboundMessage<T>[],
    options?: SendOptions,
  ): Promise<readonly Confirmation[]>;
  sendAll(messages: readonly AnyMessage<unknown>[], options?: SendOptions): Promise<readonly Confirmation[]> {
    return this.#producer.sendAllUnchecked(messages, options);
  }

  /**
   * Sends what a source emits, or an iterable holds, over the producing connection; see `publish`.
   *
   * Cold. Emits: a confirmation per message, as they come. Completes: when the source has completed and every message is
   * confirmed. Errors: with the source, or with the first PublishError. Unsubscribe: nothing more is taken; what was sent stays sent.
   *
   * @throws OptionsError if an option cannot be right
   */
  publish(options?: PublishOptions): PublishOperator;
  publish<T = unknown>(options?: PublishOptions): OperatorFunction<OutboundMessage<T>, Confirmation>;
  publish<T = unknown>(messages: MessageIterable<T>, options?: PublishOptions): Observable<Confirmation>;
  publish<K extends string, M extends OutboundMessage | ContractMessage<unknown, K>>(
    messages: CheckedIterable<M>,
    options?: PublishOptions,
  ): Observable<Confirmation>;
  publish<T>(
    first?: Iterables<AnyMessage<unknown>> | PublishOptions,
    options?: PublishOptions,
  ): PublishOperator | OperatorFunction<OutboundMessage<T>, Confirmation> | Observable<Confirmation> {
    return isIterable(first) ? publish<unknown>(this.#sender, first, options) : publish(this.#producer, first);
  }

  /**
   * A queue in partitions, whose messages keep their order per key while several processes consume; see `Partitioned`. Nothing is
   * declared before its first `send` or `consume`.
   *
   * @throws OptionsError if an option cannot be right
   */
  partitioned<T = unknown>(options: PartitionedOptions<T>): Partitioned<T> {
    return this.#members.partitioned(options, this.admin);
  }

  /** A producer of its own on the producing connection: another codec, other bounds. @throws OptionsError */
  producer<T = unknown>(options: ProducerOptions<T> = {}): Producer<T> {
    return this.#members.producer(options);
  }

  /**
   * Sends a request and resolves with its reply. Replies come by direct reply-to, on the channel of the request; no queue is made.
   * While disconnected or blocked the request waits, its deadline running. It expires at the broker when its time is up.
   *
   * Rejects as `send` does, and: PublishError REPLY_ERROR (the responder's work failed; `cause` has its name and message),
   * REPLY_TIMEOUT, PUBLISH_RETURNED (there is no such queue; none is declared), PUBLISH_NACKED and PUBLISH_UNKNOWN (the broker did
   * not take it, or the link was lost before the reply came, and it is not `idempotent`), PUBLISH_ABORTED, PUBLISH_CLOSED;
   * ConsumerError UNDECODABLE (the reply); OptionsError. `maybeDelivered` says whether the work may have been done.
   */
  request<Req, Reply, Res = unknown>(
    message: QueueMessage<Req, Reply>,
    options?: RequestOptions<Res>,
  ): Promise<Message<[Reply] extends [never] ? Res : Reply>>;
  request<M extends Messages, K extends RoutingKey<M>, Res = unknown>(
    message: ExchangeMessage<M, K>,
    options?: RequestOptions<Res>,
  ): Promise<Message<Res>>;
  request<Res = unknown, Req = unknown>(
    message: OutboundMessage<Req>,
    options?: RequestOptions<Res>,
  ): Promise<Message<Res>>;
  request<Res>(message: AnyMessage<unknown>, options?: RequestOptions<Res>): Promise<Message<Res>> {
    return this.#members.request(message, options);
  }

  /**
   * Consumes requests, works on them with `handle`, and replies over the producing connection. A request is acked when its
   * reply is confirmed; one without `replyTo` is worked on and acked. Work that returns nothing answers null.
   *
   * `handling.onError` decides about a failure (default here: 'reject'). When it rejects the request, or a `retry` is spent, the reply
   * holds the error's name and message. At least once, like all consuming: the broker delivers a lost delivery again.
   *
   * Cold. Emits: a `Handled` for each request. Completes: as `consume` does. Errors: as `consume` and `handle` do.
   * Unsubscribe: as with `handle`; work under way goes on and replies.
   *
   * @throws OptionsError if an option cannot be right
   */
  respond<
    Req = unknown,
    Res extends ReplyFor<Q> = never,
    Q extends ConsumeOptions<Req>['queue'] = ConsumeOptions<Req>['queue'],
  >(
    options: ConsumeOptions<Req> & { readonly queue: Q },
    work: Worker<Req, Res>,
    handling?: HandleOptions<NoInfer<Req>>,
  ): Observable<Handled<Req, Res>>;
  respond<Req>(
    options: ConsumeOptions<Req> & { readonly queue: string | PlainQueue },
    work: Worker<Req, unknown>,
    handling?: HandleOptions<NoInfer<Req>>,
  ): Observable<Handled<Req, unknown>>;
  respond<Req>(
    options: ConsumeOptions<Req>,
    work: Worker<Req, unknown>,
    handling: HandleOptions<NoInfer<Req>> = {},
  ): Observable<Handled<Req, unknown>> {
    return this.#members.respond(options, work, handling);
  }

  /**
   * An error policy for `handle({ onError })`: failed messages wait at the broker and come back to their queue, for `attempts` runs in
   * all.
   *
   * Each waits as a copy (same id, content, properties and headers; the count, the time of the first failure and the last error in
   * headers of its own) in a wait queue, from which the broker returns it, and which the broker deletes when unused. The copy is
   * published over the producing connection; when it is confirmed the original is acked. A process killed in between leaves a
   * duplicate with the same `messageId`, never a loss; a copy that cannot be confirmed leaves the original unacked. With
   * `waitIn: 'queue'` it waits in its own queue instead, where RabbitMQ ≥ 4.3 does the same without a copy. The policy rejects
   * (and `handle` falls back to 'requeue-once'): PublishError PUBLISH_INVALID, when the headers have no room for its own.
   *
   * @throws OptionsError if an option cannot be right
   */
  retry<T = unknown>(options: RetryOptions): RetryPolicy<T> {
    return this.#members.retry(options);
  }

  /**
   * Stops consuming, drains, flushes, then closes both connections. Handlers that still run can send and request; pending requests
   * are waited for like confirms. Idempotent; always resolves, within `drainTimeout` and the time of a handshake; the report says
   * what the deadline left behind. A later call may shorten the time that is left.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    return this.#connections.close(options);
  }

  /** `await using`: closes at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal Is it one of the two connections? */
  uses(connection: object | undefined): boolean {
    return this.#connections.uses(connection);
  }
}
