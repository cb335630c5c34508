import { timer, type Subscription } from 'rxjs';
import { LONGEST } from '../../options';
import type { QueueDeclaration } from '../../topology-arguments';
import type { BrokerQueue, QueueHost } from './broker-queue';
import type { DeathReason } from './dead-letter';
import { quorumRank, releaseCounts, servesRanksInTurns } from './generation';
import { checkPriority } from './declaration-checks';
import { checkNeverMoved } from './moved-consumers';
import type { QueueConsumer, QueueConsumerOptions } from './queue-consumer';
import { limitsOf, type Limits } from './queue-limits';
import { ReadyMessages } from './ready-messages';
import { Refusal } from './refusal';
import type { QueuedMessage, StoredMessage } from './stored-message';

/** ms after which a quorum queue tries again to hand over a dead letter that no queue took. */
const DEAD_LETTER_AGAIN = 180_000;

/** A classic or a quorum queue: its messages in order, and the consumers that take them in turns. */
export class MemoryQueue implements BrokerQueue {
  readonly consumers: QueueConsumer[] = [];
  readonly out = new Set<QueuedMessage>();
  /** Does it count failed deliveries? A quorum queue does. */
  readonly counts: boolean;
  readonly singleActiveConsumer: boolean;
  readonly #ready: ReadyMessages;
  readonly #limits: Limits;
  /** Those that wait to be delivered again, and until when, by `performance.now()`. */
  readonly #delayed = new Map<QueuedMessage, number>();
  #pushed = 0;
  #leaderless = false;
  #usedAt = performance.now();
  #expiry: Subscription | undefined;

  constructor(
    readonly name: string,
    readonly declaration: QueueDeclaration,
    readonly owner: object | undefined,
    readonly host: QueueHost,
  ) {
    const { arguments: args } = declaration;
    this.counts = args['x-queue-type'] === 'quorum';
    this.singleActiveConsumer = args['x-single-active-consumer'] === true;
    this.#limits = limitsOf(args, this.counts, host.version);
    this.#ready = new ReadyMessages(this.counts && servesRanksInTurns(host.version));
  }

  get ready(): readonly QueuedMessage[] {
    return this.#ready.all;
  }
  get all(): readonly QueuedMessage[] {
    return [...this.ready, ...this.out, ...this.#delayed.keys()];
  }
  get busy(): boolean {
    return this.out.size > 0 || (this.consumers.length > 0 && this.ready.length + this.#delayed.size > 0);
  }
  get expired(): boolean {
    const { expires } = this.#limits;
    return expires < Infinity && this.consumers.length === 0 && performance.now() - this.#usedAt >= expires;
  }

  used(): void {
    this.#usedAt = performance.now();
  }

  /** Without a leader it takes no message and hands none out. https://www.rabbitmq.com/docs/quorum-queues#availability */
  set leaderless(leaderless: boolean) {
    this.#leaderless = leaderless;
    if (!leaderless) this.dispatch();
  }

  push(message: StoredMessage): boolean {
    if (this.#leaderless) return false;
    this.#dropExpired();
    if (this.#rejects(message)) {
      if (this.declaration.arguments['x-overflow'] === 'reject-publish-dlx') this.#deadLetter(message, 'maxlen');
      return false;
    }
    const { expiration = Infinity, priority } = message.properties;
    this.#ready.insert({
      message,
      rank: this.counts ? quorumRank(this.host.version, priority) : Math.min(priority ?? 0, this.#limits.maxPriority),
      order: this.#pushed++,
      expiresAt: performance.now() + Math.min(this.#limits.messageTtl, expiration),
      redelivered: false,
      failures: 0,
    });
    // In front of the expiry: a message that lives for 0 ms reaches a consumer that has room for it.
    this.#handOut();
    while (this.#overfull(this.ready)) this.#die(this.#ready.shift(), 'maxlen');
    this.dispatch();
    return true;
  }

  dispatch(): void {
    for (const [message, until] of this.#delayed) {
      if (until > performance.now()) continue;
      this.#delayed.delete(message);
      this.#ready.insert(message);
    }
    this.#dropExpired();
    this.#handOut();
    this.#awaitExpiry();
    this.host.changed();
  }

  sweep(): void {
    if (this.#nextAt() <= performance.now()) this.dispatch();
  }

  settled(message: QueuedMessage): void {
    this.out.delete(message);
  }

  rejected(message: QueuedMessage): void {
    this.settled(message);
    this.#die(message, 'rejected');
  }

  returned(given: QueuedMessage, failed: boolean, lost: boolean): void {
    this.settled(given);
    const message = this.counts ? { ...given, rank: this.#rankOfReturned(lost), order: this.#pushed++ } : given;
    message.redelivered = true;
    if (failed || releaseCounts(this.host.version)) message.failures++;
    const delay = this.#delayOf(message, failed);
    if (message.failures > this.#limits.deliveries) this.#die(message, 'delivery_limit');
    else if (delay === undefined) this.#ready.insert(message);
    else this.#delayed.set(message, performance.now() + delay);
  }

  accept(options: QueueConsumerOptions): void {
    const { exclusive, arguments: args } = options;
    const what = `queue '${this.name}' in vhost '/'`;
    if (exclusive && this.singleActiveConsumer) throw new Refusal(403, `${what} in exclusive use`);
    checkPriority(what, args);
    for (const name of ['x-stream-offset', 'x-stream-filter', 'x-stream-match-unfiltered', 'x-consumer-timeout']) {
      if (args[name] === undefined || (name === 'x-consumer-timeout' && this.counts)) continue;
      const type = this.counts ? 'quorum' : 'classic';
      throw new Refusal(406, `invalid arg '${name}' for ${what} of queue type rabbit_${type}_queue`);
    }
    if (this.counts) checkNeverMoved(this, this.host.version, options);
  }

  attach(consumer: QueueConsumer): void {
    this.used();
    this.consumers.push(consumer);
  }

  detach(consumer: QueueConsumer): boolean {
    const at = this.consumers.indexOf(consumer);
    if (at === -1) return false;
    this.used();
    this.consumers.splice(at, 1);
    return this.declaration.autoDelete && this.consumers.length === 0;
  }

  cancelAll(): void {
    for (const consumer of this.consumers.splice(0)) consumer.cancelled();
    this.used();
  }

  take(): QueuedMessage | undefined {
    if (this.counts && this.singleActiveConsumer) {
      const why = 'basic.get operations are not supported by quorum queues with single active consumer';
      throw new Refusal(405, `cannot obtain access to locked queue '${this.name}' in vhost '/'. ${why}`);
    }
    this.used();
    this.#dropExpired();
    const first = this.#ready.shift();
    if (first) this.out.add(first);
    this.#awaitExpiry();
    this.host.changed();
    return first;
  }

  checkPurge(): void {
    // Clients may purge it.
  }

  purge(): number {
    const length = this.#ready.clear() + this.#delayed.size;
    this.#delayed.clear();
    this.#awaitExpiry();
    this.host.changed();
    return length;
  }

  /** https://www.rabbitmq.com/docs/queues#message-durability: a quorum queue keeps everything. */
  restart(): void {
    if (this.counts) return;
    for (const { message } of this.#ready.remove(({ message: { transient = false } }) => transient)) {
      this.host.lost(message, this.name);
    }
    this.#awaitExpiry();
  }

  sleep(): void {
    this.#expiry?.unsubscribe();
  }

  /**
   * A quorum queue serves first what comes back, in the order in which it comes. Without a delivery limit that is true of what
   * was lost alone: what a client puts back is appended. https://www.rabbitmq.com/docs/quorum-queues#repeated-requeues
   */
  #rankOfReturned(lost: boolean): number {
    return lost || this.#limits.deliveries < Infinity ? Infinity : quorumRank(this.host.version);
  }

  #handOut(): void {
    for (;;) {
      const first = this.#ready.first;
      if (this.#leaderless) return;
      const consumer = first && this.#nextConsumer();
      if (!consumer) return;
      this.#ready.shift();
      if (!consumer.options.noAck) {
        this.out.add(first);
        consumer.unsettled++;
      }
      consumer.deliver(first);
    }
  }

  /** In turns, those of the highest priority first. https://www.rabbitmq.com/docs/consumer-priority */
  #nextConsumer(): QueueConsumer | undefined {
    if (this.singleActiveConsumer) return this.consumers.slice(0, 1).find(({ ready }) => ready);
    let next: QueueConsumer | undefined;
    for (const one of this.consumers) {
      if (one.ready && (!next || one.priority > next.priority)) next = one;
    }
    if (next && this.consumers.length > 1)
      this.consumers.push(...this.consumers.splice(this.consumers.indexOf(next), 1));
    return next;
  }

  /** Like RabbitMQ it looks at the head alone. https://www.rabbitmq.com/docs/ttl#per-message-ttl-caveats */
  #dropExpired(): void {
    const now = performance.now();
    while ((this.#ready.first?.expiresAt ?? Infinity) <= now) this.#die(this.#ready.shift(), 'expired');
  }

  /** When the next message expires, or has waited long enough. */
  #nextAt(): number {
    const expiresAt = this.#ready.first?.expiresAt ?? Infinity;
    return this.#delayed.size === 0 ? expiresAt : Math.min(expiresAt, ...this.#delayed.values());
  }

  /** ms that a message waits which is put back; undefined: none. https://www.rabbitmq.com/docs/quorum-queues */
  #delayOf({ failures }: QueuedMessage, failed: boolean): number | undefined {
    const { min, max, type } = this.#limits.retry;
    if (!this.counts || min <= 0 || (type !== 'all' && type !== (failed ? 'failed' : 'returned'))) return undefined;
    return Math.min(min * Math.max(1, failures), max);
  }

  #awaitExpiry(): void {
    this.#expiry?.unsubscribe();
    const at = this.#nextAt();
    if (at === Infinity || !this.host.awake) return;
    this.#expiry = timer(Math.min(Math.ceil(at - performance.now()), LONGEST)).subscribe(() => {
      this.dispatch();
    });
  }

  #rejects(message: StoredMessage): boolean {
    return this.#limits.rejects && this.#overfull([...this.ready, { message }]);
  }

  /** https://www.rabbitmq.com/docs/maxlength: messages that are out to consumers do not count. */
  #overfull(messages: readonly { readonly message: StoredMessage }[]): boolean {
    const { length, bytes } = this.#limits;
    if (messages.length > length) return true;
    return bytes < Infinity && messages.reduce((sum, { message }) => sum + message.content.length, 0) > bytes;
  }

  #die(dead: QueuedMessage | undefined, reason: DeathReason): void {
    if (!dead) return;
    const taken = this.#deadLetter(dead.message, reason);
    this.host.died(dead.message, { queue: this.name, reason }, taken);
    if (taken) return;
    // It stays. https://www.rabbitmq.com/docs/quorum-queues#dead-lettering
    if (this.counts && this.declaration.arguments['x-dead-letter-strategy'] === 'at-least-once') {
      this.#delayed.set(dead, performance.now() + DEAD_LETTER_AGAIN);
    }
  }

  /** Returns `false` if no queue took it. */
  #deadLetter(message: StoredMessage, reason: DeathReason): boolean {
    const { 'x-dead-letter-exchange': exchange, 'x-dead-letter-routing-key': key } = this.declaration.arguments;
    if (typeof exchange !== 'string') return true;
    const death = { queue: this.name, reason };
    return this.host.deadLetter(message, death, exchange, typeof key === 'string' ? key : undefined);
  }
}
