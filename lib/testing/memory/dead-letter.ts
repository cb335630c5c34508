import { isObject } from '../../options';
import type { StoredMessage } from './stored-message';

/** Why a message left its queue for good. */
export type Reason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

/** A message that a queue is done with, on its way to where the queue says. https://www.rabbitmq.com/docs/dlx */
export class DeadLetter {
  readonly #message: StoredMessage;
  readonly #death: { readonly queue: string; readonly reason: Reason };

  constructor(message: StoredMessage, death: { readonly queue: string; readonly reason: Reason }) {
    this.#message = message;
    this.#death = death;
  }

  to(exchange: string, routingKey: string): StoredMessage {
    const { properties, content } = this.#message;
    // Delivered in time or not, it does not expire a second time.
    return {
      exchange,
      routingKey,
      content,
      properties: { ...properties, expiration: undefined, headers: this.#headers() },
    };
  }

  #headers(): Record<string, unknown> {
    const { exchange, routingKey, properties } = this.#message;
    const { queue, reason } = this.#death;
    const { 'x-death': told, ...headers } = (properties.headers ?? {}) as Record<string, unknown>;
    const deaths: readonly unknown[] = Array.isArray(told) ? told : [];
    const isSame = (death: unknown): boolean =>
      isObject(death) && death['queue'] === queue && death['reason'] === reason;
    const before = deaths.find(isSame);
    const death = {
      count: 1 + (isObject(before) ? Number(before['count']) : 0),
      reason,
      queue,
      time: { '!': 'timestamp', value: Math.floor(Date.now() / 1000) },
      exchange,
      'routing-keys': [routingKey],
      ...(properties.expiration !== undefined && { 'original-expiration': String(properties.expiration) }),
    };
    return {
      ...(deaths.length === 0 && {
        'x-first-death-exchange': exchange,
        'x-first-death-queue': queue,
        'x-first-death-reason': reason,
      }),
      ...headers,
      'x-death': [death, ...deaths.filter((one) => !isSame(one))],
    };
  }
}
