import { randomUUID } from 'node:crypto';
import { isObservable, last, mergeMap, type Observable } from 'rxjs';
import { contentTypeOf, encodeBody, type Codec } from '../codec';
import type { Delivery, Message, Settlement } from '../consumer/delivery';
import { decided, namedSettlement, type ErrorPolicy } from '../operators/error-policy';
import { forwardThenSettle } from '../retry/forward-then-settle';
import { handle } from '../operators/handle';
import { isSpent } from '../retry/retry';
import { checkHandling, type HandleOptions, type Handled, type Worker } from '../operators/handle-options';
import { isInstanceQueueError, type ErrorCode } from '../errors';
import type { Logger } from '../log';
import { errorHeaders } from '../own-headers';
import type { MessageProperties } from '../properties';
import type { Forwarder } from '../retry/forwarder';
import { REPLY_TO } from './reply';

/** How replies leave. */
export interface Replies {
  readonly forwarder: () => Forwarder;
  readonly codec: Codec<unknown>;
  readonly log: Logger;
}

/** Nobody is there any more, or nobody may write there. */
const GONE: readonly ErrorCode[] = ['PUBLISH_RETURNED'];
const REFUSED: readonly ErrorCode[] = ['PUBLISH_RETURNED', 'PUBLISH_REFUSED', 'PUBLISH_INVALID'];

/** Works on requests with `handle`; a request is settled when its reply is confirmed. */
export function respond<Req, Res>(
  requests$: Observable<Delivery<Req>>,
  replies: Replies,
  work: Worker<Req, Res>,
  handling: HandleOptions<Req>,
): Observable<Handled<Req, Res>> {
  checkHandling(work, handling);
  const policy = handling.onError ?? 'reject';
  // Requeued by `fail` it comes again: nothing to reply yet.
  const onError = policy === 'fail' ? policy : answering(policy, replies);
  return requests$.pipe(handle(answered(work, replies), { ...handling, onError }));
}

/** The work and its reply as one: only both together are done. */
function answered<Req, Res>(work: Worker<Req, Res>, replies: Replies): Worker<Req, Res> {
  return (message, context) => {
    const answer = async (value: Res): Promise<Res> => {
      if (message.properties.replyTo === undefined) return value;
      // A result that is nothing is told as such.
      const body: unknown = value ?? null;
      const content = encodeBody(replies.codec, body);
      const contentType = contentTypeOf(replies.codec, body);
      await reply(
        message,
        { content, ...(contentType !== undefined && { contentType }) },
        replies,
        GONE,
        context.signal,
      );
      return value;
    };
    const result = work(message, context);
    // Observables stay what they are: they can be stopped.
    if (isObservable(result))
      return result.pipe(
        last(null, undefined),
        mergeMap((value) => answer(value as Res)),
      );
    return Promise.resolve(result).then(answer);
  };
}

/** The policy, and the error as the reply if it says that this was the end of it. */
function answering<Req>(policy: Exclude<ErrorPolicy<Req>, 'fail'>, replies: Replies) {
  return async (error: unknown, message: Message<Req>): Promise<Settlement> => {
    const final = typeof policy === 'function' && isSpent(policy, message);
    const settlement =
      typeof policy === 'function' ? decided(await policy(error, message)) : namedSettlement(policy, message);
    if ((settlement !== 'reject' && !final) || message.properties.replyTo === undefined) return settlement;
    const failure = { content: Buffer.alloc(0), headers: errorHeaders(error) };
    return forwardThenSettle(message, (signal) => reply(message, failure, replies, REFUSED, signal), settlement);
  };
}

async function reply(
  { properties: { replyTo = '', correlationId, messageId }, queue }: Message<unknown>,
  { content, ...properties }: Pick<MessageProperties, 'contentType' | 'headers'> & { readonly content: Buffer },
  { forwarder, log }: Replies,
  gone: readonly ErrorCode[],
  signal: AbortSignal,
): Promise<void> {
  const named = correlationId ?? messageId;
  const direct = replyTo.startsWith(`${REPLY_TO}.`);
  const copy = {
    route: { exchange: '', routingKey: replyTo },
    content,
    properties: {
      ...properties,
      messageId: randomUUID(),
      ...(named !== undefined && { correlationId: named }),
      // A direct reply is routed to no queue: with `mandatory` it would be delivered, and come back all the same.
      mandatory: !direct,
      persistent: !direct,
    },
  };
  try {
    await forwarder().forward(copy, { signal, giveUpOn: gone });
  } catch (err) {
    if (!isInstanceQueueError(err) || !gone.includes(err.code)) throw err;
    log.warn({ err, queue, correlationId: named }, 'nobody takes the reply any more');
  }
}
