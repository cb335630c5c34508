import { Subject, type Observable, type Subscriber } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import { auto, decodeByType, readsBodyOnly, type Codec } from '../codec';
import { undelayed } from '../delay/undelayed';
import { ConsumerError, nameOf } from '../errors';
import { NotDecodable, reasonOf } from '../not-encodable';
import type { MessageProperties } from '../properties';
import type { InboundMessage } from '../transport/transport';
import type { ConsumerChannel } from './consumer-channel';
import { ArrivedMessage, areDeliveriesWatched, tellDelivered, traceDelivery } from './channel-delivery';
import type { Delivery, Message } from './delivery';
import type { ResolvedConsumeOptions } from './consume-options';
import { firstRoute } from './retry-history';
import type { StreamPlace } from './stream/offset-tracker';

const NO_PROPERTIES: MessageProperties = Object.freeze({});
const isAuto = (codec: object): boolean => codec === auto;

/** A message that the codec could not decode, and why. */
export interface Undecodable {
  readonly message: Message<Buffer>;
  readonly cause: ConsumerError;
}

/**
 * The codec of a contract for a message that arrived: by its exchange and routing key, or by those of its first publish if it comes
 * back from `retry` or a replay. @throws NotDecodable if the contract has none
 */
export function contractCodec(
  codecs: NonNullable<ResolvedConsumeOptions<unknown>['codecs']>,
  raw: InboundMessage,
  queue: string,
): Codec<unknown, never> {
  const { exchange, routingKey } = firstRoute(raw.headers, queue) ?? raw;
  return codecs.toRead(exchange, routingKey);
}

/** Decodes each message that arrives and emits it as a delivery, or refuses a message that cannot be decoded. */
export class DeliveryDecoder<T> {
  readonly #core: ConnectionCore;
  readonly #options: ResolvedConsumeOptions<T>;
  readonly #subscriber: Subscriber<Delivery<T>>;
  readonly #undecodable = new Subject<Undecodable>();

  constructor(core: ConnectionCore, options: ResolvedConsumeOptions<T>, subscriber: Subscriber<Delivery<T>>) {
    this.#core = core;
    this.#options = options;
    this.#subscriber = subscriber;
  }

  /** Hot. Emits: each message that the codec could not decode. Completes: never. */
  get undecodable$(): Observable<Undecodable> {
    return this.#undecodable;
  }

  /** `attachment`: the one that the message came on; `place`: on a stream. */
  take(attachment: ConsumerChannel, arrived: InboundMessage, place?: StreamPlace): void {
    const { noAck, onUndecodable, filter, internal = false } = this.#options;
    const { queue } = attachment;
    const raw = undelayed(arrived);
    // The app has unsubscribed, and the broker has forgotten this message: it is not delivered.
    if (attachment.ended || (noAck && this.#subscriber.closed)) return;
    if (attachment.draining && !noAck) {
      attachment.refuse(raw, 'release');
      return;
    }
    let message: Delivery<T> | Message<T>;
    try {
      if (filter?.(raw, queue) === false) {
        // Nothing is rejected in a stream: it is passed over.
        attachment.refuse(raw, 'reject');
        return;
      }
      const body = this.#decode(raw, queue);
      message = noAck ? new ArrivedMessage(raw, queue, body) : attachment.deliver(raw, body, place);
    } catch (cause) {
      if (!noAck) attachment.refuse(raw, onUndecodable);
      this.#refuse(new ArrivedMessage(raw, queue, raw.content), cause);
      return;
    }
    if (noAck && !internal) {
      const { counters } = this.#core;
      counters.delivered++;
      if (raw.redelivered) counters.redelivered++;
    }
    if (areDeliveriesWatched() && !internal) this.#watched(attachment, message as Delivery<T>);
    // With `noAck` the overloads of `consume` promise only messages.
    else this.#subscriber.next(message as Delivery<T>);
  }

  #watched({ tag, epoch }: ConsumerChannel, message: Delivery<T>): void {
    const emit = (): void => {
      this.#subscriber.next(message);
    };
    if (this.#options.noAck) {
      tellDelivered({ message, tag, epoch }, this.#core);
      emit();
    } else traceDelivery({ message, tag, epoch }, this.#core, emit);
  }

  #decode(raw: InboundMessage, queue: string): T {
    const { unreadable } = raw;
    if (unreadable) throw unreadable;
    const codec = this.#codecOf(raw, queue);
    if (readsBodyOnly(codec)) return codec.decode(raw.content, NO_PROPERTIES);
    // T stands for whatever `auto` decodes, unless the caller named another codec.
    if (isAuto(codec)) return decodeByType(raw.content, raw.contentType, raw.contentEncoding) as T;
    return codec.decode(raw.content, raw.properties);
  }

  #codecOf(raw: InboundMessage, queue: string): Codec<T, never> {
    const { codec, codecs } = this.#options;
    // T is the union of what the contract's codecs read.
    return codecs ? (contractCodec(codecs, raw, queue) as Codec<T, never>) : codec;
  }

  #refuse(message: Message<Buffer>, cause: unknown): void {
    const { queue, exchange, routingKey, properties } = message;
    this.#core.counters.undecodable++;
    const sentence = `Cannot decode a message of queue \`${queue}\` (content type ${properties.contentType ?? 'none'}, ${String(message.content.length)} bytes).${reasonOf(cause)}`;
    // The codec's own error may quote the body: it is the cause, and not logged.
    const error = new ConsumerError('UNDECODABLE', queue, sentence, { cause });
    const { messageId, contentType } = properties;
    const facts = { queue, exchange, routingKey, messageId, contentType, bytes: message.content.length };
    const { onUndecodable: policy } = this.#options;
    const reason = cause instanceof NotDecodable ? { reason: cause.message } : {};
    this.#core.log.warn({ ...facts, error: nameOf(cause), ...reason, policy }, 'undecodable message');
    this.#undecodable.next({ message, cause: error });
  }
}
