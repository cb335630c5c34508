import { InstanceQueueError, PublishError, keepName } from '../errors';
import type { MessageEncoder, Encoded } from './encoded-message';
import type { BatchSize } from './outbox';
import type { Confirmation, PendingSend } from './pending-send';
import type { AnyMessage } from './outbound-message';

/** Some messages of a `sendAll` were not confirmed. Its `cause` is the first of their errors. */
export class SendAllError extends InstanceQueueError<'PUBLISH_INCOMPLETE'> {
  static {
    keepName(this, 'SendAllError');
  }
  /** What became of each message, in the order of the messages. */
  readonly outcomes: readonly (Confirmation | PublishError)[];
  /** The errors among them. */
  readonly failures: readonly PublishError[];
  constructor(outcomes: readonly (Confirmation | PublishError)[]) {
    const failures = outcomes.filter((outcome) => outcome instanceof PublishError);
    const [first] = failures;
    const many = `${String(failures.length)} of ${String(outcomes.length)} messages`;
    super('PUBLISH_INCOMPLETE', `${many} were not confirmed. The first: ${first?.message ?? ''}`, {
      cause: first,
      retryable: failures.every(({ retryable }) => retryable),
    });
    this.outcomes = outcomes;
    this.failures = failures;
  }
}

/** The messages of one `sendAll`: settles one promise when the last of them has settled. */
export class Batch {
  readonly #outcomes: (Confirmation | PublishError)[];
  readonly #first: number;
  readonly #resolve: (confirmations: readonly Confirmation[]) => void;
  readonly #reject: (error: SendAllError) => void;
  #open: number;

  /** `first` is the `order` of the first message; the others follow it without a gap. */
  constructor(
    size: number,
    first: number,
    resolve: (confirmations: readonly Confirmation[]) => void,
    reject: (error: SendAllError) => void,
  ) {
    this.#outcomes = new Array<Confirmation | PublishError>(size);
    this.#open = size;
    this.#first = first;
    this.#resolve = resolve;
    this.#reject = reject;
    if (size === 0) resolve([]);
  }

  /** Settles one message. */
  readonly settle = (outcome: Confirmation | PublishError, { order }: PendingSend): void => {
    this.#outcomes[order - this.#first] = outcome;
    if (--this.#open > 0) return;
    if (this.#outcomes.every(isConfirmation)) this.#resolve(this.#outcomes);
    else this.#reject(new SendAllError(this.#outcomes));
  };
}

const isConfirmation = (outcome: Confirmation | PublishError): outcome is Confirmation =>
  !(outcome instanceof PublishError);

/** Encodes all messages before any is sent. @throws PublishError with the first message at fault */
export function encodeAll<T>(messages: readonly AnyMessage<T>[], encoder: MessageEncoder<T>): readonly Encoded[] {
  const given: unknown = messages;
  if (!Array.isArray(given))
    throw new PublishError(
      'PUBLISH_INVALID',
      '',
      `sendAll() expects an array of messages, got ${given === null ? 'null' : typeof given}.`,
    );
  // `map` would leave out the holes of a sparse array.
  return Array.from(messages, (message, index) => {
    try {
      return encoder.encode(message);
    } catch (error) {
      if (!(error instanceof PublishError)) throw error;
      const which = `Message ${String(index + 1)} of ${String(messages.length)}, so that none was sent`;
      throw new PublishError(error.code, error.messageId, `${which}: ${error.message}`, { cause: error });
    }
  });
}

export function sizeOf(batch: readonly Encoded[]): BatchSize {
  const sizes = batch.map(({ bytes }) => bytes);
  return {
    largest: sizes.reduce((largest, bytes) => Math.max(largest, bytes), 0),
    bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    count: batch.length,
  };
}

/** One `send` for each message, where each is traced. They were encoded before: none is wrong. */
export async function eachOf<T>(
  messages: readonly AnyMessage<T>[],
  send: (message: AnyMessage<T>) => Promise<Confirmation>,
): Promise<readonly Confirmation[]> {
  const settled = await Promise.allSettled(messages.map(send));
  const outcomes = settled.map((outcome) => {
    if (outcome.status === 'fulfilled') return outcome.value;
    if (outcome.reason instanceof PublishError) return outcome.reason;
    throw outcome.reason;
  });
  if (!outcomes.every(isConfirmation)) throw new SendAllError(outcomes);
  return outcomes;
}
