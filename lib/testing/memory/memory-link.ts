import { BehaviorSubject, Observable, Subject, firstValueFrom, race, take, takeUntil, timer } from 'rxjs';
import { ChannelError, type ConnectionError } from '../../errors';
import type { BindingSpec, QueueSpec, Topology } from '../../topology';
import type {
  DeleteConditions,
  InboundChannel,
  Link,
  OutboundChannel,
  QueueDepth,
  QueuePresence,
} from '../../transport/transport';
import { connectionLost } from '../../transport/link-errors';
import type { BrokerIdentity } from '../../transport/broker-version';
import { bindingOf } from './declare-topology';
import { deliveryLimitOf } from './generation';
import { MemoryChannel, MemoryInboundChannel, type ChannelConnection } from './memory-channel';
import { MemoryOutboundChannel } from './memory-outbound-channel';
import type { Refusal } from './refusal';
import { AT_ONCE, type Replies, type Requests } from './reply-line';
import type { StoredMessage } from './stored-message';
import type { Published, Vhost } from './vhost';

/** What a connection needs of its broker. */
export interface LinkHost {
  readonly vhost: Vhost;
  /** Why publishers are blocked; undefined: they are not. */
  readonly alarm: string | undefined;
  publish(message: StoredMessage, mandatory: boolean): Published | 'returned';
  /** The connection is gone at the broker. */
  left(link: MemoryLink): void;
}

/** One connection with both its ends. */
export class MemoryLink implements Link, ChannelConnection {
  readonly frameMax = 131_072;
  readonly heartbeat = 0;
  readonly broker: BrokerIdentity;
  readonly quorumDeliveryLimit: number | undefined;
  readonly blocked$: Observable<string | undefined>;
  readonly #blocked$ = new BehaviorSubject<string | undefined>(undefined);
  readonly #ended$ = new Subject<void>();
  readonly #host: LinkHost;
  readonly #onLost: (cause: ConnectionError) => void;
  readonly #channels = new Set<MemoryChannel>();
  /** What the broker does not read while it blocks this connection. */
  readonly #unread: (() => void)[] = [];
  #blocked = false;
  #stopped = false;
  #left = false;
  #ended = false;
  #lost: ConnectionError | undefined;

  constructor(
    host: LinkHost,
    readonly replies: Replies,
    readonly endpoint: string,
    /** Called when the connection breaks without our doing. */
    onLost: (cause: ConnectionError) => void,
    readonly requests: Requests = AT_ONCE,
  ) {
    this.#host = host;
    this.broker = { product: 'RabbitMQ', version: host.vhost.version };
    this.quorumDeliveryLimit = deliveryLimitOf(host.vhost.version);
    this.#onLost = onLost;
    this.blocked$ = this.#blocked$.asObservable();
  }

  get vhost(): Vhost {
    return this.#host.vhost;
  }
  get lost(): ConnectionError | undefined {
    return this.#lost;
  }

  lose(cause: ConnectionError): void {
    this.#lost ??= cause;
    this.#blocked$.complete();
  }

  openInbound(): Observable<InboundChannel> {
    return this.#open(() => new MemoryInboundChannel(this));
  }

  openOutbound(): Observable<OutboundChannel> {
    return this.#open(() => new MemoryOutboundChannel(this));
  }

  check(queue: string): Promise<QueuePresence> {
    return this.#onScratchChannel((channel) => channel.check(queue));
  }

  declare(topology: Topology, own?: QueueSpec): Promise<string | undefined> {
    return this.#onScratchChannel((channel) => channel.declare(topology, own));
  }

  inspect(queue: string): Promise<QueueDepth | undefined> {
    return this.#onScratchChannel((channel) => channel.inspect(queue));
  }

  purge(queue: string): Promise<number> {
    return this.#ask(`Cannot purge queue \`${queue}\``, (vhost) => {
      const purged = vhost.queue(queue, this);
      purged.checkPurge();
      return purged.purge();
    });
  }

  deleteQueue(queue: string, conditions: DeleteConditions): Promise<number> {
    return this.#ask(`Cannot delete queue \`${queue}\``, (vhost) => vhost.deleteQueue(queue, this, conditions));
  }

  deleteExchange(exchange: string, conditions: Pick<DeleteConditions, 'ifUnused'>): Promise<void> {
    return this.#ask(`Cannot delete exchange \`${exchange}\``, (vhost) => {
      vhost.deleteExchange(exchange, conditions);
    });
  }

  unbind(binding: BindingSpec): Promise<void> {
    const { exchange } = binding;
    return this.#ask(`Cannot unbind from exchange \`${exchange}\``, (vhost) => {
      vhost.unbind(exchange, bindingOf(binding), this);
    });
  }

  /** There are no users: every secret is fine. */
  async updateSecret(): Promise<void> {
    const updated$ = new Observable<void>((subscriber) => {
      if (this.#ended || this.#lost) subscriber.complete();
      else
        this.toBroker(() => {
          this.replies.send(() => {
            subscriber.next();
          });
        });
    });
    const gone = Symbol('gone');
    const answer = await firstValueFrom(updated$.pipe(takeUntil(this.#ended$)), { defaultValue: gone });
    if (answer === gone) throw this.#lost ?? connectionLost(this.endpoint, undefined);
  }

  async close(within: number): Promise<void> {
    if (!this.#lost && !this.#ended) {
      const settled = firstValueFrom(race(this.#ended$.pipe(take(1)), timer(within)), { defaultValue: undefined });
      // A blocked connection would get no answer.
      const answered = !this.#blocked;
      if (!answered) this.#end();
      this.requests.send(() => {
        if (answered) {
          this.replies.send(() => {
            this.#end();
          });
        }
        this.leave();
      });
      await settled;
    }
    this.break();
  }

  /**
   * The broker stops reading the connection, and delivers nothing more on it. When several break at once, all stop before
   * any of them gives deliveries back: or else the next one would get them, and lose them in turn.
   */
  stop(): void {
    this.#stopped = true;
    for (const channel of this.#channels) channel.stop();
  }

  /** The connection is gone at the broker; the client has not noticed. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.stop();
    for (const channel of this.#channels) channel.leave();
    this.#host.left(this);
  }

  /** The connection breaks: what is on its way is lost. `cause`: why, unless the client breaks it. */
  break(cause?: ConnectionError): void {
    if (this.#ended) return;
    if (cause) {
      this.lose(cause);
      this.#onLost(this.#lost ?? cause);
    }
    this.requests.send(() => {
      this.leave();
    });
    this.#end();
  }

  /** Its channels that are open at both ends. */
  get openChannels(): readonly MemoryChannel[] {
    return [...this.#channels].filter(({ open }) => open);
  }

  refused(refusal: Refusal): void {
    this.leave();
    this.replies.send(() => {
      this.break(connectionLost(this.endpoint, refusal, refusal));
    });
  }

  /** The broker accepts messages again, and reads what the client sent meanwhile. */
  unblock(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.replies.send(() => {
      this.#blocked$.next(undefined);
    });
    for (const read of this.#unread.splice(0)) this.#arrived(read);
  }

  toBroker(read: () => void, publishes = false): void {
    this.requests.send(() => {
      this.#arrived(read, publishes);
    });
  }

  #arrived(read: () => void, publishes = false): void {
    if (this.#stopped) return;
    const { alarm } = this.#host;
    // As by RabbitMQ a connection is blocked once it publishes, and the message waits, too.
    if (publishes && alarm !== undefined && !this.#blocked) {
      this.#blocked = true;
      this.replies.send(() => {
        this.#blocked$.next(alarm);
      });
    }
    if (this.#blocked) this.#unread.push(read);
    else read();
  }

  publish(message: StoredMessage, mandatory: boolean): Published | 'returned' {
    return this.#host.publish(message, mandatory);
  }

  #open<C extends MemoryChannel>(create: () => C): Observable<C> {
    return new Observable((subscriber) => {
      if (this.#ended || this.#lost) {
        subscriber.error(this.#gone('Cannot open a channel'));
        return;
      }
      const channel = create();
      this.#channels.add(channel);
      let open = false;
      channel.ended$.subscribe((cause) => {
        // One that ended here alone is still there at the broker, until that notices.
        if (channel.endedAtBroker) this.#channels.delete(channel);
        if (!cause) subscriber.complete();
        else subscriber.error(open ? cause : this.#gone('Cannot open a channel'));
      });
      this.toBroker(() => {
        this.replies.send(() => {
          if (channel.ended) return;
          open = true;
          if (subscriber.closed) void channel.close();
          else subscriber.next(channel);
        });
      });
    });
  }

  #ask<R>(what: string, work: (vhost: Vhost) => R): Promise<R> {
    return this.#onScratchChannel((channel) => channel.request(what, () => work(this.vhost)));
  }

  /** For requests whose refusal costs the channel. */
  async #onScratchChannel<R>(work: (channel: MemoryChannel) => Promise<R>): Promise<R> {
    const channel = await firstValueFrom(this.#open(() => new MemoryChannel(this)));
    try {
      return await work(channel);
    } finally {
      void channel.close();
    }
  }

  /** The client's end of it. */
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const channel of [...this.#channels]) channel.end(this.#gone('The channel ended with its connection'));
    this.#blocked$.complete();
    this.#ended$.next();
    this.#ended$.complete();
  }

  #gone(what: string): ChannelError {
    const cause = this.#lost;
    return new ChannelError(cause ? `${what}: ${cause.message}` : `${what}.`, { cause, replyCode: cause?.replyCode });
  }
}
