import { randomUUID } from 'node:crypto';
import { last, mergeMap, type Observable } from 'rxjs';
import { type Codec, packBody, type Packed } from '../codec';
import { ArrivedMessage } from '../consumer/channel-delivery';
import type { Delivery, Message, Settlement } from '../consumer/delivery';
import { ConsumerError, type ErrorCode, type InstanceQueueError, isInstanceQueueError, PublishError } from '../errors';
import type { Logger } from '../log';
import { reasonOf } from '../not-encodable';
import { decided, type ErrorPolicy, namedSettlement } from '../operators/error-policy';
import { handle } from '../operators/handle';
import { checkHandling, type Handled, type HandleOptions, type Worker } from '../operators/handle-options';
import { isRxObservable, whyNotRun } from '../operators/attempt';
import { withDefaults } from '../options';
import { errorHeaders, OWN } from '../own-headers';
import type { MessageProperties } from '../properties';
import { forwardThenSettle } from '../retry/forward-then-settle';
import type { Forwarder } from '../retry/forwarder';
import { isSpent } from '../retry/retry';
import type { InboundMessage } from '../transport/transport';
import { inWorkScope } from '../work-scope';

/** How replies are encoded and sent. */
export interface Replies {
  readonly forwarder: () => Forwarder;
  readonly codec: Codec<unknown>;
  readonly log: Logger;
}

/** The requester is gone: the work is done all the same. */
const GONE: readonly ErrorCode[] = ['PUBLISH_RETURNED'];
/** No error reply can be delivered: the failure is settled without one. */
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
  // 'fail' requeues the request: the next responder to get it replies.
  const onError = policy === 'fail' ? policy : answering(policy, replies);
  return requests$.pipe(handle(answered(work, replies), { ...handling, onError }));
}

/** The work together with its reply: `handle` acks the request when both are done. */
function answered<Req, Res>(work: Worker<Req, Res>, replies: Replies): Worker<Req, Res> {
  return (message, context) => {
    const answer = async (value: Res): Promise<Res> => {
      const notRun = whyNotRun(value);
      if (notRun !== undefined) throw notRun;
      if (message.properties.replyTo === undefined) return value;
      // A requester waits for an answer, also where the work returns none.
      const body: unknown = value ?? null;
      const answered = packBody(replies.codec, body);
      await inWorkScope(message, () => reply(message, answered, replies, GONE, context.signal));
      return value;
    };
    const result = work(message, context);
    // `handle` unsubscribes from an Observable to stop its work; a promise cannot be stopped.
    if (isRxObservable(result))
      return result.pipe(
        last(null, undefined),
        mergeMap((value) => answer(value as Res)),
      );
    return Promise.resolve(result).then(answer);
  };
}

/** The policy. When it gives the request up, or fails and so gives it up, the error is the reply. */
function answering<Req>(policy: Exclude<ErrorPolicy<Req>, 'fail'>, replies: Replies) {
  const answer = async (error: unknown, message: Message<Req>, settlement: Settlement): Promise<Settlement> => {
    if (message.properties.replyTo === undefined) return settlement;
    const failure = { content: Buffer.alloc(0), contentType: undefined, headers: errorHeaders(error) };
    return forwardThenSettle(message, (signal) => reply(message, failure, replies, REFUSED, signal), settlement);
  };
  return async (error: unknown, message: Message<Req>): Promise<Settlement> => {
    let settlement: Settlement;
    try {
      settlement =
        typeof policy === 'function' ? decided(await policy(error, message)) : namedSettlement(policy, message);
    } catch (policyError) {
      // What `judge` decides about a policy that failed. It also reports the failure.
      const fallback = namedSettlement('requeue-once', message);
      const answered = fallback === 'reject' ? await answer(error, message, fallback) : fallback;
      if (answered !== fallback) return answered;
      throw policyError;
    }
    // One that `retry` moved after its last run is given up as well.
    const final = settlement === 'reject' || (settlement === 'ack' && isSpent(message));
    return final ? answer(error, message, settlement) : settlement;
  };
}

async function reply(
  { properties: { replyTo = '', correlationId, messageId, expiration = Infinity }, queue }: Message<unknown>,
  { content, contentType, contentEncoding, headers }: Packed & Pick<MessageProperties, 'headers'>,
  { forwarder, log }: Replies,
  dropped: readonly ErrorCode[],
  signal: AbortSignal,
): Promise<void> {
  const named = correlationId ?? messageId;
  const direct = replyTo.startsWith(`${REPLY_TO}.`);
  // A reply to a queue is awaited there for as long as it takes. A direct one has only its requester, which has given up by then.
  const awaitedUntil = direct ? performance.now() + expiration : Infinity;
  const isDropped = ({ code }: InstanceQueueError): boolean =>
    dropped.includes(code) || (code === 'PUBLISH_REFUSED' && performance.now() >= awaitedUntil);
  const copy = {
    route: { exchange: '', routingKey: replyTo },
    content,
    properties: {
      ...withDefaults({}, { contentType, contentEncoding, headers }),
      messageId: randomUUID(),
      ...(named !== undefined && { correlationId: named }),
      // No queue takes a direct reply: with `mandatory` the broker delivers it to the requester, and returns it to us as well.
      mandatory: !direct,
      persistent: !direct,
    },
  };
  try {
    await forwarder().forward(copy, { signal, givesUp: isDropped });
  } catch (err) {
    if (!isInstanceQueueError(err) || !isDropped(err)) throw err;
    const why = err.code === 'PUBLISH_RETURNED' ? 'its requester is gone' : 'it cannot be sent';
    log.warn({ err, queue, correlationId: named }, `reply dropped: ${why}`);
  }
}

/** The pseudo-queue of direct reply-to: it stands for the channel itself. https://www.rabbitmq.com/docs/direct-reply-to */
export const REPLY_TO = 'amq.rabbitmq.reply-to';

/**
 * The message that a reply holds. @throws PublishError REPLY_ERROR if the reply says that the work failed; ConsumerError UNDECODABLE
 */
export function readReply<Res>(reply: InboundMessage, codec: Codec<Res, never>, messageId: string): Message<Res> {
  const { properties } = reply;
  const { headers = {} } = properties;
  if (Object.hasOwn(headers, OWN.errorMessage)) throw failed(headers, messageId);
  let body: Res;
  try {
    body = codec.decode(reply.content, properties);
  } catch (cause) {
    const sentence = `Cannot decode the reply to request ${messageId} (content type ${properties.contentType ?? 'none'}, ${String(reply.content.length)} bytes).${reasonOf(cause)}`;
    throw new ConsumerError('UNDECODABLE', REPLY_TO, sentence, { cause });
  }
  return new ArrivedMessage(reply, REPLY_TO, body);
}

function failed(headers: Readonly<Record<string, unknown>>, messageId: string): PublishError {
  const cause = new Error(text(headers[OWN.errorMessage]));
  cause.name = text(headers[OWN.errorName]) || 'Error';
  const sentence = `The responder could not do the work: ${cause.name}${cause.message ? `: ${cause.message}` : ''}`;
  return new PublishError('REPLY_ERROR', messageId, sentence, { cause, maybeDelivered: true });
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
