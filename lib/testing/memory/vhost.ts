import { randomUUID } from 'node:crypto';
import { Subject, type Observable } from 'rxjs';
import { isObject } from '../../options';
import type { Arguments } from '../../properties';
import { MemoryExchange, type Binding, type ExchangeFacts } from './exchange';
import { sameTable } from './field-table';
import { MemoryQueue, type QueueFacts, type Surroundings } from './queue';
import { Refusal } from './refusal';
import type { StoredMessage } from './stored-message';

/** What came of a publish. */
export type Published = 'taken' | 'unroutable' | 'full';

/** The address of whoever asks, as it is given and as it is told. https://www.rabbitmq.com/docs/direct-reply-to */
export const REPLY_TO = 'amq.rabbitmq.reply-to';

const PREDECLARED = ['direct', 'fanout', 'topic', 'headers'];

/** Exchanges, queues and what is between them. */
export class Vhost implements Surroundings {
  readonly #exchanges = new Map<string, MemoryExchange>();
  readonly #queues = new Map<string, MemoryQueue>();
  readonly #askers = new Map<string, (message: StoredMessage) => void>();
  readonly #changed = new Subject<void>();
  readonly #awake: () => boolean;

  constructor(awake: () => boolean) {
    this.#awake = awake;
    const facts = { durable: true, autoDelete: false, internal: false, alternate: undefined };
    for (const type of PREDECLARED) this.#exchanges.set(`amq.${type}`, new MemoryExchange(`amq.${type}`, type, facts));
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

  /** Those there are now: what time has brought, while nobody looked, has come first. */
  get queues(): readonly MemoryQueue[] {
    for (const queue of [...this.#queues.values()]) {
      if (queue.expired) this.deleteQueue(queue.name);
      else queue.sweep();
    }
    return [...this.#queues.values()];
  }

  /** The queue of this name, as a connection may use it. */
  queue(name: string, user?: object): MemoryQueue {
    const queue = this.#present(name);
    if (!queue) throw new Refusal(404, `no queue '${name}' in vhost '/'`);
    if (queue.owner !== undefined && queue.owner !== user && user !== undefined) {
      throw new Refusal(405, `cannot obtain exclusive access to locked queue '${name}' in vhost '/'`);
    }
    return queue;
  }

  has(name: string): boolean {
    return this.#present(name) !== undefined;
  }

  declareQueue(given: string, facts: QueueFacts, user: object | undefined): MemoryQueue {
    if (facts.arguments['x-queue-type'] === 'stream') {
      throw new Refusal(540, `queue '${given}': the in-memory broker has no streams`);
    }
    const name = given === '' ? `amq.gen-${randomUUID()}` : given;
    if (this.has(name)) {
      const queue = this.queue(name, user);
      this.#same(`queue '${name}'`, queue.facts, facts);
      queue.used();
      return queue;
    }
    if (given.startsWith('amq.')) throw new Refusal(403, `queue name '${name}' contains reserved prefix 'amq.*'`);
    const queue = new MemoryQueue(name, facts, facts.exclusive ? user : undefined, this);
    this.#queues.set(name, queue);
    this.changed();
    return queue;
  }

  /** With all that is in it; who consumes from it is cancelled. */
  deleteQueue(name: string): void {
    const queue = this.#queues.get(name);
    if (!queue) return;
    this.#queues.delete(name);
    queue.sleep();
    queue.cancelAll();
    for (const exchange of this.#exchanges.values()) {
      if (exchange.unbind(name)) this.#exchanges.delete(exchange.name);
    }
    this.changed();
  }

  exchange(name: string): MemoryExchange {
    const exchange = this.#exchanges.get(name);
    if (!exchange) throw new Refusal(404, `no exchange '${name}' in vhost '/'`);
    return exchange;
  }

  declareExchange(name: string, type: string, facts: ExchangeFacts): void {
    const present = this.#exchanges.get(name);
    if (present) {
      this.#same(`exchange '${name}'`, { ...present.facts, type: present.type }, { ...facts, type });
    } else if (name.startsWith('amq.')) {
      throw new Refusal(403, `exchange name '${name}' contains reserved prefix 'amq.*'`);
    } else this.#exchanges.set(name, new MemoryExchange(name, type, facts));
  }

  bind(source: string, binding: Binding, user: object): void {
    const exchange = this.exchange(source);
    if ('queue' in binding.to) this.queue(binding.to.queue, user);
    else this.exchange(binding.to.exchange);
    exchange.bind(binding);
  }

  /** To every queue that the message is routed to, once. */
  publish(message: StoredMessage): Published {
    const { exchange, routingKey } = message;
    const asker = exchange === '' ? this.#askers.get(routingKey) : undefined;
    if (asker) {
      asker(message);
      return 'taken';
    }
    const queues = this.#route(message);
    if (queues.length === 0) return 'unroutable';
    return queues.map((queue) => queue.push(message)).includes(false) ? 'full' : 'taken';
  }

  deadLetter(message: StoredMessage, exchange: string): void {
    // A dead letter that has nowhere to go is dropped, as everywhere.
    if (exchange === '' || this.#exchanges.has(exchange)) this.publish(message);
  }

  /** An address for the replies to one channel. */
  listen(onReply: (message: StoredMessage) => void): { readonly address: string; readonly end: () => void } {
    const address = `${REPLY_TO}.${randomUUID()}`;
    this.#askers.set(address, onReply);
    return { address, end: () => this.#askers.delete(address) };
  }

  /** A connection is there, to wait for what time brings. */
  wake(): void {
    for (const queue of this.queues) queue.dispatch();
  }

  /** A connection is gone, and with it what was for it alone. */
  left(user: object): void {
    for (const { name, owner } of [...this.#queues.values()]) if (owner === user) this.deleteQueue(name);
    if (!this.awake) for (const queue of this.#queues.values()) queue.sleep();
  }

  #present(name: string): MemoryQueue | undefined {
    const queue = this.#queues.get(name);
    if (queue?.expired !== true) return queue;
    this.deleteQueue(name);
    return undefined;
  }

  #route(message: StoredMessage): MemoryQueue[] {
    const { exchange, routingKey, properties } = message;
    if (exchange === '') return this.#named([routingKey]);
    if (this.exchange(exchange).facts.internal) {
      throw new Refusal(403, `cannot publish to internal exchange '${exchange}' in vhost '/'`);
    }
    const headers: Arguments = isObject(properties.headers) ? properties.headers : {};
    const queues = new Set<string>();
    const passed = new Set<string>();
    const pass = (name: string): void => {
      const at = this.#exchanges.get(name);
      if (!at || passed.has(name)) return;
      passed.add(name);
      const targets = at.route({ routingKey, headers });
      if (targets.length === 0 && at.facts.alternate !== undefined) pass(at.facts.alternate);
      for (const to of targets) {
        if ('queue' in to) queues.add(to.queue);
        else pass(to.exchange);
      }
    };
    pass(exchange);
    return this.#named([...queues]);
  }

  #named(names: readonly string[]): MemoryQueue[] {
    return names.map((name) => this.#present(name)).filter((queue) => queue !== undefined);
  }

  #same(what: string, present: object, given: object): void {
    for (const [name, value] of Object.entries(present)) {
      const received: unknown = Reflect.get(given, name);
      const same = isObject(value) && isObject(received) ? sameTable(value, received) : value === received;
      if (!same) throw new Refusal(406, `inequivalent arg '${name}' for ${what} in vhost '/'`);
    }
  }
}
