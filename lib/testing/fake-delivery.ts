import { firstValueFrom, ReplaySubject } from 'rxjs';
import { auto, contentTypeOf, packBody, type Codec } from '../codec';
import { ChannelDelivery, type DeliveryChannel } from '../consumer/channel-delivery';
import type { Delivery, Message, Settlement } from '../consumer/delivery';
import type { InstanceQueueError } from '../errors';
import { loggerFrom } from '../log';
import { DEFAULTS, withDefaults } from '../options';
import type { MessageProperties } from '../properties';
import { delivered, stored } from './memory/stored-message';

/** What else a delivery says of itself. What is left out is that of a first delivery from the queue `fake`. */
export interface FakeDeliveryFields<T = unknown>
  extends
    MessageProperties,
    Partial<
      Pick<Message<T>, 'queue' | 'exchange' | 'routingKey' | 'redelivered' | 'deliveryCount' | 'offset' | 'content'>
    > {
  /** What `content` is made with. @default auto */
  readonly codec?: Codec<T>;
  /** Called once, in the turn in which it is settled or lost: for the order among several deliveries. */
  readonly onSettled?: (how: Settlement | 'lost') => void;
}

/** A delivery without a broker: it records how it is settled, and a test can take its channel away. */
export interface FakeDelivery<T> extends Delivery<T> {
  /** Every verb that was called, in order; only the first one settles. */
  readonly calls: readonly Settlement[];
  /** Resolves with how it was settled, or with 'lost'. */
  readonly settlement: Promise<Settlement | 'lost'>;
  /** Ends its channel: it is 'lost' unless it is settled, and work on it is aborted. Does nothing when that is so already. */
  lose(cause?: InstanceQueueError): void;
  /** Its consumer drains: `handle` and `batch` release it unless they have started on it. */
  drain(): void;
}

/**
 * A delivery of `body`, for tests of handlers and pipelines. `handle`, `batch` and the verbs treat it like one from a broker:
 * single-shot, with a channel of its own that can be lost.
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
    const { redelivered = deliveryCount > 0, codec = auto as Codec<T>, content, onSettled, ...properties } = more;
    const channel = new FakeChannel(queue, onSettled);
    const packed =
      content === undefined
        ? packBody(codec, body, properties)
        : { content, contentType: properties.contentType ?? contentTypeOf(codec, body) };
    const { content: bytes, ...format } = packed;
    const message = stored(exchange, routingKey, bytes, {
      ...withDefaults(properties, format),
      headers: { ...properties.headers, ...(deliveryCount > 0 && { 'x-delivery-count': deliveryCount }) },
    });
    const place = offset === undefined ? undefined : { offset, attempts: deliveryCount };
    super(channel, delivered(message, 1, redelivered), body, place);
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
    this.#channel.notify();
  }

  drain(): void {
    this.#channel.drain();
  }
}

/** The channel of one fake delivery: it records what is asked of it. */
class FakeChannel implements DeliveryChannel {
  readonly prefetch = DEFAULTS.prefetch;
  readonly log = loggerFrom(undefined, {});
  readonly calls: Settlement[] = [];
  readonly #settlement$ = new ReplaySubject<Settlement | 'lost'>(1);
  readonly #listeners = new Set<() => void>();
  #draining = false;
  #ended = false;
  #cause: InstanceQueueError | undefined;

  constructor(
    readonly queue: string,
    onSettled: ((how: Settlement | 'lost') => void) | undefined,
  ) {
    this.#settlement$.subscribe(onSettled);
  }

  get draining(): boolean {
    return this.#draining;
  }
  get ended(): boolean {
    return this.#ended;
  }
  get cause(): InstanceQueueError | undefined {
    return this.#cause;
  }
  get settlement(): Promise<Settlement | 'lost'> {
    return firstValueFrom(this.#settlement$);
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  settle(_tag: number, how: Settlement): boolean {
    this.calls.push(how);
    if (this.#ended) return false;
    this.#settle(how);
    return true;
  }

  stale(_settled: Settlement | 'lost', how: Settlement): void {
    this.calls.push(how);
  }

  /** `false`: it had ended before. */
  end(cause?: InstanceQueueError): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#cause = cause;
    this.#settle('lost');
    return true;
  }

  drain(): void {
    this.#draining = true;
    this.notify();
  }

  notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #settle(how: Settlement | 'lost'): void {
    this.#settlement$.next(how);
    this.#settlement$.complete();
  }
}
