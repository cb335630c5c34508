import { pino } from 'pino';
import type { Delivery, InstanceQueueError, Settlement } from 'instance-queue';
import { ChannelDelivery, type DeliveryChannel } from '../../lib/consumer/channel-delivery';
import type { InboundMessage } from '../../lib/transport/transport';

/** A channel of several deliveries whose draining and end the test decides on. It logs what is settled on it. */
export class TestChannel implements DeliveryChannel {
  readonly queue = 'orders';
  readonly prefetch = 10;
  /** Each settlement on this channel, in order. */
  readonly settled: string[] = [];
  /** Messages at level warn and above. */
  readonly warnings: string[] = [];
  readonly log = pino(
    { level: 'warn' },
    { write: (line) => this.warnings.push((JSON.parse(line) as { readonly msg: string }).msg) },
  );
  draining = false;
  ended = false;
  cause: InstanceQueueError | undefined;
  readonly #deliveries = new Map<number, ChannelDelivery<string>>();
  readonly #listeners = new Set<() => void>();
  #tags = 0;

  get watchers(): number {
    return this.#listeners.size;
  }

  deliver(
    body: string,
    { redelivered = false, headers }: Partial<InboundMessage> = {},
    partition?: number,
  ): Delivery<string> {
    const deliveryTag = ++this.#tags;
    const message: InboundMessage = {
      content: Buffer.from(body),
      deliveryTag,
      redelivered,
      exchange: '',
      routingKey: this.queue,
      contentType: undefined,
      contentEncoding: undefined,
      headers,
      properties: headers ? { headers } : {},
      unreadable: undefined,
    };
    const delivery = new ChannelDelivery(this, message, body, undefined, partition);
    this.#deliveries.set(deliveryTag, delivery);
    return delivery;
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  settle(tag: number, how: Settlement): boolean {
    const delivery = this.#deliveries.get(tag);
    if (this.ended || !delivery) return false;
    this.#deliveries.delete(tag);
    this.settled.push(`${how} ${delivery.body}`);
    if (this.draining) this.#notify();
    return true;
  }

  stale(settled: Settlement | 'lost', how: Settlement): void {
    this.settled.push(`${how} after ${settled}`);
  }

  drain(): void {
    this.draining = true;
    this.#notify();
  }

  end(cause?: InstanceQueueError): void {
    this.ended = true;
    this.cause = cause;
    for (const delivery of this.#deliveries.values()) ChannelDelivery.lose(delivery);
    this.#notify();
    this.#listeners.clear();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
