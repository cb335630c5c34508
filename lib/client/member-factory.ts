import type { Observable } from 'rxjs';
import { auto } from '../codec';
import { consuming } from '../consumer/consume';
import {
  resolveConsumeOptions,
  type ConsumeOptions,
  type NoAckConsumeOptions,
  type ResolvedConsumeOptions,
} from '../consumer/consume-options';
import { Consumer } from '../consumer/consumer';
import type { Message } from '../consumer/delivery';
import { queueCodecs } from '../contract';
import type { HandleOptions, Handled, Worker } from '../operators/handle-options';
import { checkIsOptions, DEFAULTS, withDefaults } from '../options';
import { Partitioned } from '../partitioned/partitioned';
import { checkPartitioned, type PartitionedOptions } from '../partitioned/partitioned-options';
import { partitionedTopology, type PartitionAdmin } from '../partitioned/partition-topology';
import type { AnyMessage } from '../producer/outbound-message';
import { Producer } from '../producer/producer';
import type { ProducerInside, ProducerOptions } from '../producer/producer-options';
import { FORWARDING, Forwarder } from '../retry/forwarder';
import { retry, type RetryOptions, type RetryPolicy } from '../retry/retry';
import { respond } from '../rpc/reply';
import { Requester, type RequestOptions } from '../rpc/requester';
import { mergeTopologies } from '../topology';
import type { ConnectionPair } from './connection-pair';
import type { HealthMonitor } from './health-monitor';
import { withConsumerDefaults, type InstanceQueueOptions } from './instance-queue-options';
import type { KnownNames } from './known-names';

/**
 * Makes all that consumes and publishes for one `InstanceQueue`: on the connection of its kind, with the topology, defaults and known
 * names of the queue, and counted in by its health monitor. What the library publishes for itself is made when it is first needed.
 */
export class MemberFactory {
  readonly #connections: ConnectionPair;
  readonly #options: InstanceQueueOptions;
  readonly #names: KnownNames;
  readonly #monitor: HealthMonitor;
  #forwarder: Forwarder | undefined;
  #requester: Requester | undefined;

  constructor(connections: ConnectionPair, options: InstanceQueueOptions, names: KnownNames, monitor: HealthMonitor) {
    this.#connections = connections;
    this.#options = options;
    this.#names = names;
    this.#monitor = monitor;
  }

  /** Cold; each subscription is a consumer. @throws OptionsError */
  consume<T>(options: ConsumeOptions<T> | NoAckConsumeOptions<T>): Observable<Message<T>> {
    return consuming(this.#connections.consumer, this.#complete<T, typeof options>(options).resolved);
  }

  /** @throws OptionsError */
  consumer<T>(options: ConsumeOptions<T>): Consumer<T> {
    return new Consumer(this.#connections.consumer, this.#complete<T, typeof options>(options).given);
  }

  /** A producer that users send with: each of its messages names a known queue or exchange. @throws OptionsError */
  producer<T>(options: ProducerOptions<T> = {}): Producer<T> {
    return this.#make(options, { names: this.#names });
  }

  /** @throws OptionsError */
  partitioned<T>(options: PartitionedOptions<T>, admin: PartitionAdmin): Partitioned<T> {
    checkPartitioned(options);
    const { name, partitions, queues = {} } = options;
    this.#names.declare(partitionedTopology({ name, partitions, queues }));
    const { producer, consumer } = this.#connections;
    return new Partitioned<T>(options, {
      consuming: consumer,
      producing: producer,
      admin,
      timeout: this.#options.producer?.timeout ?? DEFAULTS.timeout,
      resolve: (given) => this.#complete<T, typeof given>(given).resolved,
      codec: this.#options.producer?.codec ?? auto,
      producer: (given) => this.producer(given),
      started: (consumers) => {
        this.#monitor.followAll(consumers);
      },
    });
  }

  /** As `InstanceQueue.request`. */
  async request<Res>(message: AnyMessage<unknown>, options?: RequestOptions<Res>): Promise<Message<Res>> {
    this.#names.checkRequest(message);
    return this.#requests.request(message, options);
  }

  /** As `InstanceQueue.respond`. @throws OptionsError */
  respond<Req>(
    options: ConsumeOptions<Req>,
    work: Worker<Req, unknown>,
    handling: HandleOptions<Req>,
  ): Observable<Handled<Req, unknown>> {
    const requests$ = consuming(this.#connections.consumer, this.#complete<Req, typeof options>(options).resolved);
    const codec = queueCodecs(options.queue)?.reply ?? this.#options.producer?.codec ?? auto;
    const { log } = this.#connections.consumer.core;
    return respond(requests$, { codec, log, forwarder: () => this.#forwards }, work, handling);
  }

  /** As `InstanceQueue.retry`. @throws OptionsError */
  retry<T>(options: RetryOptions): RetryPolicy<T> {
    const policy = retry<T>(options, (copy, how) => this.#forwards.forward(copy, how));
    if (typeof options.then === 'object') this.#names.check(options.then, 'then');
    return policy;
  }

  get #requests(): Requester {
    return (this.#requester ??= new Requester(
      this.#connections.producer.core,
      (policy, prepare) => this.#make({ onUnknown: policy, onNack: policy, mandatory: true }, { prepare }),
      this.#options.producer?.timeout,
    ));
  }

  /** Publishes for consumers: copies to retry, dead letters, replies. */
  get #forwards(): Forwarder {
    return (this.#forwarder ??= new Forwarder(this.#connections.producer.core, this.#make(FORWARDING)));
  }

  /** Adds the topology and defaults of the `InstanceQueue`, and remembers what the options declare. */
  #complete<T, O extends ConsumeOptions<T> | NoAckConsumeOptions<T>>(options: O): Complete<T, O> {
    const given = withConsumerDefaults(this.#options, options);
    const resolved = resolveConsumeOptions<T>(given);
    const { topology, queue } = options;
    this.#names.declare(topology);
    if (typeof queue === 'string') this.#names.check({ queue }, 'queue');
    else this.#names.declareQueue(queue, 'queue');
    if (resolved.spec) this.#connections.producer.core.learn(resolved.spec);
    return { given, resolved };
  }

  #make<T>(options: ProducerOptions<T>, inside: ProducerInside = {}): Producer<T> {
    checkIsOptions(options, 'a producer');
    this.#names.declare(options.topology);
    const topology = mergeTopologies(options.topology, this.#options.topology);
    // A codec among the defaults is the caller's: nothing here can tell whether it fits what this producer sends.
    const defaults = (this.#options.producer ?? {}) as ProducerOptions<T>;
    const { producer: connection } = this.#connections;
    const producer = new Producer<T>(connection, { ...withDefaults(defaults, options), topology }, inside);
    this.#monitor.include(producer);
    return producer;
  }
}

/** Options with the defaults of the `InstanceQueue`, and the same with nothing left open. */
interface Complete<T, O> {
  readonly given: O;
  readonly resolved: ResolvedConsumeOptions<T>;
}
