import { firstValueFrom, type Observable, race, Subject, take, timer } from 'rxjs';
import { ChannelError } from '../../errors';
import type { QueueSpec, Topology } from '../../topology';
import { declareRefusal, type BrokerIdentity } from '../../transport/broker-version';
import type {
  ConsumeListener,
  ConsumeRequest,
  InboundChannel,
  InboundMessage,
  LinkChannel,
  QueueDepth,
  QueuePresence,
  Settlement,
} from '../../transport/transport';
import { BrokerChannel, type ChannelClient } from './broker-channel';
import { PRIORITY } from './queue-consumer';
import { declareTopology } from './declare-topology';
import { Refusal, refused } from './refusal';
import type { Replies, Requests } from './reply-line';
import type { StoredMessage } from './stored-message';
import type { Published, Vhost } from './vhost';

/** ms to wait for the broker's answer to a close. */
const CLOSE_WITHIN = 5000;

/** The connection that a channel is on. */
export interface ChannelConnection {
  readonly vhost: Vhost;
  readonly broker: BrokerIdentity;
  readonly replies: Replies;
  readonly requests: Requests;
  /** What the client sends. The broker reads it at once, or, while it blocks the connection, later. */
  toBroker(read: () => void, publishes?: boolean): void;
  publish(message: StoredMessage, mandatory: boolean): Published | 'returned';
  /** The broker closes the connection. */
  refused(refusal: Refusal): void;
}

/** Of a channel without consumers. */
const NO_CONSUMERS: ChannelClient = { deliver: () => undefined, cancelled: () => undefined };

interface Answered {
  /** At the client, as soon as the answer arrives. */
  readonly arrived?: () => void;
  /** At the broker, behind the answer. */
  readonly behind?: () => void;
}

/**
 * One channel with both its ends. The broker carries out at once what the client asks for; what comes of it arrives at the
 * client a little later, in order.
 */
export class MemoryChannel implements LinkChannel {
  readonly ended$: Observable<ChannelError | undefined>;
  protected readonly broker: BrokerChannel;
  protected readonly connection: ChannelConnection;
  readonly #ended$ = new Subject<ChannelError | undefined>();
  /** Requests that wait for an answer. */
  readonly #pending = new Set<(why: ChannelError | undefined) => void>();
  #state: 'open' | 'closing' | 'ended' = 'open';

  constructor(connection: ChannelConnection, { deliver, cancelled }: ChannelClient = NO_CONSUMERS) {
    this.connection = connection;
    this.ended$ = this.#ended$.asObservable();
    this.broker = new BrokerChannel(connection.vhost, connection, {
      deliver: (tag, message) => {
        this.arrive(() => {
          deliver(tag, message);
        });
      },
      cancelled: (tag) => {
        this.arrive(() => {
          cancelled(tag);
        });
      },
    });
  }

  get ended(): boolean {
    return this.#state === 'ended';
  }

  async check(queue: string): Promise<QueuePresence> {
    const { vhost } = this.connection;
    try {
      await this.request(`Cannot check queue \`${queue}\``, () => vhost.lookFor(queue, this.connection));
      return 'there';
    } catch (error) {
      if (error instanceof ChannelError && error.replyCode === 404) return 'missing';
      throw error;
    }
  }

  async inspect(queue: string): Promise<QueueDepth | undefined> {
    const { vhost } = this.connection;
    try {
      return await this.request(`Cannot inspect queue \`${queue}\``, () => {
        const { ready, consumers } = vhost.queue(queue, this.connection);
        return { messages: ready.length, consumers: consumers.length };
      });
    } catch (error) {
      if (error instanceof ChannelError && error.replyCode === 404) return undefined;
      throw error;
    }
  }

  async declare(topology: Topology, own?: QueueSpec): Promise<string | undefined> {
    const refusal = declareRefusal(this.connection.broker, topology, own);
    if (refusal) {
      // As a refusal of the broker's does.
      void this.close();
      throw refusal;
    }
    const what = own ? `Cannot declare queue \`${own.name}\`` : 'Cannot declare the topology';
    const { connection } = this;
    return this.request(what, () => declareTopology(connection.vhost, topology, own, connection));
  }

  async close(): Promise<void> {
    if (this.#state === 'ended') return;
    const settled = firstValueFrom(race(this.#ended$.pipe(take(1)), timer(CLOSE_WITHIN)), { defaultValue: undefined });
    if (this.#state === 'open') this.#close(undefined);
    await settled;
  }

  /** Something that the broker answers. Rejects with what went wrong behind `what`. */
  request<R>(what: string, work: () => R, { arrived, behind }: Answered = {}): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const fail = (why: ChannelError | undefined): void => {
        const sentence = `${what}: ${why?.message ?? 'the channel is closed.'}`;
        reject(new ChannelError(sentence, { cause: why, replyCode: why?.replyCode }));
      };
      if (this.#state !== 'open') {
        fail(undefined);
        return;
      }
      this.#pending.add(fail);
      const read = (): void => {
        const answer = work();
        this.connection.replies.send(() => {
          if (!this.#pending.delete(fail)) return;
          arrived?.();
          resolve(answer);
        });
        behind?.();
      };
      this.#toBroker(read, false, (refusal) => {
        if (this.#pending.delete(fail)) reject(refused(what, refusal));
      });
    });
  }

  get endedAtBroker(): boolean {
    return this.broker.ended;
  }

  /** Is it open at both ends? */
  get open(): boolean {
    return this.#state === 'open' && !this.broker.ended;
  }

  /** The broker closes the channel. */
  refuse(refusal: Refusal, onRefusal?: (refusal: Refusal) => void): void {
    this.broker.end();
    this.connection.replies.send(() => {
      onRefusal?.(refusal);
      this.end(refused('The broker closed the channel', refusal));
    });
  }

  /** The client closes the channel over an error of its own, as amqplib does: it takes nothing more, and ends with the broker's answer. */
  fail(): void {
    if (this.#state === 'open') this.#close(new ChannelError('The channel was closed over an error of the client.'));
  }

  #close(cause: ChannelError | undefined): void {
    this.#state = 'closing';
    this.connection.toBroker(() => {
      this.broker.end();
      this.connection.replies.send(() => {
        this.end(cause);
      });
    });
  }

  /** Its connection ends at the broker, in two steps: see `MemoryLink.stop`. */
  stop(): void {
    this.broker.stop();
  }
  leave(): void {
    this.broker.end();
  }

  /** The channel is gone, at both its ends. */
  end(cause: ChannelError | undefined): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    // At the broker it has ended as well, or ends when its connection does.
    for (const fail of this.#pending) fail(cause);
    this.#pending.clear();
    this.#ended$.next(cause);
    this.#ended$.complete();
  }

  /** Something that the broker does not answer. `false`: the channel is closing. */
  protected tell(read: () => void, publishes = false): boolean {
    if (this.#state !== 'open') return false;
    this.#toBroker(read, publishes);
    return true;
  }

  /** What the broker sends unasked. A channel that is not open any more drops it. */
  protected arrive(hear: () => void): void {
    this.connection.replies.send(() => {
      if (this.#state === 'open') hear();
    });
  }

  /** A refusal closes the channel: at the broker at once, here when it arrives. */
  #toBroker(read: () => void, publishes: boolean, onRefusal?: (refusal: Refusal) => void): void {
    this.connection.toBroker(() => {
      if (this.broker.ended) return;
      try {
        read();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.connection.vhost.observer.refused?.(error);
        if (error.closesConnection) {
          this.connection.refused(error);
          return;
        }
        this.refuse(error, onRefusal);
      }
    }, publishes);
  }
}

/** The channel of one consumer, to a broker in memory. */
export class MemoryInboundChannel extends MemoryChannel implements InboundChannel {
  readonly #listeners: Map<string, ConsumeListener>;

  constructor(connection: ChannelConnection) {
    const listeners = new Map<string, ConsumeListener>();
    super(connection, {
      deliver: (tag, message) => {
        listeners.get(tag)?.message(message);
      },
      cancelled: (tag) => {
        const listener = listeners.get(tag);
        listeners.delete(tag);
        listener?.cancelled();
      },
    });
    this.#listeners = listeners;
  }

  consume(request: ConsumeRequest, listener: ConsumeListener): Promise<void> {
    const { queue, tag, prefetch, noAck, exclusive, priority } = request;
    const args = priority === undefined ? request.arguments : { ...request.arguments, [PRIORITY]: priority };
    let begin = (): void => undefined;
    return this.request(
      `Cannot consume from queue \`${queue}\``,
      () => {
        begin = this.broker.consume(queue, tag, { noAck, exclusive, prefetch, arguments: args });
        if (request.channelPrefetch !== undefined) this.broker.limit();
      },
      {
        arrived: () => this.#listeners.set(tag, listener),
        behind: () => {
          begin();
        },
      },
    );
  }

  get(queue: string): Promise<InboundMessage | undefined> {
    return this.request(`Cannot get a message of queue \`${queue}\``, () => this.broker.get(queue));
  }

  settle(deliveryTag: number, how: Settlement, multiple = false): boolean {
    return this.tell(() => {
      this.broker.settle(deliveryTag, how, multiple);
    });
  }

  async cancel(tag: string): Promise<void> {
    const cancelled = this.request(
      'Cannot cancel the consumer',
      () => {
        this.broker.cancel(tag);
      },
      { arrived: () => this.#listeners.delete(tag) },
    );
    // Gone with its channel, the consumer is cancelled, too.
    await cancelled.catch(() => undefined);
  }
}
