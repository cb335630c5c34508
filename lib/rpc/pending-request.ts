import { randomUUID } from 'node:crypto';
import type { Message } from '../consumer/delivery';
import { PublishError, type PublishErrorCode } from '../errors';
import type { OutboundMessage, ContractMessage } from '../producer/outbound-message';
import { maybeDeliveredBefore } from '../producer/send-errors';
import type { InboundMessage } from '../transport/transport';

/** The arguments of a request. */
export interface RequestCall {
  readonly message: OutboundMessage | ContractMessage;
  readonly messageId: string;
  /** ms from the call to the reply. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

/** One request from its call to its settlement, which happens exactly once. */
export class PendingRequest {
  /** Never the caller's: replies to other requests, and to earlier ones, must not be taken for the reply to this one. */
  readonly correlationId: string = randomUUID();
  /** The broker has confirmed it; only the reply is missing. */
  confirmed = false;
  /** The broker confirmed an earlier attempt, and the channel for its reply was lost: it may have been worked on. */
  confirmedBefore = false;
  /** Its time is up, but the broker has not confirmed it yet: whether it may have been worked on is not known. */
  overdue = false;
  /** When it was called; monotonic, ms. */
  readonly since = performance.now();
  readonly #answer: (reply: InboundMessage) => void;
  readonly #reject: (error: unknown) => void;
  #settled = false;
  #cleanUp: () => void = () => undefined;

  constructor(
    readonly call: RequestCall,
    answer: (reply: InboundMessage) => void,
    reject: (error: unknown) => void,
  ) {
    this.#answer = answer;
    this.#reject = reject;
  }

  /** A request, and the promise of its reply. `read` decides whether a reply is a result, or throws if it is a failure. */
  static promise<Res>(
    call: RequestCall,
    read: (reply: InboundMessage) => Message<Res>,
  ): { readonly pending: PendingRequest; readonly reply: Promise<Message<Res>> } {
    let settle: { readonly resolve: (message: Message<Res>) => void; readonly reject: (error: unknown) => void };
    const reply = new Promise<Message<Res>>((resolve, reject) => (settle = { resolve, reject }));
    const answer = (message: InboundMessage): void => {
      try {
        settle.resolve(read(message));
      } catch (error) {
        settle.reject(error);
      }
    };
    return {
      reply,
      pending: new PendingRequest(call, answer, (error) => {
        settle.reject(error);
      }),
    };
  }

  get settled(): boolean {
    return this.#settled;
  }
  /** Whole ms until its time is up, which most requests share when they are sent; at least 1, the shortest deadline there is. */
  get left(): number {
    return Math.max(1, Math.ceil(this.since + this.call.timeout - performance.now()));
  }

  /** Called once, when it is settled. */
  onSettled(cleanUp: () => void): void {
    this.#cleanUp = cleanUp;
  }

  answer(reply: InboundMessage): void {
    if (this.#settle()) this.#answer(reply);
  }

  reject(error: unknown): void {
    if (this.#settle()) this.#reject(this.confirmedBefore ? mayHaveArrived(error) : error);
  }

  /** Rejects a request that the broker has: it may have been worked on. */
  giveUp(code: PublishErrorCode, sentence: string, cause?: unknown): void {
    this.reject(new PublishError(code, this.call.messageId, sentence, { cause, maybeDelivered: true }));
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#cleanUp();
    return true;
  }
}

/** The same error, of a request of which an earlier attempt arrived. */
function mayHaveArrived(error: unknown): unknown {
  if (!(error instanceof PublishError)) return error;
  return maybeDeliveredBefore(error, 'An earlier attempt was confirmed; it may have been worked on.');
}
