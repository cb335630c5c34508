import type { Channel, ChannelModel, Message as AmqpMessage } from 'amqplib';
import {
  BehaviorSubject,
  type Observable,
  concat,
  defer,
  firstValueFrom,
  fromEvent,
  ignoreElements,
  race,
  take,
  throwError,
  timer,
} from 'rxjs';
import type { ConnectionError } from '../errors';
import { plainTable } from '../field-table';
import type { BindingSpec, QueueSpec, Topology } from '../topology';
import { type BrokerIdentity, isRabbitMq } from '../transport/broker-version';
import type {
  ConsumeListener,
  ConsumeRequest,
  DeleteConditions,
  InboundChannel,
  InboundMessage,
  Link,
  OutboundChannel,
  QueueDepth,
  QueuePresence,
  Settlement,
} from '../transport/transport';
import { AmqpChannel, type ChannelHost, onScratchChannel, openingChannel } from './amqp-channel';
import { connectionLost } from './amqp-errors';
import { AmqplibMessage } from './amqplib-message';
import type { Cork } from './socket';
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
  readonly broker: BrokerIdentity | undefined;
  readonly quorumDeliveryLimit: number | undefined;
  readonly wire: boolean;
  readonly receiver: Receiver | undefined;
  readonly cork: Cork | undefined;
  readonly #blocked = new BehaviorSubject<string | undefined>(undefined);
  readonly #destroy: () => void;
  /** A field: it is read for each message. */
  lost: ConnectionError | undefined;
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
    this.broker = identityOf(model);
    this.quorumDeliveryLimit = isRabbitMq(this.broker, '4.0') ? 20 : undefined;
    this.blocked$ = this.#blocked.asObservable();
    model.on('blocked', (reason) => {
      this.#blocked.next(reason);
    });
    model.on('unblocked', () => {
      this.#blocked.next(undefined);
    });
  }

  /** Its end is our own doing, and no loss. */
  get closing(): boolean {
    return this.#closing;
  }

  lose(cause: ConnectionError): void {
    this.lost ??= cause;
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
    return onScratchChannel(this, (channel) => channel.inspect(queue));
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

  async updateSecret(secret: string): Promise<void> {
    if (this.lost) throw this.lost;
    const lost$ = this.#blocked.pipe(ignoreElements());
    const gone$ = concat(
      lost$,
      defer(() => throwError(() => this.#gone())),
    );
    // amqplib leaves its promise pending when the broker refuses the secret, and rejects it on a connection that is closed.
    const updated = this.model
      .updateSecret(Buffer.from(secret), 'renewed before it expires')
      .catch((error: unknown) => {
        throw this.#gone(error);
      });
    await firstValueFrom(race(gone$, updated));
  }

  #gone(cause?: unknown): ConnectionError {
    return this.lost ?? connectionLost(this.endpoint, cause);
  }

  #ask<T>(what: string, request: (channel: Channel) => Promise<T>): Promise<T> {
    return onScratchChannel(this, (channel) => channel.ask(what, request));
  }

  async close(within: number): Promise<void> {
    if (!this.lost) {
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

function identityOf({ connection }: ChannelModel): BrokerIdentity | undefined {
  const { product, version } = connection.serverProperties as { readonly [Property in keyof BrokerIdentity]?: unknown };
  return typeof product === 'string' && typeof version === 'string' ? { product, version } : undefined;
}

const NOTHING = Buffer.alloc(0);
const NO_PROPERTIES: AmqpMessage['properties'] = Object.freeze({
  contentType: undefined,
  contentEncoding: undefined,
  headers: undefined,
  deliveryMode: undefined,
  priority: undefined,
  correlationId: undefined,
  replyTo: undefined,
  expiration: undefined,
  messageId: undefined,
  timestamp: undefined,
  type: undefined,
  userId: undefined,
  appId: undefined,
  clusterId: undefined,
});

/** amqplib settles a message, of which it reads nothing but the tag. */
const tagged = (deliveryTag: number): AmqpMessage => ({
  content: NOTHING,
  properties: NO_PROPERTIES,
  fields: { deliveryTag, redelivered: false, exchange: '', routingKey: '' },
});

/** The channel of one consumer, on amqplib. */
class AmqpInboundChannel extends AmqpChannel implements InboundChannel {
  async consume(request: ConsumeRequest, listener: ConsumeListener): Promise<void> {
    const { queue, tag, prefetch, noAck, exclusive, priority, channelPrefetch, arguments: args } = request;
    const options = {
      consumerTag: tag,
      noAck,
      exclusive,
      arguments: plainTable(args, 'arguments'),
      ...(priority !== undefined && { priority }),
    };
    await this.ask(`Cannot consume from queue \`${queue}\``, (channel) =>
      // Sent together, the prefetch first: the broker answers in order.
      Promise.all([
        noAck || channel.prefetch(prefetch),
        channel.consume(
          queue,
          (message) => {
            if (message) listener.message(new AmqplibMessage(message));
            else listener.cancelled();
          },
          options,
        ),
        channelPrefetch === undefined || channel.prefetch(channelPrefetch, true),
      ]),
    );
    this.host.receiver?.register(this.channel, tag, listener.message);
  }

  async get(queue: string): Promise<InboundMessage | undefined> {
    const message = await this.ask(`Cannot get a message of queue \`${queue}\``, (channel) => channel.get(queue));
    if (message === false) return undefined;
    return new AmqplibMessage({ ...message, fields: { consumerTag: '', ...message.fields } });
  }

  settle(deliveryTag: number, how: Settlement, multiple = false): boolean {
    if (this.ended) return false;
    const { channel } = this;
    const message = tagged(deliveryTag);
    try {
      if (how === 'ack') channel.ack(message, multiple);
      else if (how === 'release') channel.nack(message, multiple, true);
      else channel.reject(message, how === 'requeue');
    } catch {
      // amqplib throws from the moment in which the channel starts to close; the broker takes everything unsettled back.
      return false;
    }
    this.host.cork?.gather();
    return true;
  }

  async cancel(tag: string): Promise<void> {
    // A refusal can only mean that the channel is gone.
    await this.channel.cancel(tag).catch(() => undefined);
  }
}
