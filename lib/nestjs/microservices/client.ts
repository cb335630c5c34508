import type { Deserializer, MsPattern, ReadPacket, Serializer, WritePacket } from '@nestjs/microservices';
import type { RmqRecordOptions } from '@nestjs/microservices/record-builders/rmq.record-builder';
import type { EventEmitter } from 'node:events';
import type { InstanceQueue } from '../../client/instance-queue';
import { PublishError } from '../../errors';
import type { OutboundMessage } from '../../producer/outbound-message';
import type { MessageProperties } from '../../properties';
import type { RequestOptions } from '../../rpc/requester';
import { packets } from './packets';
import { ClientProxy, RmqRecord } from './peer';
import {
  nameOfQueue,
  transported,
  type TransportEvents,
  type TransportOptions,
  type Transported,
} from './transport-options';

/** Where a client sends, and how. */
export type InstanceQueueClientOptions = TransportOptions & {
  /** Of `send`: how long it waits for the reply, and whether a request may be sent twice. */
  readonly request?: Pick<RequestOptions, 'timeout' | 'idempotent'>;
  readonly serializer?: Serializer;
  readonly deserializer?: Deserializer;
};

/**
 * A `ClientProxy` over an InstanceQueue, for `@MessagePattern` and `@EventPattern` of an `InstanceQueueServer` or of Nest's
 * own RabbitMQ transport. `send` gets one reply; `emit` completes when the broker has confirmed the event. Both reject as
 * `request` and `send` of the InstanceQueue do; the error of an event names its pattern.
 *
 * @example
 * const prices = new InstanceQueueClient({ url: 'amqp://localhost', queue: 'prices' });
 * const price = await firstValueFrom(prices.send<number>('price', { article: 'a-1' }));
 */
export class InstanceQueueClient extends ClientProxy<TransportEvents> {
  readonly #transported: Transported;
  readonly #queueName: string;
  readonly #request: Pick<RequestOptions, 'timeout' | 'idempotent'>;

  /** @throws OptionsError if an option cannot be right */
  constructor({ serializer, deserializer, request = {}, ...options }: InstanceQueueClientOptions) {
    super();
    this.#transported = transported(options);
    this.#queueName = nameOfQueue(options.queue);
    this.#request = request;
    this.initializeSerializer({ ...(serializer && { serializer }) });
    this.initializeDeserializer({ ...(deserializer && { deserializer }) });
  }

  /** Resolves when connected. Rejects as `InstanceQueue.connect` does. */
  async connect(): Promise<InstanceQueue> {
    await this.unwrapped.connect();
    return this.unwrapped;
  }

  /** Closes its own InstanceQueue; one that was given is its owner's. */
  async close(): Promise<void> {
    if (this.#transported.owned) await this.unwrapped.close();
  }

  /** Listens to an event of the InstanceQueue. */
  override on<EventKey extends keyof TransportEvents>(event: EventKey, callback: TransportEvents[EventKey]): void {
    const emitter: EventEmitter = this.unwrapped;
    emitter.on(event, callback);
  }

  /** The InstanceQueue. */
  override unwrap<T = InstanceQueue>(): T {
    return this.unwrapped as T;
  }

  /** The InstanceQueue. */
  get unwrapped(): InstanceQueue {
    return this.#transported.instanceQueue;
  }

  protected override publish(packet: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    const unsubscribed = new AbortController();
    this.#ask(this.assignPacketId(packet), unsubscribed.signal).then(callback, (err: unknown) => {
      callback({ err });
    });
    return () => {
      unsubscribed.abort();
    };
  }

  async #ask(packet: ReadPacket, signal: AbortSignal): Promise<WritePacket> {
    const message = await this.#message(packet);
    const { body } = await this.unwrapped.request(message, { ...this.#request, codec: packets, signal });
    const reply: unknown = await this.deserializer.deserialize(body);
    const { err, response } = reply as { readonly err?: unknown; readonly response?: unknown };
    return { err, response, isDisposed: true };
  }

  protected override async dispatchEvent<T>(packet: ReadPacket): Promise<T> {
    try {
      await this.unwrapped.send(await this.#message(packet));
    } catch (error) {
      throw error instanceof PublishError ? ofEvent(error, this.normalizePattern(packet.pattern as MsPattern)) : error;
    }
    // `emit` completes; what it emits before says nothing.
    return undefined as T;
  }

  async #message({ data, pattern, ...id }: ReadPacket<unknown>): Promise<OutboundMessage<Buffer>> {
    const [plain, options] = data instanceof RmqRecord ? [data.data as unknown, data.options] : [data, undefined];
    const serialized: unknown = await this.serializer.serialize({ pattern: pattern as unknown, data: plain, ...id });
    return {
      ...propertiesOf(options),
      queue: this.#queueName,
      body: packets.encode(serialized),
      contentType: packets.contentType,
    };
  }
}

/** The same error, which says of what event. */
function ofEvent(cause: PublishError, pattern: string): PublishError {
  const { code, messageId, message, replyCode, retryable, maybeDelivered } = cause;
  const sentence = `The event of the pattern ${pattern} failed: ${message}`;
  return new PublishError(code, messageId, sentence, { cause, replyCode, retryable, maybeDelivered });
}

/** What the record of a message says of its properties, as far as it concerns one message to one queue. */
function propertiesOf(options: RmqRecordOptions = {}): Partial<MessageProperties> & { readonly persistent?: boolean } {
  const { headers, priority, persistent, messageId, type, appId, expiration } = options;
  return {
    ...(headers && { headers }),
    ...(priority !== undefined && { priority }),
    ...(persistent !== undefined && { persistent }),
    ...(messageId !== undefined && { messageId }),
    ...(type !== undefined && { type }),
    ...(appId !== undefined && { appId }),
    ...(expiration !== undefined && { expiration: Number(expiration) }),
  };
}
