import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Subject, type Observable } from 'rxjs';
import { queueArguments, type ExchangeDeclaration, type QueueDeclaration } from '../../topology-arguments';
import type { DeleteConditions } from '../../transport/transport';
import { deadLetter, isCycle, type Death } from './dead-letter';
import { checkNewQueue, checkSameExchange, checkSameQueue } from './declaration-checks';
import { LATEST } from './generation';
import { isSame, MemoryExchange, type Binding, type Destination } from './exchange';
import type { BrokerObserver } from './broker-observer';
import type { BrokerQueue, QueueHost } from './broker-queue';
import { MemoryQueue } from './queue';
import { Refusal } from './refusal';
import { routingKeys, withoutBlindCopies } from './sender-selected';
import type { StoredMessage } from './stored-message';
import { MemoryStream } from './stream';

/** What became of a published message. `full`: a queue did not take it. */
export type Published = 'taken' | 'unroutable' | 'full';

/** The pseudo-queue of direct reply-to. https://www.rabbitmq.com/docs/direct-reply-to */
export const REPLY_TO = 'amq.rabbitmq.reply-to';

const PREDECLARED = ['direct', 'fanout', 'topic', 'headers'];

/** The exchanges, queues and bindings of one broker. */
export class Vhost implements QueueHost {
  readonly #exchanges = new Map<string, MemoryExchange>();
  readonly #queues = new Map<string, BrokerQueue>();
  /** Queues that only `put` has named: the first declaration decides what they are. */
  readonly #undeclared = new Set<string>();
  readonly #requesters = new Map<string, (message: StoredMessage) => void>();
  readonly #changed = new Subject<void>();
  readonly #awake: () => boolean;
  /** Queues and exchanges that clients have no permission for. */
  readonly denied = new Set<string>();
  observer: BrokerObserver = {};

  constructor(
    awake: () => boolean,
    /** Of the RabbitMQ that it behaves like. */
    readonly version: string = LATEST,
    readonly chunk = 1,
  ) {
    this.#awake = awake;
    for (const type of PREDECLARED) {
      const declaration = { type, durable: true, autoDelete: false, internal: false, arguments: {} };
      this.#exchanges.set(`amq.${type}`, new MemoryExchange(`amq.${type}`, declaration, version));
    }
  }

  /** Hot. Emits: when something in a queue changed. Completes: never. Errors: never. */
  get changed$(): Observable<void> {
    return this.#changed;
  }
  get awake(): boolean {
    return this.#awake();
  }
  changed(): void {
    this.#changed.next();
  }

  /** Without the queues and messages that have expired by now. */
  get queues(): readonly BrokerQueue[] {
    for (const queue of [...this.#queues.values()]) {
      if (queue.expired) this.deleteQueue(queue.name);
      else queue.sweep();
    }
    return [...this.#queues.values()];
  }

  find(name: string): BrokerQueue | undefined {
    const queue = this.#queues.get(name);
    if (queue?.expired !== true) return queue;
    this.deleteQueue(name);
    return undefined;
  }

  /** The queue of that name, for a connection that uses it. */
  queue(name: string, connection: object): BrokerQueue {
    this.#checkPermission(name);
    const queue = this.find(name);
    if (!queue) throw new Refusal(404, `no queue '${name}' in vhost '/'`);
    // Used by its name alone, it is what a client that found nothing would have declared.
    this.#undeclared.delete(name);
    this.#checkOwner(queue, connection);
    return queue;
  }

  /** Declares it passively. */
  lookFor(name: string, connection: object): BrokerQueue {
    this.observer.declared?.(name, true);
    return this.queue(name, connection);
  }

  declareQueue(given: string, declaration: QueueDeclaration, connection: object): BrokerQueue {
    const name = given === '' ? `amq.gen-${randomUUID()}` : given;
    this.observer.declared?.(name, false);
    this.#checkPermission(name);
    const owner = declaration.exclusive ? connection : undefined;
    const present = this.find(name);
    if (present && !this.#undeclared.has(name)) {
      if (present.owner !== owner) throw locked(name);
      checkSameQueue(name, present.declaration, declaration, this.version);
      present.used();
      return present;
    }
    if (given.startsWith('amq.')) throw new Refusal(403, `queue name '${name}' contains reserved prefix 'amq.*'`);
    checkNewQueue(name, declaration);
    const queue = this.#addQueue(name, declaration, owner);
    for (const { message } of present?.ready ?? []) queue.push(message);
    return queue;
  }

  /** Cancels the consumers of a queue and drops its messages. Returns how many waited in it. */
  deleteQueue(name: string, connection?: object, { ifUnused, ifEmpty }: DeleteConditions = {}): number {
    const queue = this.#queues.get(name);
    if (!queue) return 0;
    if (connection) this.#checkOwner(queue, connection);
    if (ifUnused && queue.consumers.length > 0) throw new Refusal(406, `queue '${name}' in vhost '/' in use`);
    if (ifEmpty && queue.ready.length > 0) throw new Refusal(406, `queue '${name}' in vhost '/' not empty`);
    this.#queues.delete(name);
    this.#undeclared.delete(name);
    if (this.observer.lost) for (const { message } of queue.all) this.lost(message, name);
    queue.sleep();
    queue.cancelAll();
    this.#unbindAll({ queue: name });
    this.changed();
    return queue.ready.length;
  }

  exchange(name: string): MemoryExchange {
    const exchange = this.#exchanges.get(name);
    if (!exchange) throw new Refusal(404, `no exchange '${name}' in vhost '/'`);
    return exchange;
  }

  declareExchange(name: string, declaration: ExchangeDeclaration): void {
    if (name === '') throw onDefaultExchange();
    const present = this.#exchanges.get(name);
    if (present) checkSameExchange(name, present.declaration, declaration);
    else if (name.startsWith('amq.')) {
      throw new Refusal(403, `exchange name '${name}' contains reserved prefix 'amq.*'`);
    } else this.#exchanges.set(name, new MemoryExchange(name, declaration, this.version));
  }

  deleteExchange(name: string, { ifUnused }: Pick<DeleteConditions, 'ifUnused'> = {}): void {
    if (name === '') throw onDefaultExchange();
    if (name.startsWith('amq.')) {
      throw new Refusal(403, `deletion of system exchange '${name}' in vhost '/' not allowed`);
    }
    if (ifUnused && this.#exchanges.get(name)?.used) {
      throw new Refusal(406, `exchange '${name}' in vhost '/' in use`);
    }
    if (this.#exchanges.delete(name)) this.#unbindAll({ exchange: name });
  }

  bind(source: string, binding: Binding, connection: object): void {
    if (source === '') throw onDefaultExchange();
    const exchange = this.exchange(source);
    if ('queue' in binding.to) this.queue(binding.to.queue, connection);
    else this.exchange(binding.to.exchange);
    exchange.bind(binding);
  }

  /** Like RabbitMQ it does not mind if there is no such binding, queue or exchange. */
  unbind(source: string, binding: Binding, connection: object): void {
    if (source === '') throw onDefaultExchange();
    const queue = 'queue' in binding.to && this.find(binding.to.queue);
    if (queue) this.#checkOwner(queue, connection);
    const exchange = this.#exchanges.get(source);
    if (exchange?.unbind((one) => isSame(one, binding))) this.deleteExchange(source);
  }

  /** To every queue that the message is routed to, once. */
  publish(message: StoredMessage): Published {
    const { exchange, routingKey } = message;
    const requester = exchange === '' ? this.#requesters.get(routingKey) : undefined;
    if (requester) {
      requester(message);
      return 'taken';
    }
    if (exchange !== '' && this.exchange(exchange).declaration.internal) {
      throw new Refusal(403, `cannot publish to internal exchange '${exchange}' in vhost '/'`);
    }
    const queues = this.#route(message);
    if (queues.length === 0) return 'unroutable';
    const stored = withoutBlindCopies(message);
    return queues.map((queue) => queue.push(stored)).includes(false) ? 'full' : 'taken';
  }

  /** Into a queue that, if it is missing, keeps the message for the client that declares it. */
  put(queue: string, message: StoredMessage): Published {
    if (!this.find(queue)) {
      this.#undeclared.add(queue);
      this.#addQueue(queue, queueArguments({ name: queue }), undefined);
    }
    return this.publish(message);
  }

  deadLetter(message: StoredMessage, death: Death, exchange: string, key: string | undefined): boolean {
    // Without its exchange a dead letter is dropped, as by RabbitMQ.
    if (exchange !== '' && !this.#exchanges.has(exchange)) return false;
    const letter = deadLetter(message, death, exchange, key);
    const queues = this.#route(letter);
    const taken = queues.map((queue) => isCycle(queue.name, letter) || queue.push(letter));
    return taken.length > 0 && !taken.includes(false);
  }

  died(message: StoredMessage, death: Death, taken: boolean): void {
    this.observer.died?.(message, death, taken);
  }

  /** Gives an address for the replies to one channel. */
  listen(onReply: (message: StoredMessage) => void): { readonly address: string; readonly end: () => void } {
    const address = `${REPLY_TO}.${randomUUID()}`;
    this.#requesters.set(address, onReply);
    return { address, end: () => this.#requesters.delete(address) };
  }

  /** A connection opened: from now on timers wait for what is to expire. */
  wake(): void {
    for (const queue of this.queues) queue.dispatch();
  }

  lost(message: StoredMessage, queue: string): void {
    this.observer.lost?.(message, queue);
  }

  /** The broker starts again; its connections are gone. */
  restart(): void {
    for (const queue of this.#queues.values()) queue.restart();
  }

  /** A connection is gone, and its exclusive queues with it. */
  left(connection: object): void {
    for (const { name, owner } of [...this.#queues.values()]) if (owner === connection) this.deleteQueue(name);
    if (!this.awake) for (const queue of this.#queues.values()) queue.sleep();
  }

  #addQueue(name: string, declaration: QueueDeclaration, owner: object | undefined): BrokerQueue {
    this.#queues.get(name)?.sleep();
    const isStream = declaration.arguments['x-queue-type'] === 'stream';
    const queue = isStream
      ? new MemoryStream(name, declaration, this)
      : new MemoryQueue(name, declaration, owner, this);
    this.#queues.set(name, queue);
    this.changed();
    return queue;
  }

  #checkOwner({ name, owner }: BrokerQueue, connection: object): void {
    if (owner !== undefined && owner !== connection) throw locked(name);
  }

  #checkPermission(name: string): void {
    if (this.denied.has(name))
      throw new Refusal(403, `access to queue '${name}' in vhost '/' refused for user 'guest'`);
  }

  #unbindAll(gone: Destination): void {
    for (const exchange of [...this.#exchanges.values()]) {
      if (exchange.unbind(({ to }) => isDeepStrictEqual(to, gone))) this.deleteExchange(exchange.name);
    }
  }

  #route(message: StoredMessage): BrokerQueue[] {
    const keys = routingKeys(message);
    const names = message.exchange === '' ? keys : this.#routeFrom(message.exchange, keys, message);
    return [...names].map((name) => this.find(name)).filter((queue) => queue !== undefined);
  }

  #routeFrom(source: string, keys: readonly string[], { properties: { headers } }: StoredMessage): Set<string> {
    const queues = new Set<string>();
    const passed = new Set<string>();
    const pass = (name: string): void => {
      const exchange = this.#exchanges.get(name);
      if (!exchange || passed.has(name)) return;
      passed.add(name);
      const targets = keys.flatMap((routingKey) => exchange.route({ routingKey, headers }));
      if (targets.length === 0 && exchange.alternate !== undefined) pass(exchange.alternate);
      for (const to of targets) {
        if ('queue' in to) queues.add(to.queue);
        else pass(to.exchange);
      }
    };
    pass(source);
    return queues;
  }
}

function locked(name: string): Refusal {
  const advice =
    'It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.';
  return new Refusal(405, `cannot obtain exclusive access to locked queue '${name}' in vhost '/'. ${advice}`);
}

const onDefaultExchange = (): Refusal => new Refusal(403, 'operation not permitted on the default exchange');
