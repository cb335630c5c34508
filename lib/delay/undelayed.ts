import { isObject } from '../options';
import type { Arguments, MessageProperties } from '../properties';
import type { InboundMessage } from '../transport/transport';
import { isOfDelays } from './delay-levels';
import { EXCHANGE, EXPIRATION, HEADER, TO } from './levels';

/** The message as it was sent, if it has waited in levels: with its exchange, and without their headers and dead-letterings. */
export function undelayed(message: InboundMessage): InboundMessage {
  const { headers } = message;
  return headers !== undefined && Object.hasOwn(headers, TO) ? new Undelayed(message, headers) : message;
}

class Undelayed implements InboundMessage {
  readonly content: Buffer;
  readonly deliveryTag: number;
  readonly redelivered: boolean;
  readonly exchange: string;
  readonly routingKey: string;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly headers: Arguments;
  readonly unreadable: Error | undefined;
  readonly #message: InboundMessage;
  readonly #expiration: unknown;

  constructor(message: InboundMessage, headers: Arguments) {
    this.content = message.content;
    this.deliveryTag = message.deliveryTag;
    this.redelivered = message.redelivered;
    // A dead letter of its queue has another exchange by now.
    this.exchange = isOfDelays(message.exchange) ? textOf(headers, EXCHANGE) : message.exchange;
    this.routingKey = message.routingKey;
    this.contentType = message.contentType;
    this.contentEncoding = message.contentEncoding;
    this.unreadable = message.unreadable;
    this.#expiration = headers[EXPIRATION];
    this.headers = withoutLevels(headers);
    this.#message = message;
  }

  get properties(): MessageProperties {
    const expiration = this.#expiration;
    return {
      ...this.#message.properties,
      headers: this.headers,
      ...(typeof expiration === 'number' && { expiration }),
    };
  }
}

/** Headers without those of the delay, and without what dead-lettering from level to level has added. */
function withoutLevels(headers: Arguments): Arguments {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(headers)) if (!name.startsWith(HEADER)) kept[name] = value;
  const { 'x-death': deaths } = headers;
  if (!Array.isArray(deaths)) return kept;
  const target = textOf(headers, EXCHANGE);
  const real: readonly unknown[] = deaths
    .filter((death) => !isOfDelays(textOf(death, 'queue')))
    // It came to the queue in which it died from the last level.
    .map((death: unknown) =>
      isObject(death) && isOfDelays(textOf(death, 'exchange')) ? { ...death, exchange: target } : death,
    );
  for (const which of ['first', 'last']) {
    if (isOfDelays(textOf(kept, `x-${which}-death-exchange`))) kept[`x-${which}-death-exchange`] = target;
    if (!isOfDelays(textOf(headers, `x-${which}-death-queue`))) continue;
    // The latest comes first.
    const death = which === 'first' ? real.at(-1) : real[0];
    for (const field of ['queue', 'reason', 'exchange']) {
      const name = `x-${which}-death-${field}`;
      if (isObject(death)) kept[name] = textOf(death, field);
      else Reflect.deleteProperty(kept, name);
    }
  }
  if (real.length > 0) kept['x-death'] = real;
  else Reflect.deleteProperty(kept, 'x-death');
  return kept;
}

/** '': there is none. */
function textOf(table: unknown, name: string): string {
  const value = isObject(table) ? table[name] : undefined;
  return typeof value === 'string' ? value : '';
}
