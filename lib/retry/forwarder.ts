import { timer } from 'rxjs';
import { backoffDelay } from '../connection/backoff';
import type { ConnectionCore } from '../connection/connection-core';
import { PublishError, type ErrorCode, type InstanceQueueError, isInstanceQueueError } from '../errors';
import type { MessageProperties, Route } from '../properties';
import type { QueueSpec } from '../topology';
import { firstUnlessAborted } from '../reactive/abort';
import type { OutboundMessage } from '../producer/outbound-message';
import type { Producer } from '../producer/producer';
import type { ProducerOptions } from '../producer/producer-options';
import { WaitQueues, type Lease } from './wait-queues';

/** ms; the longest timer of Node, because forwarding has no deadline. */
const NO_DEADLINE = 2 ** 31 - 1;
const BACKOFF = { min: 200, max: 30_000, factor: 2, jitter: 0.5 };
/** ms that a wait queue must outlive the messages in it, in case the broker is slow to return them. */
const MARGIN = 60_000;

/** The options of a forwarder's producer: bytes as they are, and no deadline. */
export const FORWARDING = {
  // No content type of the codec's own: the copy keeps that of the original, or has none.
  codec: { contentType: '', encode: (content) => content, decode: (content) => content },
  timeout: NO_DEADLINE,
  onUnknown: 'resend',
  onNack: 'resend',
  persistent: true,
  mandatory: true,
  outbox: { overflow: 'wait' },
} as const satisfies ProducerOptions<Buffer>;

/** A message published on behalf of a consumer. */
export interface Forwarded {
  readonly route: Route;
  readonly content: Buffer;
  readonly properties: MessageProperties & Pick<OutboundMessage, 'persistent' | 'mandatory'>;
}

export interface ForwardOptions {
  /** The queue it goes to and waits in; declared as needed. */
  readonly into?: QueueSpec;
  /** Aborted when the original is lost: the broker delivers that again, and no copy is needed. */
  readonly signal: AbortSignal;
  /** Asked after each failure: reject with it instead of trying again? Without it: never. */
  readonly givesUp?: (error: InstanceQueueError) => boolean;
}

/** Trying again cannot help against these. */
const FINAL: readonly ErrorCode[] = ['PUBLISH_INVALID', 'PUBLISH_ABORTED', 'PUBLISH_CLOSED', 'CONNECTION_CLOSED'];

/**
 * Publishes on behalf of consumers: copies that wait, moved messages, replies. Over the producing connection, because the
 * broker may block a connection that publishes, and a blocked consumer could not ack. Until it is confirmed, because the
 * original is acked after that.
 */
export class Forwarder {
  readonly #core: ConnectionCore;
  readonly #producer: Pick<Producer<Buffer>, 'send'>;
  readonly #waitQueues: WaitQueues;

  constructor(core: ConnectionCore, producer: Pick<Producer<Buffer>, 'send'>) {
    this.#core = core;
    this.#producer = producer;
    this.#waitQueues = new WaitQueues(core);
  }

  /**
   * Resolves when the broker has confirmed the message, however long that takes. Rejects: InstanceQueueError, when that can
   * never be, or when `givesUp` says so; the reason of `signal`, when that is aborted.
   */
  async forward(message: Forwarded, { into, signal, givesUp }: ForwardOptions): Promise<void> {
    for (let failures = 1; ; failures++) {
      let cause: InstanceQueueError;
      try {
        const lease = into && (await this.#waitQueues.hold(into, signal));
        await this.#send(message, into, signal);
        if (!lease || outlives(lease, into)) return;
        cause = new PublishError(
          'PUBLISH_UNKNOWN',
          message.properties.messageId ?? '',
          `The broker confirmed so late that queue \`${into.name}\` could expire before its message.`,
          { maybeDelivered: true },
        );
      } catch (error) {
        if (!isInstanceQueueError(error) || FINAL.includes(error.code) || givesUp?.(error) === true) throw error;
        signal.throwIfAborted();
        cause = error;
      }
      if (into) this.#waitQueues.forget(into);
      const { messageId } = message.properties;
      const retryIn = backoffDelay(BACKOFF, failures);
      this.#core.log[cause.retryable ? 'warn' : 'error'](
        { err: cause, messageId, ...message.route, retryIn },
        'cannot forward a message: its original stays unacked',
      );
      await firstUnlessAborted(timer(retryIn), signal);
    }
  }

  async #send(
    { route, content, properties }: Forwarded,
    into: QueueSpec | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    // Through the default exchange by name, because a `queue` route would declare the queue: only its lease may do that.
    const where: Route = into ? { exchange: '', routingKey: into.name } : route;
    await this.#producer.send({ ...properties, ...where, body: content }, { signal });
    if (into) this.#core.counters.retried++;
  }
}

const outlives = ({ until }: Lease, { messageTtl = 0, expires = Infinity }: QueueSpec): boolean =>
  until - performance.now() > messageTtl + Math.min(MARGIN, (expires - messageTtl) / 4);
