/**
 * Requests and replies: `Requester` sends requests and waits for their replies, `respond` works on requests and replies.
 *
 * A request goes through a `RequestChannel`, whose producer publishes it on the channel that also receives the reply. At the other end
 * `respond` runs `handle`, and publishes the reply through the forwarder of retry/ before the request is acked. This room imports
 * retry/, operators/, consumer/, producer/ and the layers below.
 */
import { randomUUID } from 'node:crypto';
import { timer } from 'rxjs';
import { auto, type Codec } from '../codec';
import type { ConnectionCore } from '../connection/connection-core';
import type { CloseReport, Member } from '../connection/member';
import type { Message } from '../consumer/delivery';
import { PublishError } from '../errors';
import { DEFAULTS, boolean, checkOptions, codec, isObject, type Shape } from '../options';
import { onAbort } from '../reactive/abort';
import { Deadlines } from '../collections/deadlines';
import { givenId, type OutboundMessage } from '../producer/outbound-message';
import { SEND, type SendOptions } from '../producer/producer-options';
import { PendingRequest } from './pending-request';
import { readReply } from './reply';
import { ABORTED, RequestChannel, noReply, type ProducerOf } from './request-channel';

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
  #closing: Promise<CloseReport> | undefined;
  #force: () => void = () => undefined;

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

  async request<Res>(message: OutboundMessage, options: RequestOptions<Res> = {}): Promise<Message<Res>> {
    checkOptions<RequestOptions>(options, REQUEST, { of: 'request()' });
    const messageId = givenId(message) ?? randomUUID();
    if (this.#closing)
      throw new PublishError('PUBLISH_CLOSED', messageId, 'The queue is closed: it sends no requests.');
    if (isObject(message)) refuseOwn(message, messageId);
    const {
      codec = auto as Codec<Res, never>,
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
    const deadline = timer(within).subscribe(() => {
      this.#force();
    });
    this.#closing ??= this.#end();
    void this.#closing.then(() => {
      deadline.unsubscribe();
    });
    return this.#closing;
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

/** A request finds its reply by an id of its own: a reply to the caller's id could be the reply to another request. */
function refuseOwn(message: Readonly<Record<string, unknown>>, messageId: string): void {
  for (const name of ['replyTo', 'correlationId'] as const) {
    if (message[name] === undefined) continue;
    const sentence = `A request finds its reply by a \`${name}\` of its own: put yours into \`headers\`, or use send().`;
    throw new PublishError('PUBLISH_INVALID', messageId, sentence);
  }
}
