import { randomUUID } from 'node:crypto';
import { auto, type Codec } from '../codec';
import { Deadlines } from '../collections/deadlines';
import type { ConnectionCore } from '../connection/connection-core';
import { type CloseReport, Closing, type Member } from '../connection/member';
import type { Message } from '../consumer/delivery';
import { onDefaultExchange, queueCodecs } from '../contract';
import { OptionsError, PublishError, sentenceOf } from '../errors';
import { boolean, checkOptions, codec, DEFAULTS, isObject, type Shape } from '../options';
import {
  type ContractMessage,
  givenId,
  notAMessage,
  type OutboundMessage,
  wholeCopy,
} from '../producer/outbound-message';
import type { Sender } from '../producer/publish';
import { SEND, type SendOptions } from '../producer/producer-options';
import type { Prepare } from '../producer/publishing-loop';
import { onAbort } from '../reactive/abort';
import type { InboundMessage, OutboundChannel } from '../transport/transport';
import { PendingRequest } from './pending-request';
import { readReply, REPLY_TO } from './reply';

/**
 * Requests and replies: `Requester` sends requests and waits for their replies, `respond` works on requests and replies.
 *
 * A request goes through a `RequestChannel`, whose producer publishes it on the channel that also receives the reply. At the other end
 * `respond` runs `handle`, and publishes the reply through the forwarder of retry/ before the request is acked. This room imports
 * retry/, operators/, consumer/, producer/ and the layers below.
 */

/** For one request. `timeout` counts from the call to the reply; `signal` also ends the wait for the reply. */
export interface RequestOptions<Res = unknown> extends SendOptions {
  /** How the reply is read. @default auto */
  readonly codec?: Codec<Res, never>;
  /**
   * May the work be done twice? `true`: a request that was nacked, or whose link was lost before its reply came, is sent again, with
   * the same `messageId` and the time that is left. `false`: it is sent once, and rejects (PUBLISH_NACKED, PUBLISH_UNKNOWN).
   * @default false
   */
  readonly idempotent?: boolean;
}

const REQUEST: Shape<RequestOptions> = { ...SEND, codec, idempotent: boolean };

/** Sends requests over direct reply-to, on the producing connection. It ends before its producers do, which still send for it. */
export class Requester implements Member {
  readonly direction = 'inbound';
  readonly #core: ConnectionCore;
  readonly #producerOf: ProducerOf;
  readonly #timeout: number;
  readonly #unregister: () => void;
  readonly #deadlines: Deadlines<PendingRequest>;
  /** One for idempotent requests and one for the others. Each opens its AMQP channel on first use. */
  readonly #channels = new Map<boolean, RequestChannel>();
  #open = 0;
  #idle: () => void = () => undefined;
  #force: () => void = () => undefined;
  readonly #closing = new Closing(
    () => this.#end(),
    () => {
      this.#force();
    },
  );

  constructor(core: ConnectionCore, producerOf: ProducerOf, timeout: number = DEFAULTS.timeout) {
    this.#core = core;
    this.#producerOf = producerOf;
    this.#timeout = timeout;
    this.#deadlines = new Deadlines((request) => {
      request.overdue = true;
      if (request.confirmed) request.giveUp('REPLY_TIMEOUT', noReply(request.call.timeout));
    });
    this.#unregister = core.register(this);
  }

  async request<Res>(
    given: OutboundMessage | ContractMessage,
    options: RequestOptions<Res> = {},
  ): Promise<Message<Res>> {
    checkOptions<RequestOptions>(options, REQUEST, { of: 'request()' });
    const messageId = givenId(given) ?? randomUUID();
    if (this.#closing.begun)
      throw new PublishError('PUBLISH_CLOSED', messageId, 'The queue is closed: it sends no requests.');
    const message = copyOf(given, messageId);
    refuseOwn(message, messageId);
    const contract = queueCodecs(message.queue)?.reply;
    if (contract && options.codec)
      throw new OptionsError('codec', 'Expected no `codec`: the contract of the queue says how its replies are read.');
    const {
      // Res is what the contract says, if it says anything about replies.
      codec = (contract ?? auto) as Codec<Res, never>,
      idempotent = DEFAULTS.idempotent,
      timeout = this.#timeout,
      signal,
    } = options;
    const call = { message, messageId, timeout, signal };
    const { pending, reply } = PendingRequest.promise(call, (raw) => readReply(raw, codec, messageId));
    this.#begin(pending, this.#channel(idempotent));
    return reply;
  }

  /**
   * Waits for replies for at most `within` ms: work that drains may need its answer. Then rejects the requests that the broker has
   * (PUBLISH_CLOSED); the producers, which close next, reject the rest.
   */
  close(within: number): Promise<CloseReport> {
    return this.#closing.within(within);
  }

  #channel(idempotent: boolean): RequestChannel {
    let channel = this.#channels.get(idempotent);
    if (!channel) {
      channel = new RequestChannel(this.#core, idempotent, this.#producerOf);
      this.#channels.set(idempotent, channel);
    }
    return channel;
  }

  #begin(pending: PendingRequest, channel: RequestChannel): void {
    const { signal, timeout } = pending.call;
    const forget =
      signal &&
      onAbort(signal, () => {
        if (pending.confirmed) pending.giveUp('PUBLISH_ABORTED', ABORTED, signal.reason);
      });
    this.#open++;
    pending.onSettled(() => {
      forget?.();
      channel.remove(pending);
      if (--this.#open === 0) this.#idle();
    });
    this.#deadlines.add(pending, timeout);
    channel.add(pending);
  }

  async #end(): Promise<CloseReport> {
    if (this.#open > 0) {
      this.#core.log.info({ requests: this.#open }, 'closing waits for replies');
      await new Promise<void>((resolve) => {
        this.#idle = this.#force = resolve;
      });
    }
    let unconfirmed = 0;
    for (const channel of this.#channels.values()) unconfirmed += channel.close();
    this.#deadlines.clear();
    this.#unregister();
    return { unsettled: 0, unconfirmed };
  }
}

/** A request may be sent again, whatever the caller makes of its message. @throws PublishError if it is no message */
function copyOf<M extends object>(message: M, messageId: string): M {
  const invalid = (why: string, cause?: unknown): PublishError =>
    new PublishError('PUBLISH_INVALID', messageId, `This request cannot be sent: ${why}`, { cause });
  if (!isObject(message)) throw invalid(notAMessage(message));
  try {
    return wholeCopy(message);
  } catch (cause) {
    // One of its getters.
    throw invalid(sentenceOf(cause), cause);
  }
}

/** A request finds its reply by an id of its own: a reply to the caller's id could be the reply to another request. */
function refuseOwn(message: OutboundMessage | ContractMessage, messageId: string): void {
  for (const name of ['replyTo', 'correlationId'] as const) {
    if (message[name] === undefined) continue;
    const sentence = `A request finds its reply by a \`${name}\` of its own: put yours into \`headers\`, or use send().`;
    throw new PublishError('PUBLISH_INVALID', messageId, sentence);
  }
  for (const name of ['delay', 'at'] as const) {
    if (message[name] === undefined) continue;
    const sentence = `A request has no \`${name}\`: its reply goes to a channel that may be gone by then. Use send(), with a \`replyTo\` if needed.`;
    throw new PublishError('PUBLISH_INVALID', messageId, sentence);
  }
}

/**
 * Makes a producer that prepares each of its channels before it publishes. With 'reject' it publishes nothing a second time: neither
 * what was in flight when the link was lost, nor what was nacked.
 */
export type ProducerOf = (policy: 'resend' | 'reject', prepare: Prepare) => Sender<OutboundMessage | ContractMessage>;

/**
 * Sends requests and receives their replies on one channel. Direct reply-to wants it so: the reply consumer belongs to the channel of
 * the request, and must be there first.
 */
class RequestChannel {
  readonly #core: ConnectionCore;
  readonly #producer: Sender<OutboundMessage | ContractMessage>;
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
    const { persistent = false, expiration = left } = message;
    const properties = { ...message, persistent, expiration, messageId, correlationId, replyTo: REPLY_TO };
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
    request.confirmedBefore = true;
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
const ABORTED = 'The request was aborted before its reply came; it may have been worked on.';
const noReply = (timeout: number): string =>
  `No reply came within ${String(timeout)} ms (\`timeout\`); the request may have been worked on. Does a responder consume from that queue?`;

/** A request declares no queue: a new queue has no responder. By way of the default exchange a missing one returns the request. */
function byExchange({
  queue,
  exchange,
  routingKey = '',
  ...message
}: OutboundMessage | ContractMessage): OutboundMessage | ContractMessage {
  if (typeof queue === 'string') return { ...message, exchange: '', routingKey: queue };
  if (queue !== undefined) return { ...message, exchange: onDefaultExchange(queue), routingKey: queue.name };
  return typeof exchange === 'object' ? { ...message, exchange, routingKey } : { ...message, exchange, routingKey };
}
