import { timer, type Subscription } from 'rxjs';
import type { InboundMessage, Settlement } from '../../transport/transport';
import type { BrokerQueue } from './broker-queue';
import { MovedConsumers } from './moved-consumers';
import { QueueConsumer, type QueueConsumerOptions } from './queue-consumer';
import { Refusal } from './refusal';
import { delivered, type QueuedMessage, type StoredMessage } from './stored-message';
import { REPLY_TO, type Vhost } from './vhost';

/** The client's end of a channel. */
export interface ChannelClient {
  readonly deliver: (consumerTag: string, message: InboundMessage) => void;
  readonly cancelled: (consumerTag: string) => void;
}

/** A delivery that is not settled. */
interface Unsettled {
  readonly queue: BrokerQueue;
  readonly message: QueuedMessage;
  /** Undefined for one that `get` took. */
  readonly consumer?: QueueConsumer;
  /** Takes it back after some time; undefined: never. */
  readonly timeout?: Subscription | undefined;
}

/** A channel as the broker knows it: its consumers, and the deliveries on it that are not settled. */
export class BrokerChannel {
  readonly #vhost: Vhost;
  readonly #connection: object;
  readonly #client: ChannelClient;
  readonly #consumers = new Map<string, { readonly queue: BrokerQueue; readonly consumer: QueueConsumer }>();
  readonly #unsettled = new Map<number, Unsettled>();
  /** Queues whose consumers here were cancelled at the end. */
  readonly #left = new Set<BrokerQueue>();
  #deliveries = 0;
  #replies: { readonly address: string; readonly end: () => void } | undefined;
  #ended = false;
  readonly #moved: MovedConsumers;

  constructor(vhost: Vhost, connection: object, client: ChannelClient) {
    this.#vhost = vhost;
    this.#connection = connection;
    this.#client = client;
    this.#moved = new MovedConsumers({
      version: vhost.version,
      find: (name) => vhost.find(name),
      registered: (consumer, queue) => void this.#consumers.set(consumer.options.tag, { queue, consumer }),
      cancelled: (consumerTag) => {
        this.#consumers.delete(consumerTag);
        client.cancelled(consumerTag);
      },
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Registers a consumer. Returns what starts its deliveries: consume-ok goes to the client in front of them. */
  consume(queueName: string, consumerTag: string, given: Omit<QueueConsumerOptions, 'tag'>): () => void {
    const options = { ...given, tag: consumerTag };
    const queue = this.#vhost.queue(queueName, this.#connection);
    const { exclusive } = options;
    const taken = queue.consumers.some((one) => one.options.exclusive) || (exclusive && queue.consumers.length > 0);
    if (taken) throw new Refusal(403, `queue '${queue.name}' in vhost '/' in exclusive use`);
    queue.accept(options);
    const consumer: QueueConsumer = new QueueConsumer(options, {
      deliver: (message) => {
        const timeout = consumerTimeout(queue, options);
        const unsettled = { queue, message, consumer };
        if (timeout === undefined) this.#client.deliver(consumerTag, this.#deliver(unsettled, options.noAck));
        else this.#client.deliver(consumerTag, this.#deliverFor(timeout, unsettled, consumerTag));
      },
      cancelled: () => {
        this.#moved.left(queue, options);
      },
    });
    queue.attach(consumer);
    this.#consumers.set(consumerTag, { queue, consumer });
    return () => {
      queue.dispatch();
    };
  }

  /** The channel gets a prefetch of its own (`basic.qos` with `global`). It limits nothing: no client here asks for a small one. */
  limit(): void {
    this.#moved.limited = true;
  }

  /** Registers the consumer of direct replies. */
  consumeReplies(consumerTag: string): void {
    if (this.#replies) throw new Refusal(406, 'reply consumer already set');
    this.#replies = this.#vhost.listen((message) => {
      this.#client.deliver(consumerTag, delivered(message, 1, false));
    });
  }

  /** Takes one message without a consumer. */
  get(queueName: string): InboundMessage | undefined {
    const queue = this.#vhost.queue(queueName, this.#connection);
    const message = queue.take();
    return message && this.#deliver({ queue, message }, false);
  }

  cancel(consumerTag: string): void {
    this.#detach(consumerTag)?.dispatch();
  }

  /** A request gets the address for its reply. */
  addressed(message: StoredMessage): StoredMessage {
    if (message.properties.replyTo !== REPLY_TO) return message;
    if (!this.#replies) throw new Refusal(406, 'fast reply consumer does not exist');
    return { ...message, properties: { ...message.properties, replyTo: this.#replies.address } };
  }

  /** With `multiple` every unsettled delivery up to the tag, or all for tag 0. */
  settle(tag: number, how: Settlement, multiple: boolean): void {
    this.#observe(tag, how, multiple);
    const all = tag === 0 && multiple;
    if (!all && !this.#unsettled.has(tag)) throw new Refusal(406, `unknown delivery tag ${String(tag)}`);
    const tags = multiple ? [...this.#unsettled.keys()].filter((one) => all || one <= tag) : [tag];
    this.#settleAll(tags, how);
  }

  #observe(upTo: number, how: Settlement, multiple: boolean): void {
    const { settled } = this.#vhost.observer;
    if (!settled) return;
    for (const [tag, { message, queue }] of this.#unsettled) {
      if (tag === upTo || (multiple && tag < upTo)) settled(this, tag, message.message, how, queue.name);
    }
  }

  /** The broker reads no more requests of the client, and delivers nothing more to it. */
  stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#replies?.end();
    // No next consumer gets anything before the unsettled deliveries are back.
    for (const tag of [...this.#consumers.keys()]) {
      const queue = this.#detach(tag);
      if (queue) this.#left.add(queue);
    }
  }

  /** Stops, and puts unsettled deliveries back into their queues. */
  end(): void {
    this.stop();
    this.#settleAll([...this.#unsettled.keys()], 'requeue', true);
    this.#moved.end();
    for (const queue of this.#left) if (this.#vhost.find(queue.name) === queue) queue.dispatch();
    this.#left.clear();
  }

  /** Returns the queue of the consumer, unless it went with it. */
  #detach(consumerTag: string): BrokerQueue | undefined {
    const registered = this.#consumers.get(consumerTag);
    this.#consumers.delete(consumerTag);
    if (!registered) return undefined;
    const { queue, consumer } = registered;
    if (!queue.detach(consumer)) return queue;
    this.#vhost.deleteQueue(queue.name);
    return undefined;
  }

  /** Takes the delivery back after `timeout` ms, and cancels its consumer. https://www.rabbitmq.com/docs/consumers */
  #deliverFor(timeout: number, unsettled: Omit<Unsettled, 'timeout'>, consumerTag: string): InboundMessage {
    const tag = this.#deliveries + 1;
    const after = timer(timeout).subscribe(() => {
      this.cancel(consumerTag);
      this.#client.cancelled(consumerTag);
      this.#settleAll([tag], 'requeue', true);
    });
    return this.#deliver({ ...unsettled, timeout: after }, false);
  }

  #deliver(unsettled: Unsettled, noAck: boolean): InboundMessage {
    const { queue, message } = unsettled;
    const tag = ++this.#deliveries;
    if (!noAck) this.#unsettled.set(tag, unsettled);
    this.#vhost.observer.delivered?.(this, tag, message.message, queue.name, unsettled.consumer);
    return delivered(counted(queue, message), tag, message.redelivered);
  }

  #settleAll(tags: readonly number[], how: Settlement, lost = false): void {
    const queues = new Set<BrokerQueue>();
    for (const tag of tags) {
      const unsettled = this.#unsettled.get(tag);
      if (!unsettled) continue;
      this.#unsettled.delete(tag);
      const { queue, consumer, message, timeout } = unsettled;
      timeout?.unsubscribe();
      if (consumer) consumer.unsettled--;
      // A queue that was deleted takes nothing back, and hands nothing on.
      if (this.#vhost.find(queue.name) !== queue) continue;
      queues.add(queue);
      if (how === 'ack') queue.settled(message);
      else if (how === 'reject') queue.rejected(message);
      else queue.returned(message, how === 'requeue', lost);
    }
    for (const queue of queues) queue.dispatch();
  }
}

/** ms that the consumer has for a delivery; undefined: as long as it likes. */
function consumerTimeout(queue: BrokerQueue, { noAck, arguments: args }: QueueConsumerOptions): number | undefined {
  const timeout = args['x-consumer-timeout'] ?? queue.declaration.arguments['x-consumer-timeout'];
  return queue.counts && !noAck && typeof timeout === 'number' ? timeout : undefined;
}

/** Quorum queues write how many deliveries failed. https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling */
function counted(queue: BrokerQueue, { message, failures }: QueuedMessage): StoredMessage {
  if (!queue.counts || failures === 0) return message;
  const headers = { ...message.properties.headers, 'x-delivery-count': failures };
  return { ...message, properties: { ...message.properties, headers } };
}
