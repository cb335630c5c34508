import type { ConsumeMessage } from 'amqplib';
import type { Arguments } from '../../properties';
import { ChannelTaker, type TakerOptions } from './queue-consumer';
import type { MemoryQueue, Place } from './queue';
import { Refusal } from './refusal';
import type { StoredMessage } from './stored-message';
import { Unsettled } from './unsettled';
import { REPLY_TO, type Vhost } from './vhost';

/** What a delivery says beside its message. */
export type DeliveryFields = Pick<ConsumeMessage['fields'], 'consumerTag' | 'deliveryTag' | 'redelivered'>;

/** The other end of a channel. */
export interface ClientEnd {
  deliver(message: StoredMessage, fields: DeliveryFields): void;
  cancelled(consumerTag: string): void;
}

/** A channel as the broker knows it: who consumes on it, and what is out. */
export class BrokerChannel {
  prefetch = 0;
  readonly #vhost: Vhost;
  readonly #user: object;
  readonly #client: ClientEnd;
  readonly #takers = new Map<string, ChannelTaker>();
  readonly #unsettled = new Unsettled();
  #replies: { readonly address: string; readonly end: () => void } | undefined;
  #ended = false;

  /** `user`: the connection it is on. */
  constructor(vhost: Vhost, user: object, client: ClientEnd) {
    this.#vhost = vhost;
    this.#user = user;
    this.#client = client;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Gives how to begin, when the client knows that it consumes. */
  consume(queue: string, consumerTag: string, options: TakerOptions): () => void {
    if (queue === REPLY_TO) {
      this.#listen(consumerTag, options.noAck);
      return () => undefined;
    }
    const taker = this.#taker(this.#vhost.queue(queue, this.#user), consumerTag, options);
    return () => {
      taker.queue.attach(taker);
      taker.queue.dispatch();
    };
  }

  cancel(consumerTag: string): void {
    const taker = this.#takers.get(consumerTag);
    this.#takers.delete(consumerTag);
    if (taker?.queue.detach(taker)) this.#vhost.deleteQueue(taker.queue.name);
  }

  /** As it is stored: a request tells where the reply is to go. */
  addressed(message: StoredMessage): StoredMessage {
    if (message.properties.replyTo !== REPLY_TO) return message;
    if (!this.#replies) throw new Refusal(406, 'fast reply consumer does not exist');
    return { ...message, properties: { ...message.properties, replyTo: this.#replies.address } };
  }

  ack(tag: number, upTo: boolean): void {
    this.#unsettled.settle(tag, upTo, (place, { queue }) => {
      queue.settled(place);
    });
  }

  /** `failed`: it was tried, which counts. */
  refuse(tag: number, upTo: boolean, how: { readonly requeue: boolean; readonly failed: boolean }): void {
    this.#unsettled.settle(tag, upTo, (place, { queue }) => {
      if (how.requeue) queue.returned(place, how.failed);
      else queue.rejected(place);
    });
  }

  /** It is over: what is out goes back, what the client still says is not read. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#replies?.end();
    for (const tag of [...this.#takers.keys()]) this.cancel(tag);
    this.#unsettled.giveBack();
  }

  #listen(consumerTag: string, noAck: boolean): void {
    if (!noAck) throw new Refusal(406, 'reply consumer cannot acknowledge');
    if (this.#replies) throw new Refusal(406, 'reply consumer already set');
    this.#replies = this.#vhost.listen((message) => {
      this.#client.deliver(message, { consumerTag, deliveryTag: 1, redelivered: false });
    });
  }

  #taker(queue: MemoryQueue, consumerTag: string, options: TakerOptions): ChannelTaker {
    if (queue.takers.some(({ exclusive }) => exclusive) || (options.exclusive && queue.takers.length > 0)) {
      throw new Refusal(403, `queue '${queue.name}' in vhost '/' in exclusive use`);
    }
    const taker = new ChannelTaker(queue, options, this.prefetch, {
      deliver: (place) => {
        const { redelivered } = place;
        this.#client.deliver(asDelivered(queue, place), {
          consumerTag,
          deliveryTag: this.#unsettled.tag(place, taker),
          redelivered,
        });
      },
      cancelled: () => {
        this.#takers.delete(consumerTag);
        this.#client.cancelled(consumerTag);
      },
    });
    this.#takers.set(consumerTag, taker);
    return taker;
  }
}

/** Quorum queues tell how often it failed. */
function asDelivered(queue: MemoryQueue, { message, failures }: Place): StoredMessage {
  if (!queue.counts || failures === 0) return message;
  const headers = { ...(message.properties.headers as Arguments | undefined), 'x-delivery-count': failures };
  return { ...message, properties: { ...message.properties, headers } };
}
