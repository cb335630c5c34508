import type { ChannelModel } from 'amqplib';
import { BehaviorSubject, firstValueFrom, fromEvent, race, take, timer, type Observable } from 'rxjs';
import { ChannelError, type ConnectionError } from '../errors';
import type { QueueSpec, Topology } from '../topology';
import type { InboundChannel, Link, OutboundChannel, QueuePresence } from '../transport/transport';
import { onScratchChannel, openingChannel } from './amqp-channel';
import type { ChannelHost } from './channel-host';
import type { Cork } from './cork';
import { declareTopology } from './declare';
import { AmqpInboundChannel } from './inbound-channel';
import { AmqpOutboundChannel } from './outbound-channel';
import type { Receiver } from './wire/receiver';

/** amqplib's default, and RabbitMQ's; the broker may have negotiated it down. */
const FRAME_MAX = 131_072;
/** Writes that may wait for the socket, with `wire`: chunks of many messages. amqplib's own default is 1024 frames. */
const CHUNKS = 16;

/** What an amqplib connection was asked for, and what lies below its documented surface. */
export interface AmqpLinkOptions {
  /** Bytes; undefined or 0: no limit was asked for. */
  readonly frameMax?: number | undefined;
  /** Seconds that were proposed. */
  readonly heartbeat: number;
  /** May what lies below amqplib's documented surface be used? */
  readonly wire: boolean;
  /** Reads messages faster than amqplib. Undefined where it is not wanted, or where amqplib is not as known. */
  readonly receiver?: Receiver | undefined;
  /** Undefined where the runtime does not say which socket it is. */
  readonly cork?: Cork | undefined;
  /** Ends the socket at once. */
  readonly destroy: () => void;
}

/** One open amqplib connection. */
export class AmqpLink implements Link, ChannelHost {
  readonly blocked$: Observable<string | undefined>;
  readonly frameMax: number;
  readonly heartbeat: number;
  readonly wire: boolean;
  readonly receiver: Receiver | undefined;
  readonly cork: Cork | undefined;
  readonly #blocked = new BehaviorSubject<string | undefined>(undefined);
  readonly #destroy: () => void;
  #lost: ConnectionError | undefined;
  #closing = false;

  constructor(
    readonly model: ChannelModel,
    readonly endpoint: string,
    options: AmqpLinkOptions,
  ) {
    this.#destroy = options.destroy;
    this.wire = options.wire;
    this.receiver = options.receiver;
    this.cork = options.cork;
    // What was agreed on lies below amqplib's documented surface; it never exceeds what was asked for.
    const agreed = (name: 'frameMax' | 'heartbeat'): number | undefined => {
      const value: unknown = options.wire ? Reflect.get(model.connection, name) : undefined;
      return typeof value === 'number' ? value : undefined;
    };
    this.frameMax = agreed('frameMax') || options.frameMax || FRAME_MAX;
    this.heartbeat = agreed('heartbeat') ?? options.heartbeat;
    this.blocked$ = this.#blocked.asObservable();
    model.on('blocked', (reason) => {
      this.#blocked.next(reason);
    });
    model.on('unblocked', () => {
      this.#blocked.next(undefined);
    });
  }

  get lost(): ConnectionError | undefined {
    return this.#lost;
  }

  /** Its end is our own doing, and no loss. */
  get closing(): boolean {
    return this.#closing;
  }

  lose(cause: ConnectionError): void {
    this.#lost ??= cause;
    this.#blocked.complete();
  }

  openInbound(): Observable<InboundChannel> {
    return openingChannel(async () => new AmqpInboundChannel(this, await this.model.createChannel()));
  }

  openOutbound(): Observable<OutboundChannel> {
    const options = this.wire ? { highWaterMark: CHUNKS } : {};
    return openingChannel(async () => new AmqpOutboundChannel(this, await this.model.createConfirmChannel(options)));
  }

  async check(queue: string): Promise<QueuePresence> {
    try {
      await onScratchChannel(this, `Cannot check queue \`${queue}\``, (channel) => channel.checkQueue(queue));
      return 'there';
    } catch (error) {
      const replyCode = error instanceof ChannelError ? error.replyCode : undefined;
      // Checking needs a permission that consuming and publishing do not (RabbitMQ 4.2.6).
      // https://www.rabbitmq.com/docs/access-control#authorisation
      if (replyCode === 403) return 'hidden';
      if (replyCode !== 404) throw error;
      return 'missing';
    }
  }

  declare(topology: Topology, own?: QueueSpec): Promise<string | undefined> {
    const what = own ? `Cannot declare queue \`${own.name}\`` : 'Cannot declare the topology';
    return onScratchChannel(this, what, (channel) => declareTopology(channel, topology, own));
  }

  async close(within: number): Promise<void> {
    if (!this.#lost) {
      this.#closing = true;
      const closed$ = fromEvent(this.model, 'close').pipe(take(1));
      const settled = firstValueFrom(race(closed$, timer(within)));
      // It rejects if the connection is closed already, which is what we want. It can hang for ever.
      this.model.close().catch(() => undefined);
      await settled;
    }
    this.#destroy();
  }
}
