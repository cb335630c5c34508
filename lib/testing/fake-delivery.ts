import { auto, contentTypeOf, type Codec } from '../codec';
import { ChannelDelivery } from '../consumer/channel-delivery';
import type { Delivery, Message, Settlement } from '../consumer/delivery';
import type { InstanceQueueError } from '../errors';
import { toAmqp, type MessageProperties } from '../properties';
import { FakeChannel } from './fake-channel';
import { stored, toAmqplib } from './memory/stored-message';

/** What else a delivery says of itself; what is left out is as for a first delivery to the queue `fake`. */
export interface FakeDeliveryFields<T = unknown>
  extends
    MessageProperties,
    Partial<
      Pick<Message<T>, 'queue' | 'exchange' | 'routingKey' | 'redelivered' | 'deliveryCount' | 'offset' | 'content'>
    > {
  /** What `content` is made with. @default auto */
  readonly codec?: Codec<T>;
}

/** A delivery that no broker made: it records what becomes of it, and lets a test take its channel away. */
export interface FakeDelivery<T> extends Delivery<T> {
  /** Every verb that was called, in order; only the first one settles. */
  readonly calls: readonly Settlement[];
  /** Resolves with how it was settled, or 'lost', when that is so. */
  readonly settlement: Promise<Settlement | 'lost'>;
  /** Its channel goes: it is 'lost' unless it is settled, and work on it is aborted. Nothing if it is gone already. */
  lose(cause?: InstanceQueueError): void;
  /** Its consumer wants nothing more: `handle` and `batch` release it if they have not started on it. */
  drain(): void;
}

/**
 * A delivery of `body`, for tests of handlers and pipelines. `handle`, `batch` and the verbs treat it as one that came from
 * a broker: single-shot, with a channel of its own that can be lost.
 *
 * @throws TypeError if the codec cannot encode the body and no `content` is given
 * @example
 * const delivery = fakeDelivery({ id: 1 }, { queue: 'orders', redelivered: true });
 * await lastValueFrom(of(delivery).pipe(handle(ship)));
 * expect(delivery.settled).toBe('ack');
 */
export function fakeDelivery<T>(body: T, fields: FakeDeliveryFields<T> = {}): FakeDelivery<T> {
  return new RecordingDelivery(body, fields);
}

class RecordingDelivery<T> extends ChannelDelivery<T> implements FakeDelivery<T> {
  readonly #channel: FakeChannel;

  constructor(body: T, fields: FakeDeliveryFields<T>) {
    const { queue = 'fake', exchange = '', routingKey = queue, deliveryCount = 0, offset, ...more } = fields;
    const { redelivered = deliveryCount > 0, codec = auto as Codec<T>, content, ...properties } = more;
    const channel = new FakeChannel(queue);
    const contentType = properties.contentType ?? contentTypeOf(codec, body);
    const headers = { ...properties.headers, ...(deliveryCount > 0 && { 'x-delivery-count': deliveryCount }) };
    const options = toAmqp({
      ...properties,
      ...(contentType !== undefined && { contentType }),
      ...(Object.keys(headers).length > 0 && { headers }),
      persistent: true,
      mandatory: true,
    });
    const message = stored(exchange, routingKey, content ?? codec.encode(body), options);
    const raw = toAmqplib(message, { consumerTag: 'fake', deliveryTag: 1, redelivered });
    super(channel, raw, body, offset === undefined ? undefined : { offset, attempts: deliveryCount });
    this.#channel = channel;
  }

  get calls(): readonly Settlement[] {
    return [...this.#channel.calls];
  }
  get settlement(): Promise<Settlement | 'lost'> {
    return this.#channel.settlement;
  }

  lose(cause?: InstanceQueueError): void {
    if (this.#channel.end(cause)) ChannelDelivery.lose(this);
    this.#channel.tell();
  }

  drain(): void {
    this.#channel.drain();
  }
}
