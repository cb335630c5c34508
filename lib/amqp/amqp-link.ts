import type { Channel, ChannelModel } from 'amqplib';
import { BehaviorSubject, firstValueFrom, fromEvent, race, take, timer, type Observable } from 'rxjs';
import { ChannelError, type ConnectionError } from '../errors';
import { plainTable } from '../field-table';
import type { BindingSpec, QueueSpec, Topology } from '../topology';
import type { DeleteConditions, InboundChannel, Link, OutboundChannel } from '../transport/transport';
import type { QueueDepth, QueuePresence } from '../transport/transport';
import { onScratchChannel, openingChannel } from './amqp-channel';
import type { ChannelHost } from './channel-host';
import type { Cork } from './cork';
import { AmqpInboundChannel } from './inbound-channel';
import { AmqpOutboundChannel } from './outbound-channel';
import type { Receiver } from './wire/receiver';

/** amqplib's default, and RabbitMQ's; the broker may have negotiated it down. */
const FRAME_MAX = 131_072;
/** Writes that may wait for the socket, with `wire`: chunks of many messages. amqplib's own default is 1024 frames. */
const CHUNKS = 16;

/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const NOT_FOUND = 404;

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
  readonly quorumDeliveryLimit: number | undefined;
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
    const frameMax = agreed('frameMax') ?? options.frameMax ?? 0;
    this.frameMax = frameMax > 0 ? frameMax : FRAME_MAX;
    this.heartbeat = agreed('heartbeat') ?? options.heartbeat;
    this.quorumDeliveryLimit = quorumDeliveryLimit(model);
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
    return openingChannel(this, async () => new AmqpInboundChannel(this, await this.model.createChannel()));
  }

  openOutbound(): Observable<OutboundChannel> {
    const options = this.wire ? { highWaterMark: CHUNKS } : {};
    return openingChannel(
      this,
      async () => new AmqpOutboundChannel(this, await this.model.createConfirmChannel(options)),
    );
  }

  check(queue: string): Promise<QueuePresence> {
    return onScratchChannel(this, (channel) => channel.check(queue));
  }

  declare(topology: Topology, own?: QueueSpec): Promise<string | undefined> {
    return onScratchChannel(this, (channel) => channel.declare(topology, own));
  }

  inspect(queue: string): Promise<QueueDepth | undefined> {
    return this.#ask(`Cannot inspect queue \`${queue}\``, async (channel) => {
      const { messageCount, consumerCount } = await channel.checkQueue(queue);
      return { messages: messageCount, consumers: consumerCount };
    }).catch((error: unknown) => {
      if (error instanceof ChannelError && error.replyCode === NOT_FOUND) return undefined;
      throw error;
    });
  }

  purge(queue: string): Promise<number> {
    return this.#ask(`Cannot purge queue \`${queue}\``, async (channel) => {
      const { messageCount } = await channel.purgeQueue(queue);
      return messageCount;
    });
  }

  deleteQueue(queue: string, { ifUnused = false, ifEmpty = false }: DeleteConditions): Promise<number> {
    return this.#ask(`Cannot delete queue \`${queue}\``, async (channel) => {
      const { messageCount } = await channel.deleteQueue(queue, { ifUnused, ifEmpty });
      return messageCount;
    });
  }

  async deleteExchange(exchange: string, { ifUnused = false }: Pick<DeleteConditions, 'ifUnused'>): Promise<void> {
    await this.#ask(`Cannot delete exchange \`${exchange}\``, (channel) =>
      channel.deleteExchange(exchange, { ifUnused }),
    );
  }

  async unbind({ exchange, queue, toExchange, routingKey = '', ...spec }: BindingSpec): Promise<void> {
    const args = plainTable(spec.arguments ?? {}, 'arguments');
    await this.#ask(`Cannot unbind from exchange \`${exchange}\``, (channel) =>
      toExchange === undefined
        ? channel.unbindQueue(queue, exchange, routingKey, args)
        : channel.unbindExchange(toExchange, exchange, routingKey, args),
    );
  }

  #ask<T>(what: string, request: (channel: Channel) => Promise<T>): Promise<T> {
    return onScratchChannel(this, (channel) => channel.ask(what, request));
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

/** 20 since RabbitMQ 4.0. https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling */
function quorumDeliveryLimit({ connection }: ChannelModel): number | undefined {
  const { product, version } = connection.serverProperties;
  return product === 'RabbitMQ' && Number.parseInt(version, 10) >= 4 ? 20 : undefined;
}
