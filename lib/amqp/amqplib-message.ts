import type { ConsumeMessage } from 'amqplib';
import type { Arguments, MessageProperties } from '../properties';
import type { InboundMessage } from '../transport/transport';
import { fromAmqp } from './amqp-properties';
import { headersTooDeep, unreadHeaders } from './wire/frame-guard';

/** A message that amqplib parsed. */
export class AmqplibMessage implements InboundMessage {
  readonly #raw: ConsumeMessage;
  #properties: MessageProperties | undefined;

  constructor(raw: ConsumeMessage) {
    this.#raw = raw;
  }

  get content(): Buffer {
    return this.#raw.content;
  }
  get deliveryTag(): number {
    return this.#raw.fields.deliveryTag;
  }
  get redelivered(): boolean {
    return this.#raw.fields.redelivered;
  }
  get exchange(): string {
    return this.#raw.fields.exchange;
  }
  get routingKey(): string {
    return this.#raw.fields.routingKey;
  }
  get contentType(): string | undefined {
    const contentType: unknown = this.#raw.properties.contentType;
    return typeof contentType === 'string' ? contentType : undefined;
  }
  get contentEncoding(): string | undefined {
    const contentEncoding: unknown = this.#raw.properties.contentEncoding;
    return typeof contentEncoding === 'string' ? contentEncoding : undefined;
  }
  get headers(): Arguments | undefined {
    const headers: unknown = this.#raw.properties.headers;
    return typeof headers === 'object' && headers !== null ? (headers as Arguments) : undefined;
  }
  /** Decoded when asked for, which most handlers do not. */
  get properties(): MessageProperties {
    return (this.#properties ??= fromAmqp(this.#raw.properties));
  }
  get unreadable(): Error | undefined {
    return unreadHeaders(this.#raw.properties) ? headersTooDeep() : undefined;
  }
}
