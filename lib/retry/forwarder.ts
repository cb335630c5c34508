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
import { WaitQueues, type Lease } from './wait-queue-leases';

/** Node's longest timer: what is forwarded has all the time there is. */
const AS_LONG_AS_IT_TAKES = 2 ** 31 - 1;
const BACKOFF = { min: 200, max: 30_000, factor: 2, jitter: 0.5 };
/** ms that a queue has to outlive the messages in it at least, lest a slow broker comes too late. */
const MARGIN = 60_000;

/** How the producer of a forwarder has to be: its own bytes, and never a deadline. */
export const FORWARDING = {
  // Without a content type of its own: that of the original, or none, is kept.
  codec: { contentType: '', encode: (content) => content, decode: (content) => content },
  timeout: AS_LONG_AS_IT_TAKES,
  onUnknown: 'resend',
  onNack: 'resend',
  persistent: true,
  mandatory: true,
  outbox: { overflow: 'wait' },
} as const satisfies ProducerOptions<Buffer>;

/** What is published on behalf of a consumer. */
export interface Forwarded {
  readonly route: Route;
  readonly content: Buffer;
  readonly properties: MessageProperties & Pick<OutboundMessage, 'persistent' | 'mandatory'>;
}

export interface ForwardOptions {
  /** The queue it goes to and waits in; declared as needed. */
  readonly into?: QueueSpec;
  /** The original is lost: it comes again, and needs no copy. */
  readonly signal: AbortSignal;
  /** Codes that are an answer, too. */
  readonly giveUpOn?: readonly ErrorCode[];
}

/** Nothing helps against these. */
const FINAL: readonly ErrorCode[] = ['PUBLISH_INVALID', 'PUBLISH_ABORTED', 'PUBLISH_CLOSED', 'CONNECTION_CLOSED'];

/**
 * Publishes what consuming makes of messages: copies that wait, moves, replies. Over the producing connection, because a
 * consuming one that publishes can be blocked with its acks unread; and until it is confirmed, because the original is
 * acked then.
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
   * Resolves when the broker has confirmed it, however long that takes. Rejects: InstanceQueueError when it never can
   * be, when `signal` is aborted, or with a code to give up on.
   */
  async forward(message: Forwarded, { into, signal, giveUpOn = [] }: ForwardOptions): Promise<void> {
    for (let failures = 1; ; failures++) {
      let cause: InstanceQueueError;
      try {
        const lease = into && (await this.#waitQueues.hold(into, signal));
        await this.#send(message, into, signal);
        if (!lease || outlives(lease, into)) return;
        cause = new PublishError(
          'PUBLISH_UNKNOWN',
          message.properties.messageId ?? '',
          `Confirmed so late that queue \`${into.name}\` could expire before its message.`,
          { maybeDelivered: true },
        );
      } catch (error) {
        if (!isInstanceQueueError(error) || FINAL.includes(error.code) || giveUpOn.includes(error.code)) throw error;
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
    // By way of an exchange's name: a wait queue is declared by its lease alone.
    const where: Route = into ? { exchange: '', routingKey: into.name } : route;
    await this.#producer.send({ ...properties, ...where, body: content }, { signal });
    if (into) this.#core.counters.retried++;
  }
}

const outlives = ({ until }: Lease, { messageTtl = 0, expires = Infinity }: QueueSpec): boolean =>
  until - performance.now() > messageTtl + Math.min(MARGIN, (expires - messageTtl) / 4);
