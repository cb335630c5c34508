/**
 * Tests without a broker, and faults in front of one.
 *
 * `FakeInstanceQueue` is an `InstanceQueue` on the transport of a `MemoryBroker`. memory/ implements the transport port:
 * `MemoryTransport`, `MemoryLink` and the channels are the client's end, `BrokerChannel` and `Vhost` with its exchanges and queues
 * the broker's. The broker carries out a request when the channel makes it; what comes of it returns over the `ReplyLine` of the
 * connection, soon and in order. This room imports every room but amqp/, and only tests import it; faults/ imports nothing of the
 * library.
 */
import type { Observable } from 'rxjs';
import { auto, packBody } from '../codec';
import type { Messages, RoutingKey } from '../contract-codecs';
import { FILTER_VALUE } from '../filter-value';
import { writerOf } from '../producer/encoded-message';
import {
  type ContractMessage,
  type ExchangeMessage,
  type OutboundMessage,
  type QueueMessage,
  wholeCopy,
} from '../producer/outbound-message';
import type { Arguments } from '../properties';
import type { QueueSpec, Topology } from '../topology';
import { checkQueueSpec, checkTopology } from '../topology-checks';
import type { Transport } from '../transport/transport';
import { declareTopology } from './memory/declare-topology';
import { MemoryTransport, type BrokerTransport, type TransportHost } from './memory/memory-transport';
import { LATEST } from './memory/generation';
import { Refusal } from './memory/refusal';
import { seen, stored, type BrokerMessage, type StoredMessage } from './memory/stored-message';
import { Vhost, type Published } from './memory/vhost';

/** A queue as a test looks at it. */
export interface QueueView {
  readonly name: string;
  /** What it was declared with, by RabbitMQ's names: `{ 'x-message-ttl': 1000 }`. */
  readonly arguments: Arguments;
  /** The messages that wait in it, in order. */
  readonly messages: readonly BrokerMessage[];
  /** How many messages consumers have and have not settled. */
  readonly unsettled: number;
  readonly consumers: number;
}

/** @internal */
export interface MemoryBrokerInside {
  /** Of the RabbitMQ that it behaves like. */
  readonly version?: string;
  /** Messages in a chunk of a stream, which a filter lets pass as a whole. */
  readonly chunk?: number;
  readonly transport?: (host: TransportHost) => BrokerTransport;
}

/** The connection of another client, in whose name the commands act. */
const OUTSIDE = {};

/**
 * A broker in the memory of a test: what `FakeInstanceQueue` connects to. It behaves like RabbitMQ 4.3 and has queues
 * (classic and quorum), streams with filters, exchanges of the four types, bindings, confirms, returns, redelivery, prefetch,
 * priorities, single active consumers, delayed retries, consumer timeouts, dead letters, TTL, length limits, direct reply-to
 * and alarms; no retention of streams, users and permissions, or nodes. Its commands make happen what a test needs to happen; its views show what the broker holds.
 *
 * @example
 * const { broker } = queue;
 * broker.put({ queue: 'orders', body: { id: 1 } });
 * broker.disconnect();
 * broker.reconnect();
 */
export class MemoryBroker {
  readonly #vhost: Vhost;
  readonly #transport: BrokerTransport;
  readonly #published: StoredMessage[] = [];
  #returns = 0;
  #nacks = 0;
  #alarm: string | undefined;

  constructor();
  /** @internal */
  constructor(inside: MemoryBrokerInside);
  constructor({ version = LATEST, chunk, transport = (host) => new MemoryTransport(host) }: MemoryBrokerInside = {}) {
    this.#vhost = new Vhost(() => this.#transport.size > 0, version, chunk);
    const alarm = (): string | undefined => this.#alarm;
    this.#transport = transport({
      vhost: this.#vhost,
      get alarm() {
        return alarm();
      },
      publish: (message, mandatory) => this.#publish(message, mandatory),
    });
  }

  /** Every message that clients have published, in order, whatever became of it; without those of `put`. */
  get published(): readonly BrokerMessage[] {
    return this.#published.map(seen);
  }

  /** All queues of the broker, as they are now. */
  get queues(): readonly QueueView[] {
    return this.#vhost.queues.map(({ name, declaration, ready, out, consumers }) => ({
      name,
      arguments: declaration.arguments,
      messages: ready.map(({ message }) => seen(message)),
      unsettled: out.size,
      consumers: consumers.length,
    }));
  }

  /** The messages that wait in a queue, in order; without those that consumers have. Empty if there is no such queue. */
  messages(queue: string | QueueSpec): readonly BrokerMessage[] {
    const wanted = typeof queue === 'string' ? queue : queue.name;
    return this.queues.find(({ name }) => name === wanted)?.messages ?? [];
  }

  /**
   * Publishes a message as another client: the way to bring in what no `send` would write. The default codec encodes the body,
   * or that of a contract; bytes go as they are, under whatever `contentType` is given.
   *
   * A queue that does not exist yet keeps the message for the client that declares it: the first declaration decides what kind
   * of queue it is, so it does not matter whether `put` or the app's `consume` comes first. An exchange has to exist.
   *
   * Returns whether a queue took it: `false` if none is bound for it, or if one is full and rejects it.
   *
   * @throws Error if there is no such exchange, or the codec cannot encode the body
   */
  put<In>(message: QueueMessage<In>): boolean;
  put<M extends Messages, K extends RoutingKey<M>>(message: ExchangeMessage<M, K>): boolean;
  put(message: OutboundMessage): boolean;
  put(given: OutboundMessage | ContractMessage): boolean {
    const { body, queue: to, exchange: through = '', routingKey = '', streamFilter, ...properties } = wholeCopy(given);
    const [queue, exchange = ''] = [to, through].map((named) => (typeof named === 'object' ? named.name : named));
    const { content, ...format } = packBody(writerOf(given, auto), body, properties);
    const message = stored(exchange, queue ?? routingKey, content, {
      ...properties,
      ...format,
      ...(streamFilter !== undefined && { headers: { ...properties.headers, [FILTER_VALUE]: streamFilter } }),
    });
    if (queue !== undefined) return this.#vhost.put(queue, message) === 'taken';
    try {
      return this.#vhost.publish(message) === 'taken';
    } catch (cause) {
      if (!(cause instanceof Refusal) || cause.replyCode !== 404) throw cause;
      const advice = 'Wait until the app has declared it (`rest()`), or `declare` it here.';
      throw new Error(`${cause.message}. ${advice}`, { cause });
    }
  }

  /**
   * Declares a queue, or a whole topology, as another client. A queue that is `exclusive` belongs to that client: the app
   * finds it locked.
   *
   * @throws OptionsError if the spec cannot be right
   * @throws Error if RabbitMQ would refuse it: there is another one of that name with other arguments, say
   */
  declare(spec: QueueSpec | Topology): void {
    if ('name' in spec) {
      checkQueueSpec(spec, 'spec');
      declareTopology(this.#vhost, {}, spec, OUTSIDE);
    } else {
      checkTopology(spec);
      declareTopology(this.#vhost, spec, undefined, OUTSIDE);
    }
  }

  /** Deletes a queue with its messages. The broker cancels its consumers, which then attach to a new one. */
  deleteQueue(queue: string): void {
    this.#vhost.deleteQueue(queue);
  }

  /** Deletes an exchange with its bindings. */
  deleteExchange(exchange: string): void {
    this.#vhost.deleteExchange(exchange);
  }

  /**
   * Cancels the consumers of a queue, as when its node goes: their unsettled deliveries return once they noticed. To readers of a stream it
   * means that the stream is deleted.
   */
  cancelConsumers(queue: string): void {
    this.#vhost.find(queue)?.cancelAll();
  }

  /** Drops the messages that wait in a queue. */
  purge(queue: string): void {
    this.#vhost.find(queue)?.purge();
  }

  /**
   * The next `count` mandatory messages come back (`NO_ROUTE`), whatever queues there are. A message for a `queue` is sent
   * once more before its `send` rejects: it takes two.
   */
  returnNext(count = 1): void {
    this.#returns = count;
  }

  /** The broker declines the next `count` messages (nack), like a full queue: they are sent again a little later. */
  nackNext(count = 1): void {
    this.#nacks = count;
  }

  /** Breaks all connections and refuses new ones until `reconnect`. Unsettled deliveries are lost, and delivered again. */
  disconnect(): void {
    this.#transport.refuse();
  }

  /** Accepts connections again; clients that wait to dial do so at once. */
  reconnect(): void {
    this.#transport.accept();
  }

  /** Blocks each connection that publishes from now on, like a broker that runs out of memory. */
  block(reason = 'low on memory'): void {
    this.#alarm = reason;
  }

  /** The alarm is over: blocked connections go on. */
  unblock(): void {
    this.#alarm = undefined;
    this.#transport.unblock();
  }

  /**
   * Keeps what the broker sends (confirms, deliveries, answers) until `release`; a `disconnect` meanwhile loses it. A `close()`
   * waits for answers, too, for as long as its `drainTimeout`.
   */
  hold(): void {
    this.#transport.hold();
  }

  /** Sends what `hold` kept, in order, and everything else at once from now on. */
  release(): void {
    this.#transport.release();
  }

  /** @internal */
  get transport(): Transport {
    return this.#transport;
  }

  /** @internal */
  get vhost(): Vhost {
    return this.#vhost;
  }
  /** @internal Hot. Emits: when something in a queue changed. Completes: never. Errors: never. */
  get changed$(): Observable<void> {
    return this.#vhost.changed$;
  }
  /** @internal What the broker still has to do; undefined: nothing. */
  get underWay(): string | undefined {
    const queues = this.#vhost.queues.filter(({ busy }) => busy);
    if (queues.length > 0) return `messages of ${queues.map(({ name }) => `\`${name}\``).join(', ')}`;
    return this.#transport.busy ? 'something on its way on a connection' : undefined;
  }

  #publish(message: StoredMessage, mandatory: boolean): Published | 'returned' {
    const outcome = this.#commanded(mandatory) ?? this.#vhost.publish(message);
    this.#published.push(message);
    const answer = outcome === 'unroutable' && mandatory ? 'returned' : outcome;
    this.#vhost.observer.published?.(message, answer);
    return answer;
  }

  #commanded(mandatory: boolean): 'full' | 'returned' | undefined {
    if (mandatory && this.#returns > 0) {
      this.#returns--;
      return 'returned';
    }
    if (this.#nacks === 0) return undefined;
    this.#nacks--;
    return 'full';
  }
}
