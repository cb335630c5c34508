import { randomUUID } from 'node:crypto';
import { timer } from 'rxjs';
import { auto, type Codec } from '../codec';
import type { ConnectionCore } from '../connection/connection-core';
import type { CloseReport, Member } from '../connection/member';
import type { Message } from '../consumer/delivery';
import { PublishError } from '../errors';
import { DEFAULTS, checkOptions, isObject } from '../options';
import { onAbort } from '../reactive/abort';
import { Deadlines } from '../collections/deadlines';
import { givenId, type OutboundMessage } from '../producer/outbound-message';
import { PendingRequest } from './pending-request';
import { readReply } from './reply';
import { ABORTED, ReplyLane, noReply, type ProducerOf } from './reply-lane';
import { REQUEST, type RequestOptions } from './request-options';

/** Asks over direct reply-to, on the producing connection. Ends before its producers do: replies may be on their way. */
export class Requester implements Member {
  readonly direction = 'inbound';
  readonly #core: ConnectionCore;
  readonly #producerOf: ProducerOf;
  readonly #timeout: number;
  readonly #unregister: () => void;
  readonly #deadlines: Deadlines<PendingRequest>;
  /** One for those that may be sent again, one for those that may not; each opens its channel when it is used. */
  readonly #lanes = new Map<boolean, ReplyLane>();
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
      if (request.confirmed) request.giveUp('REPLY_TIMEOUT', noReply(request.asked.timeout));
    });
    this.#unregister = core.register(this);
  }

  async request<Res>(message: OutboundMessage, options: RequestOptions<Res> = {}): Promise<Message<Res>> {
    checkOptions<RequestOptions>(options, REQUEST, { of: 'request()' });
    const messageId = givenId(message) ?? randomUUID();
    if (this.#closing)
      throw new PublishError('PUBLISH_CLOSED', messageId, 'No requests are made any more: it is closed.');
    if (isObject(message)) refuseOwn(message, messageId);
    const {
      codec = auto as Codec<Res, never>,
      idempotent = DEFAULTS.idempotent,
      timeout = this.#timeout,
      signal,
    } = options;
    const asked = { message, messageId, timeout, signal };
    const { pending, reply } = PendingRequest.promise(asked, (raw) => readReply(raw, codec, messageId));
    this.#begin(pending, this.#lane(idempotent));
    return reply;
  }

  /** Waits for replies for at most `within` ms, then rejects what is left (PUBLISH_CLOSED). */
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

  #lane(idempotent: boolean): ReplyLane {
    let lane = this.#lanes.get(idempotent);
    if (!lane) this.#lanes.set(idempotent, (lane = new ReplyLane(this.#core, idempotent, this.#producerOf)));
    return lane;
  }

  #begin(pending: PendingRequest, lane: ReplyLane): void {
    const { signal, timeout } = pending.asked;
    const forget =
      signal &&
      onAbort(signal, () => {
        if (pending.confirmed) pending.giveUp('PUBLISH_ABORTED', ABORTED, signal.reason);
      });
    this.#open++;
    pending.onSettled(() => {
      forget?.();
      lane.remove(pending);
      if (--this.#open === 0) this.#idle();
    });
    this.#deadlines.add(pending, timeout);
    lane.add(pending);
  }

  async #end(): Promise<CloseReport> {
    if (this.#open > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = this.#force = resolve;
      });
    }
    const unconfirmed = this.#open;
    for (const lane of this.#lanes.values()) {
      for (const request of [...lane.pending]) {
        request.giveUp('PUBLISH_CLOSED', 'Closed before the reply came; the request may have been worked on.');
      }
    }
    this.#deadlines.clear();
    this.#unregister();
    return { unsettled: 0, unconfirmed };
  }
}

/** The way back is ours: a reply to an id of the caller's could be taken for that to another request. */
function refuseOwn(message: Readonly<Record<string, unknown>>, messageId: string): void {
  for (const name of ['replyTo', 'correlationId'] as const) {
    if (message[name] === undefined) continue;
    const sentence = `A request finds its reply by a \`${name}\` of its own: put yours into \`headers\`, or use send().`;
    throw new PublishError('PUBLISH_INVALID', messageId, sentence);
  }
}
