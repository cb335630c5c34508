import { randomUUID } from 'node:crypto';
import type { Message } from '../consumer/delivery';
import { PublishError, type PublishErrorCode } from '../errors';
import type { InboundMessage } from '../transport/transport';
import type { OutboundMessage } from '../producer/outbound-message';

/** What is asked, by whom, and how long. */
export interface Asked {
  readonly message: OutboundMessage;
  readonly messageId: string;
  /** ms from the call to the reply. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

/** One request from its call to its settlement, which happens exactly once. */
export class PendingRequest {
  /** Of our own making: replies to others, and to earlier requests, can never be taken for the one to this. */
  readonly correlationId: string = randomUUID();
  /** At the broker, the reply is what is missing. */
  confirmed = false;
  /** Its time is up; it is still heard how sending it ended. */
  overdue = false;
  /** When it was asked; monotonic, ms. */
  readonly since = performance.now();
  readonly #answer: (raw: InboundMessage) => void;
  readonly #reject: (error: unknown) => void;
  #settled = false;
  #cleanUp: () => void = () => undefined;

  constructor(
    readonly asked: Asked,
    answer: (raw: InboundMessage) => void,
    reject: (error: unknown) => void,
  ) {
    this.#answer = answer;
    this.#reject = reject;
  }

  /** The reader of the reply decides whether it is a result or a failure. */
  static promise<Res>(
    asked: Asked,
    read: (raw: InboundMessage) => Message<Res>,
  ): { readonly pending: PendingRequest; readonly reply: Promise<Message<Res>> } {
    let settle: { readonly resolve: (message: Message<Res>) => void; readonly reject: (error: unknown) => void };
    const reply = new Promise<Message<Res>>((resolve, reject) => (settle = { resolve, reject }));
    const answer = (raw: InboundMessage): void => {
      try {
        settle.resolve(read(raw));
      } catch (error) {
        settle.reject(error);
      }
    };
    return {
      reply,
      pending: new PendingRequest(asked, answer, (error) => {
        settle.reject(error);
      }),
    };
  }

  get settled(): boolean {
    return this.#settled;
  }
  /** ms; at least 1, which is what a deadline can be. */
  get left(): number {
    return Math.max(1, this.since + this.asked.timeout - performance.now());
  }

  /** What to undo when it is settled. */
  onSettled(cleanUp: () => void): void {
    this.#cleanUp = cleanUp;
  }

  answer(raw: InboundMessage): void {
    if (this.#settle()) this.#answer(raw);
  }

  reject(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  /** The broker has it: the work may have been done. */
  giveUp(code: PublishErrorCode, sentence: string, cause?: unknown): void {
    this.reject(new PublishError(code, this.asked.messageId, sentence, { cause, maybeDelivered: true }));
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#cleanUp();
    return true;
  }
}
