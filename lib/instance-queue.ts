import { EventEmitter } from 'node:events';
import { combineLatest, distinctUntilChanged, map, type Observable, type OperatorFunction } from 'rxjs';
import {
  CONNECTION,
  Connection,
  drainTimeoutOf,
  type ConnectionEvents,
  type ConnectionOptions,
} from './connection/connection';
import type { CloseOptions, CloseReport } from './connection/core';
import { StateSubject } from './connection/state';
import { CONSUMER_DEFAULTS, consuming, resolveConsumeOptions } from './consumer/consume';
import type { ConsumeOptions, NoAckConsumeOptions } from './consumer/consume';
import { Consumer } from './consumer/consumer';
import type { ConsumerWatch } from './consumer/consumption';
import type { Delivery, Message } from './consumer/delivery';
import { diagnose, type ConsumerHealth, type Health, type InstanceQueueState } from './health';
import { sumCounters } from './metrics';
import { DEFAULTS, checkOptions, duration, object, withDefaults, type Shape } from './options';
import type { Confirmation } from './producer/entry';
import type { OutboundMessage } from './producer/outbound';
import { PRODUCER, Producer, type OutboxState, type ProducerOptions, type SendOptions } from './producer/producer';
import { publish, type PublishOptions } from './producer/publish';
import { checkTopology, mergeTopologies, type Topology } from './topology';

/** Which of the two connections. */
export type Role = 'producer' | 'consumer';
/** Every connection event, with the role of the connection it happened on. */
export type InstanceQueueEvents = { [K in keyof ConnectionEvents]: [...ConnectionEvents[K], role: Role] };

/** How to reach the broker, and what holds for everything that uses it. */
export interface InstanceQueueOptions extends ConnectionOptions {
  /** Declared on both connections before use; a queue name used elsewhere means its entry here. */
  readonly topology?: Topology;
  /** For the producer behind `send` and `publish`, and defaults for `producer()`. */
  readonly producer?: Omit<ProducerOptions, 'topology'>;
  /** Defaults for every `consume()` and `consumer()`. */
  readonly consumer?: Pick<ConsumeOptions, 'prefetch' | 'tagPrefix'>;
  /** ms of not being up before `health` says down. @default 30 000 */
  readonly downAfter?: number;
}

/** Counters since the start, and gauges now. */
export interface Metrics {
  /** Messages published for the first time. */
  readonly sent: number;
  readonly confirmed: number;
  /** Publishes of messages published before. */
  readonly resent: number;
  readonly returned: number;
  readonly nacked: number;
  /** Messages whose deadline or expiration passed before they were confirmed. */
  readonly timedOut: number;
  /** Messages that a full outbox (`drop-oldest`) gave up for newer ones. */
  readonly dropped: number;
  readonly delivered: number;
  readonly redelivered: number;
  readonly acked: number;
  readonly requeued: number;
  readonly released: number;
  readonly rejected: number;
  /** Deliveries whose channel went before they were settled. */
  readonly lost: number;
  readonly undecodable: number;
  readonly reconnects: number;
  /** Channels opened, and consumers attached, again. */
  readonly reopens: number;
  /** Gauge: deliveries handed out and not settled. */
  readonly inFlight: number;
  /** Gauge. */
  readonly outbox: OutboxState;
}

const { topology: _, ...PRODUCER_DEFAULTS } = PRODUCER;
const INSTANCE_QUEUE: Shape<InstanceQueueOptions> = {
  ...CONNECTION,
  topology: object,
  producer: object,
  consumer: object,
  downAfter: duration(),
};

/**
 * One service's use of one broker: a producing and a consuming connection, each opened on first use, closed together.
 *
 * @example
 * const queue = new InstanceQueue('amqp://localhost');
 * queue.consume({ queue: 'orders' }).pipe(handle(({ body }) => console.log(body))).subscribe();
 * await queue.send({ queue: 'orders', body: { id: 1 } });
 */
export class InstanceQueue extends EventEmitter<InstanceQueueEvents> implements AsyncDisposable {
  readonly #connections: { readonly producer: Connection; readonly consumer: Connection };
  readonly #options: InstanceQueueOptions;
  readonly #producer: Producer;
  readonly #producers = new Set<Pick<Producer, 'outbox'>>();
  readonly #consumers = new StateSubject<ReadonlyMap<object, ConsumerHealth>>(new Map());
  readonly #state: StateSubject<InstanceQueueState>;
  readonly #health: StateSubject<Health>;
  readonly #drainTimeout: number;
  #closed: Promise<CloseReport> | undefined;

  /** @throws OptionsError if the URL or an option cannot be right */
  constructor(target: string | InstanceQueueOptions) {
    super();
    const options: InstanceQueueOptions = typeof target === 'string' ? { url: target } : target;
    checkOptions(options, INSTANCE_QUEUE, { of: 'an InstanceQueue', required: ['url'] });
    const { topology, producer, consumer, downAfter = DEFAULTS.downAfter, ...connection } = options;
    if (topology) checkTopology(topology);
    if (producer) checkOptions(producer, PRODUCER_DEFAULTS, { of: '`producer`', path: 'producer.' });
    if (consumer) checkOptions(consumer, CONSUMER_DEFAULTS, { of: '`consumer`', path: 'consumer.' });
    this.#options = options;
    this.#drainTimeout = options.drainTimeout ?? DEFAULTS.drainTimeout;
    const open = (role: Role): Connection =>
      new Connection({ ...connection, name: `${connection.name ?? 'instance-queue'}.${role}` });
    this.#connections = { producer: open('producer'), consumer: open('consumer') };
    this.#relay('producer', 'consumer');
    this.#relay('consumer', 'producer');
    this.#producer = this.producer();

    const { producer: outbound, consumer: inbound } = this.#connections;
    const states = { producer: outbound.state, consumer: inbound.state };
    this.#state = new StateSubject<InstanceQueueState>(Object.freeze(states));
    combineLatest({ producer: outbound.state$, consumer: inbound.state$ }).subscribe({
      next: (state) => {
        this.#state.next(Object.freeze(state));
      },
      complete: () => {
        this.#consumers.end(this.#consumers.value);
        this.#state.end(this.#state.value);
      },
    });
    this.#health = new StateSubject<Health>(
      this.#sample({ connections: states, consumers: [], status: 'down', blocked: undefined }),
    );
    const vitals$ = combineLatest({
      connections: this.state$,
      consumers: this.#consumers.value$.pipe(map((consumers) => [...consumers.values()])),
      blocked: outbound.blocked$,
    });
    diagnose(vitals$, downAfter).subscribe({
      next: (vitals) => {
        this.#health.next(this.#sample(vitals));
      },
      complete: () => {
        this.#health.end(this.#health.value);
      },
    });
  }

  /** Hot. Emits: both states, then whenever one changed. Completes: when both connections are closed. Errors: never. */
  get state$(): Observable<InstanceQueueState> {
    return this.#state.value$;
  }
  /** The present states. */
  get state(): InstanceQueueState {
    return this.#state.value;
  }

  /**
   * Hot. Emits: the present health, then each new one (by status, connections, consumers' states and blocked; the outbox is
   * a sample). Completes: when both connections are closed. Errors: never.
   */
  get health$(): Observable<Health> {
    return this.#health.value$.pipe(distinctUntilChanged(sameHealth));
  }
  /** The present health, its outbox sampled now. */
  get health(): Health {
    return Object.freeze({ ...this.#health.value, outbox: this.#outbox() });
  }

  /** Counters since the start, and gauges now. A snapshot. */
  get metrics(): Metrics {
    const { producer, consumer } = this.#connections;
    return Object.assign(sumCounters([producer.core.counters, consumer.core.counters]), { outbox: this.#outbox() });
  }

  /**
   * Resolves when both connections are up. Optional: each opens on first use. Rejects: ConnectionError, when one was
   * refused for good, its attempts are spent, or it is closed.
   */
  async connect(): Promise<void> {
    const { producer, consumer } = this.#connections;
    await Promise.all([producer.connect(), consumer.connect()]);
  }

  /**
   * `consume()` on the consuming connection, with the topology and defaults given at construction.
   *
   * Cold: each subscription is an AMQP consumer of its own. Emits: deliveries, or messages with `noAck`.
   * Completes: when closed, or after `until`, once all is settled. Errors: when the first attach is refused for good, or
   * the connection gave up or is closed. Unsubscribe: cancels; what was handed out can still be settled.
   *
   * @throws OptionsError if an option cannot be right
   */
  consume<T = unknown>(options: NoAckConsumeOptions<T>): Observable<Message<T>>;
  consume<T = unknown>(options: ConsumeOptions<T>): Observable<Delivery<T>>;
  consume<T>(options: ConsumeOptions<T> | NoAckConsumeOptions<T>): Observable<Message<T>> {
    const { queueName, ...resolved } = resolveConsumeOptions(this.#withDefaults(options));
    if (resolved.spec) this.#connections.producer.core.learn(resolved.spec);
    return consuming(this.#connections.consumer, { queueName, ...resolved }, () => this.#watch(queueName));
  }

  /** A `Consumer` on the consuming connection, with this queue's topology and defaults. @throws OptionsError */
  consumer<T = unknown>(options: ConsumeOptions<T>): Consumer<T> {
    const given = this.#withDefaults(options);
    const { queueName, spec } = resolveConsumeOptions(given);
    if (spec) this.#connections.producer.core.learn(spec);
    return new Consumer(this.#connections.consumer, given, () => this.#watch(queueName));
  }

  /** Sends one message over the producing connection; see `Producer.send`. */
  send<T = unknown>(message: OutboundMessage<T>, options?: SendOptions): Promise<Confirmation> {
    return this.#producer.send(message, options);
  }

  /** Sends what a source emits over the producing connection; see `publish`. @throws OptionsError */
  publish<T = unknown>(options?: PublishOptions): OperatorFunction<OutboundMessage<T>, Confirmation> {
    return publish<T>(this.#producer, options);
  }

  /** A producer of its own on the producing connection: another codec, other bounds. @throws OptionsError */
  producer<T = unknown>(options: ProducerOptions<T> = {}): Producer<T> {
    const topology = mergeTopologies(options.topology, this.#options.topology);
    // A codec among the defaults is of the caller's making: it has to fit what this producer sends.
    const defaults = (this.#options.producer ?? {}) as ProducerOptions<T>;
    const producer = new Producer<T>(this.#connections.producer, { ...withDefaults(defaults, options), topology });
    this.#producers.add(producer);
    producer.outbox$.subscribe({
      complete: () => {
        this.#producers.delete(producer);
      },
    });
    return producer;
  }

  /**
   * Stops consuming, drains, flushes, closes both connections: handlers that still run can send. Idempotent; always
   * resolves, within `drainTimeout` and the time of a handshake; the report says what the deadline left behind.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    const within = drainTimeoutOf(options, this.#drainTimeout);
    return (this.#closed ??= this.#close(within));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(within: number): Promise<CloseReport> {
    const began = performance.now();
    const { producer, consumer } = this.#connections;
    const { unsettled } = await consumer.close({ drainTimeout: within });
    const { unconfirmed } = await producer.close({ drainTimeout: Math.max(0, within - (performance.now() - began)) });
    return { unsettled, unconfirmed };
  }

  #withDefaults<O extends Pick<ConsumeOptions, 'topology'>>(given: O): O {
    const { topology, consumer = {} } = this.#options;
    const { prefetch, ...others } = consumer;
    const defaults = { ...others, ...(prefetch !== undefined && !('noAck' in given) && { prefetch }) };
    return { ...defaults, ...given, ...(topology && { topology: mergeTopologies(given.topology, topology) }) };
  }

  /** Keeps the state of one subscription for `health`. */
  #watch(queueName: string): ConsumerWatch {
    const me = {};
    return {
      state: (state) => {
        const consumers = new Map(this.#consumers.value);
        // One that gave up is down until somebody consumes from that queue again.
        for (const [other, { queueName: name, status }] of consumers) {
          if (other !== me && name === queueName && status === 'stopped') consumers.delete(other);
        }
        if (state.status === 'stopped' && !state.cause) consumers.delete(me);
        else consumers.set(me, Object.freeze({ ...state, queueName }));
        this.#consumers.next(consumers);
      },
    };
  }

  #outbox(): OutboxState {
    const all = [...this.#producers].map(({ outbox }) => outbox);
    const sum = (gauge: keyof OutboxState): number => all.reduce((total, outbox) => total + outbox[gauge], 0);
    return { queued: sum('queued'), unconfirmed: sum('unconfirmed'), bytes: sum('bytes') };
  }

  #sample({
    status,
    connections,
    consumers,
    blocked,
  }: Omit<Health, 'outbox' | 'blocked'> & { blocked: string | undefined }): Health {
    return Object.freeze({
      status,
      connections,
      consumers,
      outbox: this.#outbox(),
      ...(blocked !== undefined && { blocked }),
    });
  }

  #relay(role: Role, other: Role): void {
    const connection = this.#connections[role];
    connection.on('disconnected', (state) => this.emit('disconnected', state, role));
    connection.on('connecting', (state) => this.emit('connecting', state, role));
    connection.on('connected', (state) => {
      // The broker is back: the other one need not wait any longer.
      this.#connections[other].core.skipWait();
      this.emit('connected', state, role);
    });
    connection.on('reconnecting', (state) => this.emit('reconnecting', state, role));
    connection.on('closing', (state) => this.emit('closing', state, role));
    connection.on('closed', (state) => this.emit('closed', state, role));
    connection.on('blocked', (reason) => this.emit('blocked', reason, role));
    connection.on('unblocked', () => this.emit('unblocked', role));
  }
}

function sameHealth(a: Health, b: Health): boolean {
  return (
    a.status === b.status &&
    a.connections === b.connections &&
    a.blocked === b.blocked &&
    a.consumers.length === b.consumers.length &&
    a.consumers.every((consumer, i) => consumer === b.consumers[i])
  );
}
