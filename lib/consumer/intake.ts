import type { ConsumeMessage } from 'amqplib';
import type { Subscriber } from 'rxjs';
import type { ConnectionCore } from '../connection/core';
import { ConsumerError } from '../errors';
import { headersUnread, tooDeep } from '../wire/frame-guard';
import type { Attachment } from './attachment';
import type { StreamPlace } from './channel-delivery';
import type { ConsumerWatch } from './consumer-state';
import { areDeliveriesWatched, tellDelivered, traceDelivery } from './delivery-telemetry';
import { propertiesOf, toMessage, type Delivery, type Message } from './delivery';
import type { ResolvedConsumeOptions } from './resolved-options';

/** Where messages come in: decodes each and hands it out, or refuses what cannot be decoded. */
export class Intake<T> {
  readonly #core: ConnectionCore;
  readonly #options: ResolvedConsumeOptions<T>;
  readonly #subscriber: Subscriber<Delivery<T>>;
  readonly #watch: ConsumerWatch;

  constructor(
    core: ConnectionCore,
    options: ResolvedConsumeOptions<T>,
    subscriber: Subscriber<Delivery<T>>,
    watch: ConsumerWatch,
  ) {
    this.#core = core;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#watch = watch;
  }

  take(attachment: Attachment, raw: ConsumeMessage, place?: StreamPlace): void {
    const { codec, noAck, onUndecodable } = this.#options;
    const { queue, tag, epoch } = attachment;
    if (attachment.ended) return;
    if (attachment.draining && !noAck) {
      attachment.refuse(raw, 'release');
      return;
    }
    const properties = propertiesOf(raw);
    let body: T;
    try {
      if (headersUnread(raw.properties)) throw tooDeep();
      body = codec.decode(raw.content, properties);
    } catch (cause) {
      if (!noAck) attachment.refuse(raw, onUndecodable);
      this.#undecodable(toMessage(raw, queue, raw.content, properties), cause);
      return;
    }
    if (noAck) {
      const { counters } = this.#core;
      counters.delivered++;
      if (raw.fields.redelivered) counters.redelivered++;
      // The overload with `noAck` promises messages only.
      const message = toMessage(raw, queue, body, properties) as Delivery<T>;
      if (areDeliveriesWatched()) tellDelivered({ message, tag, epoch });
      this.#subscriber.next(message);
    } else {
      const message = attachment.deliver(raw, body, properties, place);
      if (!areDeliveriesWatched()) this.#subscriber.next(message);
      else {
        traceDelivery({ message, tag, epoch }, () => {
          this.#subscriber.next(message);
        });
      }
    }
  }

  #undecodable(message: Message<Buffer>, cause: unknown): void {
    const { queue, exchange, routingKey, properties } = message;
    this.#core.counters.undecodable++;
    const sentence = `Cannot decode a message of queue \`${queue}\` (content type ${properties.contentType ?? 'none'}, ${String(message.content.length)} bytes).`;
    // The codec's own error may quote the body; it is kept as the cause, and stays out of the log.
    const error = new ConsumerError('UNDECODABLE', queue, sentence, { cause });
    const facts = { queue, exchange, routingKey, messageId: properties.messageId, policy: this.#options.onUndecodable };
    this.#core.log.warn(facts, 'undecodable message');
    this.#watch.undecodable?.(message, error);
  }
}
