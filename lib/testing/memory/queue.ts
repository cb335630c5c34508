import { timer, type Subscription } from 'rxjs';
import type { Options } from 'amqplib';
import type { Arguments } from '../../properties';
import { DeadLetter, type Reason } from './dead-letter';
import type { StoredMessage } from './stored-message';

/** A message in a queue, or out to a consumer of it. */
export interface Place {
  readonly message: StoredMessage;
  /** Where it stands among the others: what comes back goes there. */
  readonly order: number;
  readonly expiresAt: number;
  /** Was it out before? */
  redelivered: boolean;
  /** How often it came back as failed. */
  failures: number;
}

/** Who takes messages from a queue. */
export interface Taker {
  readonly priority: number;
  /** Does it want the queue for itself? */
  readonly exclusive: boolean;
  /** Room for one more? */
  readonly ready: boolean;
  take(place: Place): void;
  /** The queue is gone, or will not have it any more. */
  cancelled(): void;
}

export interface QueueFacts {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Arguments;
}

/** As `queue.declare` asks for them. */
export function queueFacts(options: Options.AssertQueue): QueueFacts {
  const { durable = true, exclusive = false, autoDelete = false } = options;
  return { durable, exclusive, autoDelete, arguments: (options.arguments ?? {}) as Arguments };
}

/** What a queue needs of those around it. */
export interface Surroundings {
  /** Is anybody there to wait for what time brings? */
  readonly awake: boolean;
  deadLetter(message: StoredMessage, exchange: string): void;
  changed(): void;
}

/** One queue: its messages in order, and those who take them in turns. */
export class MemoryQueue {
  readonly takers: Taker[] = [];
  /** Out to consumers. */
  readonly out = new Set<Place>();
  #ready: Place[] = [];
  #orders = 0;
  #usedAt = performance.now();
  #alarm: Subscription | undefined;

  constructor(
    readonly name: string,
    readonly facts: QueueFacts,
    /** The connection it is for, if it is for one alone. */
    readonly owner: object | undefined,
    readonly around: Surroundings,
  ) {}

  get ready(): readonly Place[] {
    return this.#ready;
  }

  /** Has nobody used it for so long that it went (`x-expires`)? */
  get expired(): boolean {
    return this.takers.length === 0 && performance.now() - this.#usedAt >= this.#number('x-expires', Infinity);
  }

  used(): void {
    this.#usedAt = performance.now();
  }

  /** `false`: it is full, and takes no more. */
  push(message: StoredMessage): boolean {
    const limit = this.#number('x-max-length', Infinity);
    const overflow = this.facts.arguments['x-overflow'];
    const rejects = typeof overflow === 'string' && overflow.startsWith('reject-publish');
    if (rejects && this.#ready.length >= limit) return false;
    const { expiration } = message.properties as { readonly expiration: string | undefined };
    const lives = Math.min(this.#number('x-message-ttl', Infinity), expiration === undefined ? Infinity : +expiration);
    const order = this.#orders++;
    this.#ready.push({ message, order, expiresAt: performance.now() + lives, redelivered: false, failures: 0 });
    this.dispatch();
    while (this.#ready.length > limit) this.#die(this.#ready.shift(), 'maxlen');
    return true;
  }

  /** Hands out what can be handed out. */
  dispatch(): void {
    this.#expire();
    for (;;) {
      const [first] = this.#ready;
      const taker = first && this.#nextTaker();
      if (!taker) break;
      this.#ready.shift();
      this.out.add(first);
      taker.take(first);
    }
    this.#awaitExpiry();
    this.around.changed();
  }

  /** What time has brought while nobody was there to wait for it. */
  sweep(): void {
    const [first] = this.#ready;
    if (first && first.expiresAt <= performance.now()) this.dispatch();
  }

  /** It was taken, and is done with. */
  settled(place: Place): void {
    this.out.delete(place);
  }

  rejected(place: Place): void {
    this.settled(place);
    this.#die(place, 'rejected');
  }

  /** Back to where it stood. `tried`: it failed, which counts. */
  returned(place: Place, tried: boolean): void {
    this.settled(place);
    place.redelivered = true;
    if (tried) place.failures++;
    if (place.failures > this.#number('x-delivery-limit', Infinity)) {
      this.#die(place, 'delivery_limit');
      return;
    }
    const at = this.#ready.findIndex(({ order }) => order > place.order);
    this.#ready.splice(at === -1 ? this.#ready.length : at, 0, place);
  }

  attach(taker: Taker): void {
    this.used();
    this.takers.push(taker);
  }

  /** Is that the end of it? */
  detach(taker: Taker): boolean {
    const at = this.takers.indexOf(taker);
    if (at === -1) return false;
    this.used();
    this.takers.splice(at, 1);
    return this.facts.autoDelete && this.takers.length === 0;
  }

  /** Cancels those who consume from it. */
  cancelAll(): void {
    for (const taker of this.takers.splice(0)) taker.cancelled();
    this.used();
  }

  purge(): void {
    this.#ready = [];
    this.#awaitExpiry();
  }

  /** No timer is left. */
  sleep(): void {
    this.#alarm?.unsubscribe();
  }

  get counts(): boolean {
    return this.facts.arguments['x-queue-type'] === 'quorum';
  }

  /** In turns, those of higher priority first. */
  #nextTaker(): Taker | undefined {
    const free = this.takers.filter(({ ready }) => ready);
    const highest = Math.max(...free.map(({ priority }) => priority));
    const next = free.find(({ priority }) => priority === highest);
    if (next) this.takers.push(...this.takers.splice(this.takers.indexOf(next), 1));
    return next;
  }

  /** Like RabbitMQ's, it looks at the head alone. */
  #expire(): void {
    const now = performance.now();
    for (let [first] = this.#ready; first && first.expiresAt <= now; [first] = this.#ready) {
      this.#ready.shift();
      this.#die(first, 'expired');
    }
  }

  #awaitExpiry(): void {
    this.#alarm?.unsubscribe();
    const at = this.#ready[0]?.expiresAt ?? Infinity;
    if (at === Infinity || !this.around.awake) return;
    this.#alarm = timer(Math.ceil(at - performance.now())).subscribe(() => {
      this.dispatch();
    });
  }

  #die(place: Place | undefined, reason: Reason): void {
    const { 'x-dead-letter-exchange': exchange, 'x-dead-letter-routing-key': key } = this.facts.arguments;
    if (!place || typeof exchange !== 'string') return;
    const { message } = place;
    const routingKey = typeof key === 'string' ? key : message.routingKey;
    this.around.deadLetter(new DeadLetter(message, { queue: this.name, reason }).to(exchange, routingKey), exchange);
  }

  #number(name: string, absent: number): number {
    const value = this.facts.arguments[name];
    return typeof value === 'number' ? value : absent;
  }
}
