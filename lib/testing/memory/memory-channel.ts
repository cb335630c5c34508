import type { Channel, ConfirmChannel, ConsumeMessage, Message as AmqpMessage, Options, Replies } from 'amqplib';
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Arguments } from '../../properties';
import { BrokerChannel } from './broker-channel';
import { queueFacts, type MemoryQueue } from './queue';
import { Refusal, illegalOperation, told } from './refusal';
import { stored, toAmqplib, type StoredMessage } from './stored-message';
import type { Published, Vhost } from './vhost';
import type { Wire } from './reply-line';

/** As much of a channel as the library uses, beside its events. */
export type UsedChannel = Pick<ConfirmChannel, 'publish'> &
  Pick<Channel, 'ack' | 'cancel' | 'close' | 'consume' | 'nack' | 'prefetch' | 'reject'> &
  Pick<Channel, 'assertExchange' | 'assertQueue' | 'bindExchange' | 'bindQueue' | 'checkExchange' | 'checkQueue'>;

/** Of what the broker reads: is it a message? */
export interface Reading {
  readonly publishes?: boolean;
}
const PUBLISH: Reading = { publishes: true };

/** The connection that it is on. */
export interface ChannelHost {
  readonly wire: Wire;
  /** What the client says, when the broker reads it. */
  toBroker(work: () => void, options: Reading): void;
  publish(message: StoredMessage, mandatory: boolean): Published | 'returned';
}

type OnMessage = (message: ConsumeMessage | null) => void;

const DONE: Replies.Empty = Object.freeze({});

/**
 * A channel in amqplib's words. What is asked is done at once at the broker's end of it; what comes of it is heard a little
 * later, in order, as it is from a broker.
 */
export class MemoryChannel extends EventEmitter implements UsedChannel {
  readonly #connection: ChannelHost;
  readonly #vhost: Vhost;
  readonly #confirms: boolean;
  readonly #broker: BrokerChannel;
  readonly #callbacks = new Map<string, OnMessage>();
  /** Who waits for an answer. */
  readonly #asked = new Set<(error: Error) => void>();
  #published = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';

  constructor(connection: ChannelHost, vhost: Vhost, confirms: boolean) {
    super();
    this.#connection = connection;
    this.#vhost = vhost;
    this.#confirms = confirms;
    this.#broker = new BrokerChannel(vhost, connection, {
      deliver: (message, fields) => {
        this.#say(() => this.#callbacks.get(fields.consumerTag)?.(toAmqplib(message, fields)));
      },
      cancelled: (consumerTag) => {
        this.#say(() => {
          const callback = this.#callbacks.get(consumerTag);
          this.#callbacks.delete(consumerTag);
          callback?.(null);
        });
      },
    });
  }

  assertQueue(name = '', options: Options.AssertQueue = {}): Promise<Replies.AssertQueue> {
    const facts = queueFacts(options);
    return this.#ask('QueueDeclare', () => counted(this.#vhost.declareQueue(name, facts, this.#connection)));
  }

  checkQueue(name: string): Promise<Replies.AssertQueue> {
    return this.#ask('QueueDeclare', () => counted(this.#vhost.queue(name, this.#connection)));
  }

  assertExchange(exchange: string, type: string, options: Options.AssertExchange = {}): Promise<{ exchange: string }> {
    const { durable = true, autoDelete = false, internal = false, alternateExchange: alternate } = options;
    return this.#ask('ExchangeDeclare', () => {
      this.#vhost.declareExchange(exchange, type, { durable, autoDelete, internal, alternate });
      return { exchange };
    });
  }

  checkExchange(exchange: string): Promise<Replies.Empty> {
    return this.#ask('ExchangeDeclare', () => {
      this.#vhost.exchange(exchange);
      return DONE;
    });
  }

  bindQueue(queue: string, source: string, routingKey: string, given: Arguments = {}): Promise<Replies.Empty> {
    return this.#ask('QueueBind', () => {
      this.#vhost.bind(source, { to: { queue }, routingKey, arguments: given }, this.#connection);
      return DONE;
    });
  }

  bindExchange(exchange: string, source: string, routingKey: string, given: Arguments = {}): Promise<Replies.Empty> {
    return this.#ask('ExchangeBind', () => {
      this.#vhost.bind(source, { to: { exchange }, routingKey, arguments: given }, this.#connection);
      return DONE;
    });
  }

  prefetch(count: number): Promise<Replies.Empty> {
    return this.#ask('BasicQos', () => {
      this.#broker.prefetch = count;
      return DONE;
    });
  }

  consume(queue: string, onMessage: OnMessage, options: Options.Consume = {}): Promise<Replies.Consume> {
    const { consumerTag = `amq.ctag-${randomUUID()}`, noAck = false, exclusive = false, priority = 0 } = options;
    let begin = (): void => undefined;
    return this.#ask(
      'BasicConsume',
      () => {
        begin = this.#broker.consume(queue, consumerTag, { noAck, exclusive, priority });
        return { consumerTag };
      },
      // As with amqplib the callback stands before anything can come for it, and its promise may tell of it later.
      () => this.#callbacks.set(consumerTag, onMessage),
      () => {
        begin();
      },
    );
  }

  cancel(consumerTag: string): Promise<Replies.Cancel> {
    const cancelled = (): { consumerTag: string } => {
      this.#broker.cancel(consumerTag);
      return { consumerTag };
    };
    return this.#ask('BasicCancel', cancelled, () => this.#callbacks.delete(consumerTag));
  }

  publish(exchange: string, routingKey: string, content: Buffer, options: Options.Publish = {}): boolean {
    const message = stored(exchange, routingKey, content, options);
    this.#tell(() => {
      const deliveryTag = ++this.#published;
      const outcome = this.#connection.publish(this.#broker.addressed(message), options.mandatory ?? false);
      if (outcome === 'returned') {
        const why = { replyCode: 312, replyText: 'NO_ROUTE' };
        this.#say(() => this.emit('return', toAmqplib(message, why)));
      }
      if (!this.#confirms) return;
      this.#say(() => this.emit(outcome === 'full' ? 'nack' : 'ack', { deliveryTag, multiple: false }));
    }, PUBLISH);
    return true;
  }

  ack({ fields: { deliveryTag } }: AmqpMessage, allUpTo = false): void {
    this.#tell(() => {
      this.#broker.ack(deliveryTag, allUpTo);
    });
  }

  nack({ fields: { deliveryTag } }: AmqpMessage, allUpTo = false, requeue = true): void {
    this.#tell(() => {
      this.#broker.refuse(deliveryTag, allUpTo, { requeue, failed: false });
    });
  }

  reject({ fields: { deliveryTag } }: AmqpMessage, requeue = true): void {
    this.#tell(() => {
      this.#broker.refuse(deliveryTag, false, { requeue, failed: true });
    });
  }

  close(): Promise<void> {
    const closed = this.#ask('ChannelClose', () => {
      this.#broker.end();
    });
    this.#state = 'closing';
    return closed.finally(() => {
      this.closed();
    });
  }

  /** Its connection ends at the broker. */
  end(): void {
    this.#broker.end();
  }

  /** It is over, here as well: nobody is answered any more. */
  closed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#callbacks.clear();
    for (const reject of this.#asked) reject(new Error('Channel ended, no reply will be forthcoming'));
    this.#asked.clear();
    this.emit('close');
  }

  /** The broker says something; nobody hears it on a channel that is not open any more. */
  #say(hear: () => unknown): void {
    this.#connection.wire.say(() => {
      if (this.#state === 'open') hear();
    });
  }

  /** Something that is not answered. */
  #tell(work: () => void, options: Reading = {}): void {
    if (this.#state !== 'open') throw illegalOperation(`Channel ${this.#state}`);
    const refused = (refusal: Refusal): void => {
      this.#refused(refusal);
    };
    this.#toBroker(work, refused, options);
  }

  /** Something that is answered: `heard` comes with the answer, `behind` is done behind it at the broker. */
  async #ask<R>(operation: string, work: () => R, heard?: () => unknown, behind?: () => void): Promise<R> {
    if (this.#state !== 'open') throw illegalOperation(`Channel ${this.#state}`);
    return new Promise<R>((resolve, reject) => {
      this.#asked.add(reject);
      const answered = (): void => {
        const answer = work();
        this.#connection.wire.say(() => {
          if (!this.#asked.delete(reject)) return;
          heard?.();
          resolve(answer);
        });
        behind?.();
      };
      this.#toBroker(answered, (refusal) => {
        if (this.#asked.delete(reject)) reject(told(refusal, operation));
        this.#refused(refusal);
      });
    });
  }

  /** A refusal closes the channel: at the broker at once, here when it is heard of. */
  #toBroker(work: () => void, refused: (refusal: Refusal) => void, options: Reading = {}): void {
    this.#connection.toBroker(() => {
      if (this.#broker.ended) return;
      try {
        work();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.#broker.end();
        this.#connection.wire.say(() => {
          refused(error);
        });
      }
    }, options);
  }

  #refused(refusal: Refusal): void {
    if (this.#state === 'closed') return;
    this.emit('error', told(refusal));
    this.closed();
  }
}

const counted = (queue: MemoryQueue): Replies.AssertQueue => ({
  queue: queue.name,
  messageCount: queue.ready.length,
  consumerCount: queue.takers.length,
});
