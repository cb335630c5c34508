import { auto, contentTypeOf } from '../codec';
import type { Dialer } from '../amqp/dial';
import type { Observable } from 'rxjs';
import type { OutboundMessage } from '../producer/outbound-message';
import { toAmqp, type MessageProperties } from '../properties';
import { queueArguments } from '../amqp/declare-topology';
import type { QueueSpec } from '../topology';
import { Links } from './memory/memory-transport';
import type { Host } from './memory/memory-connection';
import { queueFacts } from './memory/queue';
import { seen, stored, type BrokerMessage, type StoredMessage } from './memory/stored-message';
import { Vhost, type Published } from './memory/vhost';

/** A queue as a test looks at it. */
export interface QueueView {
  readonly name: string;
  /** What waits in it, in order. */
  readonly messages: readonly BrokerMessage[];
  /** How many are out to consumers, and not settled. */
  readonly unsettled: number;
  readonly consumers: number;
}

/**
 * A broker that lives in the memory of a test: what `FakeInstanceQueue` is connected to. It has queues, exchanges of the four
 * types, bindings, confirms, returns, redelivery, prefetch, dead letters, TTL, queue lengths, direct reply-to and alarms; no
 * streams, no permissions, no nodes. Its commands make happen what a test wants to happen, its views say what is there.
 *
 * @example
 * const { broker } = queue;
 * broker.put({ queue: 'orders', body: { id: 1 } });
 * broker.disconnect();
 * broker.reconnect();
 */
export class MemoryBroker {
  /** @internal */
  readonly dialer: Dialer;
  readonly #vhost: Vhost;
  readonly #links: Links;
  readonly #published: BrokerMessage[] = [];
  #returns = 0;
  #nacks = 0;
  #alarm: string | undefined;

  constructor() {
    this.#vhost = new Vhost(() => this.#links.size > 0);
    this.#links = new Links(this.#host());
    this.dialer = { dial: (endpoint) => this.#links.dial(endpoint), back$: this.#links.back$ };
  }

  /** All that clients have published, in order, whatever became of it; not what `put` put there. */
  get published(): readonly BrokerMessage[] {
    return [...this.#published];
  }

  /** The queues there are. */
  get queues(): readonly QueueView[] {
    return this.#vhost.queues.map(({ name, ready, out, takers }) => ({
      name,
      messages: ready.map(({ message }) => seen(message)),
      unsettled: out.size,
      consumers: takers.length,
    }));
  }

  /** What waits in a queue, in order; without what is out to consumers. Nothing, if there is no such queue. */
  messages(queue: string): readonly BrokerMessage[] {
    return this.queues.find(({ name }) => name === queue)?.messages ?? [];
  }

  /**
   * Puts a message there, as from another client: the way to bring in what no `send` would write. A Buffer goes as it is, under
   * the `contentType` given; anything else as JSON. A queue that is missing is made, as `send` would.
   *
   * @throws Error if there is no such exchange
   */
  put({
    body,
    queue,
    exchange = '',
    routingKey = '',
    persistent = true,
    mandatory: _,
    ...given
  }: OutboundMessage): void {
    if (queue !== undefined && !this.#vhost.has(queue)) this.declare({ name: queue });
    const contentType = given.contentType ?? contentTypeOf(auto, body);
    const properties: MessageProperties = { ...given, ...(contentType !== undefined && { contentType }) };
    const options = toAmqp({ ...properties, persistent, mandatory: false });
    this.#vhost.publish(stored(exchange, queue ?? routingKey, auto.encode(body), options));
  }

  /** Makes a queue, as another client would. @throws Error if there is another one of that name */
  declare(spec: QueueSpec): void {
    this.#vhost.declareQueue(spec.name, queueFacts(queueArguments(spec)), undefined);
  }

  /** Deletes a queue with all that is in it; its consumers are cancelled, and attach to a new one. */
  deleteQueue(queue: string): void {
    this.#vhost.deleteQueue(queue);
  }

  /** Cancels the consumers of a queue, as when its node goes: what is out stays out until they notice. */
  cancelConsumers(queue: string): void {
    if (this.#vhost.has(queue)) this.#vhost.queue(queue).cancelAll();
  }

  /** Throws away what waits in a queue. */
  purge(queue: string): void {
    if (this.#vhost.has(queue)) this.#vhost.queue(queue).purge();
  }

  /**
   * The next so many mandatory messages come back (`NO_ROUTE`), whatever queues there are. A message for a `queue` is sent once
   * more before its `send` rejects: it takes two.
   */
  returnNext(count = 1): void {
    this.#returns = count;
  }

  /** The next so many messages are not taken (nack), as by a full queue: they are sent again a little later. */
  nackNext(count = 1): void {
    this.#nacks = count;
  }

  /** Breaks all connections, and refuses new ones until `reconnect`. What was out to consumers is lost, and comes again. */
  disconnect(): void {
    this.#links.refuse();
  }

  /** Takes connections again; who waits to dial does so at once. */
  reconnect(): void {
    this.#links.accept();
  }

  /** Blocks each connection that publishes from now on, as a broker that runs out of memory does. */
  block(reason = 'low on memory'): void {
    this.#alarm = reason;
  }

  /** The alarm is over: publishers go on. */
  unblock(): void {
    this.#alarm = undefined;
    this.#links.unblock();
  }

  /** What the broker says (confirms, deliveries, answers) is under way until `release`; a `disconnect` loses it. */
  hold(): void {
    this.#links.hold();
  }

  /** Answers what `hold` kept, in order, and at once from now on. */
  release(): void {
    this.#links.release();
  }

  /** @internal Hot. Emits: when something in a queue changed. Completes: never. Errors: never. */
  get changed$(): Observable<void> {
    return this.#vhost.changed$;
  }
  /** @internal What keeps it from being at rest: nothing is, as far as the broker can see, if it is undefined. */
  get underWay(): string | undefined {
    const queues = this.#vhost.queues.filter(
      ({ out, takers, ready }) => out.size + (takers.length && ready.length) > 0,
    );
    if (queues.length > 0) return `messages of ${queues.map(({ name }) => `\`${name}\``).join(', ')}`;
    return this.#links.busy ? 'what was said on a connection' : undefined;
  }

  #host(): Host {
    const alarm = (): string | undefined => this.#alarm;
    return {
      vhost: this.#vhost,
      get alarm() {
        return alarm();
      },
      publish: (message, mandatory) => this.#publish(message, mandatory),
      joined: () => {
        this.#vhost.wake();
      },
      left: (model) => {
        this.#links.left(model);
        this.#vhost.left(model);
      },
    };
  }

  #publish(message: StoredMessage, mandatory: boolean): Published | 'returned' {
    const refused = this.#refusedOnCommand(mandatory);
    const outcome = refused ?? this.#vhost.publish(message);
    this.#published.push(seen(message));
    return outcome === 'unroutable' && mandatory ? 'returned' : outcome;
  }

  #refusedOnCommand(mandatory: boolean): 'full' | 'returned' | undefined {
    if (mandatory && this.#returns > 0) {
      this.#returns--;
      return 'returned';
    }
    if (this.#nacks === 0) return undefined;
    this.#nacks--;
    return 'full';
  }
}
