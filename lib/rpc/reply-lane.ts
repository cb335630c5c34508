import type { ConnectionCore } from '../connection/connection-core';
import type { Prepare } from '../producer/publishing-loop';
import type { OutboundMessage } from '../producer/outbound-message';
import type { Producer } from '../producer/producer';
import type { InboundMessage, OutboundChannel } from '../transport/transport';
import type { PendingRequest } from './pending-request';
import { REPLY_TO } from './reply';

/**
 * Makes a producer whose every channel is prepared before it is used. With 'reject' it sends nothing a second time: neither what
 * was in flight when the link was lost, nor what was nacked.
 */
export type ProducerOf = (policy: 'resend' | 'reject', prepare: Prepare) => Pick<Producer, 'send'>;

/**
 * Sends requests and gets their replies on one channel, as direct reply-to wants it: one reply consumer per channel,
 * and no request before it is there.
 */
export class ReplyLane {
  readonly #core: ConnectionCore;
  readonly #producer: Pick<Producer, 'send'>;
  readonly #idempotent: boolean;
  readonly #pending = new Map<string, PendingRequest>();
  #channel: OutboundChannel | undefined;

  constructor(core: ConnectionCore, idempotent: boolean, producerOf: ProducerOf) {
    this.#core = core;
    this.#idempotent = idempotent;
    this.#producer = producerOf(idempotent ? 'resend' : 'reject', (channel) => this.#prepare(channel));
  }

  get pending(): Iterable<PendingRequest> {
    return this.#pending.values();
  }

  /** The entry first: the reply may come before the confirm. */
  add(request: PendingRequest): void {
    this.#pending.set(request.correlationId, request);
    void this.#send(request);
  }

  remove({ correlationId }: PendingRequest): void {
    this.#pending.delete(correlationId);
  }

  async #send(request: PendingRequest): Promise<void> {
    const { message, messageId, signal } = request.asked;
    const { left, correlationId } = request;
    const properties = { persistent: false, expiration: left, ...message, messageId, correlationId, replyTo: REPLY_TO };
    try {
      await this.#producer.send(toRouted(properties), { timeout: left, ...(signal && { signal }) });
      this.#confirmed(request);
    } catch (error) {
      request.reject(error);
    }
  }

  #confirmed(request: PendingRequest): void {
    if (request.settled) return;
    const { timeout, signal } = request.asked;
    if (request.overdue) request.giveUp('REPLY_TIMEOUT', noReply(timeout));
    else if (signal?.aborted) request.giveUp('PUBLISH_ABORTED', ABORTED, signal.reason);
    // Confirmed in the read that told the end of its channel, too: a channel that opened since could not confirm it yet.
    else if (!this.#channel) this.#cutOff(request, this.#core.up?.link.lost);
    else request.confirmed = true;
  }

  /** Its reply can not come any more: the address was the channel. */
  #cutOff(request: PendingRequest, cause: unknown): void {
    request.confirmed = false;
    if (this.#idempotent) void this.#send(request);
    else {
      const sentence = 'The channel was lost before the reply came; the request may have been worked on.';
      request.giveUp('PUBLISH_UNKNOWN', sentence, cause);
    }
  }

  async #prepare(channel: OutboundChannel): Promise<void> {
    this.#channel = channel;
    channel.ended$.subscribe((cause) => {
      if (this.#channel === channel) this.#channel = undefined;
      for (const request of [...this.#pending.values()]) if (request.confirmed) this.#cutOff(request, cause);
    });
    await channel.consumeReplies((message) => {
      this.#onReply(message);
    });
  }

  #onReply(message: InboundMessage): void {
    const { correlationId } = message.properties;
    const request = correlationId === undefined ? undefined : this.#pending.get(correlationId);
    if (request) request.answer(message);
    else {
      // Nothing is remembered of requests that are settled: however many such replies come, they take no memory.
      this.#core.counters.unclaimed++;
      this.#core.log.debug({ correlationId }, 'a reply that nobody waits for');
    }
  }
}

export const ABORTED = 'The request was aborted before its reply came; it may have been worked on.';
export const noReply = (timeout: number): string =>
  `No reply came within ${String(timeout)} ms (\`timeout\`); the request may have been worked on. Does anybody respond on that queue?`;

/** A queue that nobody made has nobody who responds: it is not declared, and the request comes back. */
function toRouted({ queue, exchange, routingKey = '', ...message }: OutboundMessage): OutboundMessage {
  return queue === undefined ? { ...message, exchange, routingKey } : { ...message, exchange: '', routingKey: queue };
}
