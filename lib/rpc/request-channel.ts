import type { ConnectionCore } from '../connection/connection-core';
import type { OutboundMessage } from '../producer/outbound-message';
import type { Producer } from '../producer/producer';
import type { Prepare } from '../producer/publishing-loop';
import type { InboundMessage, OutboundChannel } from '../transport/transport';
import type { PendingRequest } from './pending-request';
import { REPLY_TO } from './reply';

/**
 * Makes a producer that prepares each of its channels before it publishes. With 'reject' it publishes nothing a second time: neither
 * what was in flight when the link was lost, nor what was nacked.
 */
export type ProducerOf = (policy: 'resend' | 'reject', prepare: Prepare) => Pick<Producer, 'send'>;

/**
 * Sends requests and receives their replies on one channel. Direct reply-to wants it so: the reply consumer belongs to the channel of
 * the request, and must be there first.
 */
export class RequestChannel {
  readonly #core: ConnectionCore;
  readonly #producer: Pick<Producer, 'send'>;
  readonly #idempotent: boolean;
  readonly #pending = new Map<string, PendingRequest>();
  #channel: OutboundChannel | undefined;
  #closed = false;

  constructor(core: ConnectionCore, idempotent: boolean, producerOf: ProducerOf) {
    this.#core = core;
    this.#idempotent = idempotent;
    this.#producer = producerOf(idempotent ? 'resend' : 'reject', (channel) => this.#prepare(channel));
  }

  add(request: PendingRequest): void {
    // Before it is sent: the reply may come before the confirm.
    this.#pending.set(request.correlationId, request);
    void this.#send(request);
  }

  remove({ correlationId }: PendingRequest): void {
    this.#pending.delete(correlationId);
  }

  /**
   * Waits for no reply any more: rejects each request that the broker has, and those that it confirms later. The others are left to
   * the producer, which knows whether they were sent. Returns how many it rejected.
   */
  close(): number {
    this.#closed = true;
    const confirmed = [...this.#pending.values()].filter((request) => request.confirmed);
    for (const request of confirmed) request.giveUp('PUBLISH_CLOSED', CLOSED);
    return confirmed.length;
  }

  async #send(request: PendingRequest): Promise<void> {
    const { message, messageId, signal } = request.call;
    const { left, correlationId } = request;
    const properties = { persistent: false, expiration: left, ...message, messageId, correlationId, replyTo: REPLY_TO };
    try {
      await this.#producer.send(byExchange(properties), { timeout: left, ...(signal && { signal }) });
      this.#confirmed(request);
    } catch (error) {
      request.reject(error);
    }
  }

  #confirmed(request: PendingRequest): void {
    if (request.settled) return;
    const { timeout, signal } = request.call;
    if (request.overdue) request.giveUp('REPLY_TIMEOUT', noReply(timeout));
    else if (signal?.aborted) request.giveUp('PUBLISH_ABORTED', ABORTED, signal.reason);
    else if (this.#closed) request.giveUp('PUBLISH_CLOSED', CLOSED);
    // The confirm came in the same read as the end of its channel. A channel that opened since cannot have confirmed it.
    else if (!this.#channel) this.#cutOff(request, this.#core.up?.link.lost);
    else request.confirmed = true;
  }

  /** The channel was the address for the reply: none can come any more. */
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
      // Settled requests are not remembered, so unclaimed replies take no memory.
      this.#core.counters.unclaimed++;
      this.#core.log.debug({ correlationId }, 'unclaimed reply dropped');
    }
  }
}

const CLOSED = 'Closed before the reply came; the request may have been worked on.';
export const ABORTED = 'The request was aborted before its reply came; it may have been worked on.';
export const noReply = (timeout: number): string =>
  `No reply came within ${String(timeout)} ms (\`timeout\`); the request may have been worked on. Does a responder consume from that queue?`;

/** A request declares no queue: a new queue has no responder. By way of the default exchange a missing one returns the request. */
function byExchange({ queue, exchange, routingKey = '', ...message }: OutboundMessage): OutboundMessage {
  return queue === undefined ? { ...message, exchange, routingKey } : { ...message, exchange: '', routingKey: queue };
}
