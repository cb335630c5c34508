import type { PublishError } from '../errors';
import type { Encoded } from './encoded-message';
import type { Sized } from './outbox';
import type { Suspect } from './poison';

/** The result of a `send`. */
export interface Confirmation {
  readonly messageId: string;
  /** How often the message was published. With more than 1, consumers may see a duplicate. */
  readonly attempts: number;
  /** The epoch of the connection that confirmed it. */
  readonly epoch: number;
}

/** Takes the outcome of a message. */
export type Settle<Outcome> = (outcome: Outcome, entry: PendingSend) => void;

const RELEASED = Buffer.alloc(0);

const attemptsOf = new WeakMap<PublishError, number>();

/** How often a message was published before it was rejected with this error. */
export const attemptsBefore = (error: PublishError): number => attemptsOf.get(error) ?? 0;

/** A message from `send` to its settlement, which happens exactly once. */
export class PendingSend implements Sized, Suspect {
  readonly order: number;
  readonly message: Encoded;
  /** Bytes of the body. */
  readonly size: number;
  /** When `send` was called; monotonic, ms. */
  readonly since = performance.now();
  inside = false;
  /** How often it was written. */
  attempts = 0;
  /** How often a queue did not take it. */
  nacks = 0;
  /** The number of attempts after which the broker is known not to have the message: nacked, returned, refused. */
  declined = 0;
  /** The broker's return, which precedes the confirm. */
  returned: { readonly replyCode: number; readonly replyText: string } | undefined;
  /** Was its queue declared again after a return? */
  ensuredAgain = false;
  #settled = false;
  readonly #resolve: Settle<Confirmation>;
  readonly #reject: Settle<PublishError>;
  #cleanUp: (() => void) | undefined;

  constructor(order: number, message: Encoded, resolve: Settle<Confirmation>, reject: Settle<PublishError>) {
    this.order = order;
    this.message = message;
    this.size = message.content.length;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get settled(): boolean {
    return this.#settled;
  }
  get bytes(): number {
    return this.message.bytes;
  }
  get exchange(): string {
    return this.message.exchange;
  }
  /** Does the route lead to one queue at most? Then a nack means that the broker does not have the message. */
  get toOneQueue(): boolean {
    const { exchange, properties } = this.message;
    if (this.message.delayed?.waits === true) return true;
    return exchange === '' && properties?.headers?.['CC'] === undefined && properties?.headers?.['BCC'] === undefined;
  }
  get userId(): string | undefined {
    return this.message.properties?.userId;
  }
  /** May the broker have it? Each attempt that it did not decline may have arrived. */
  get maybeDelivered(): boolean {
    return this.attempts > this.declined;
  }
  /**
   * ms until the message expires (`expiration`); undefined: no limit. An expiration of 0 means "only if a consumer takes it at
   * once", and does not run out while the message waits here.
   */
  get remaining(): number | undefined {
    const { expiration, delayed } = this.message;
    if (expiration === 0) return 0;
    if (expiration === undefined) return undefined;
    // After a delay it counts from the end of that.
    return expiration + (delayed?.total ?? 0) - (performance.now() - this.since);
  }

  /** What to undo when it is settled. */
  onSettled(cleanUp: () => void): void {
    this.#cleanUp = cleanUp;
  }

  confirm(epoch: number): Confirmation | undefined {
    if (!this.#settle()) return undefined;
    const confirmation = { messageId: this.message.messageId, attempts: this.attempts, epoch };
    this.#resolve(confirmation, this);
    return confirmation;
  }

  reject(error: PublishError): boolean {
    if (!this.#settle()) return false;
    attemptsOf.set(error, this.attempts);
    this.#reject(error, this);
    return true;
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    // Timers and the window of the channel may hold the entry for a while. They do not need the body.
    this.message.content = RELEASED;
    this.#cleanUp?.();
    return true;
  }
}
