import {
  firstValueFrom,
  from,
  map,
  type Observable,
  type ObservableInput,
  race,
  ReplaySubject,
  Subject,
  timer,
} from 'rxjs';
import type { Codec } from '../codec';
import { type CloseReport, Closing } from '../connection/member';
import { ChannelError, ConnectionError, type InstanceQueueError, isError, PublishError, sentenceOf } from '../errors';
import { checkOptions } from '../options';
import { newMessageId } from '../producer/outbound-message';
import { attemptsBefore, type Confirmation } from '../producer/pending-send';
import type { Producer } from '../producer/producer';
import { SEND, type SendOptions } from '../producer/producer-options';
import { aborted, maybeDeliveredBefore, producerClosed, topologyRefused } from '../producer/send-errors';
import { firstUnlessAborted } from '../reactive/abort';
import { type KeyedMessage, take, type Taken } from './keyed-message';
import { partitionOf } from './partition-of';
import { partitionKey } from './partition-topology';

export interface KeyedSendsOptions<T> {
  readonly name: string;
  readonly partitions: () => number;
  readonly codec: Codec<unknown, T>;
  /** Its codec leaves bytes as they are: bodies are written when they are sent, and not when their turn comes. */
  readonly producer: Producer<Buffer>;
  /** ms for a message that says nothing else. */
  readonly timeout: number;
  /** Makes sure that the queues exist; `again`: asks the broker even if that was done before. */
  readonly declare: (again: boolean) => Promise<void>;
}

/** Its producer reports what is not confirmed. */
const NOTHING_LEFT: CloseReport = { unsettled: 0, unconfirmed: 0 };
/** ms to which the time that is left is rounded up. */
const COARSE = 100;
/** ms before a message that its partition did not take is sent again: twice as long each time. */
const AGAIN_AFTER = { min: 50, max: 2000 };
/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const NOT_FOUND = 404;
const MAYBE_THERE = 'The broker may have the message from an earlier attempt.';

/** The last message of a key that is under way. */
interface Last {
  /** Settles with it, and not before those in front of it have settled. */
  readonly settled: Promise<unknown>;
  /** When it and those in front of it have settled at the latest; monotonic, ms. */
  readonly by: number;
}

/** Sends to the partitions of keys, one message at a time per key. */
export class KeyedSends<T> {
  readonly #options: KeyedSendsOptions<T>;
  readonly #last = new Map<string, Last>();
  /** Emits when nothing is under way any more, and when the time to wait for that is up. */
  readonly #idle = new Subject<void>();
  readonly #draining = new Closing(
    () =>
      this.#last.size > 0 ? firstValueFrom(this.#idle.pipe(map(() => NOTHING_LEFT))) : Promise.resolve(NOTHING_LEFT),
    () => {
      this.#idle.next();
    },
  );
  /** Emits when nothing can be sent any more, and why. */
  readonly #closed = new ReplaySubject<InstanceQueueError | undefined>(1);
  #routingKeys: readonly string[] = [];
  #ready = false;

  constructor(options: KeyedSendsOptions<T>) {
    this.#options = options;
    const { producer } = options;
    producer.state$.subscribe({
      complete: () => {
        const { state } = producer;
        this.#closed.next(state.status === 'stopped' ? state.cause : undefined);
      },
    });
  }

  send(given: KeyedMessage<T>, options?: SendOptions): Promise<Confirmation> {
    // Not async, which would cost another promise per message.
    let message: Taken;
    try {
      message = take(given, this.#options.codec);
      if (options !== undefined) checkOptions(options, SEND, { of: 'send()' });
    } catch (error) {
      return Promise.reject(isError(error) ? error : new Error(sentenceOf(error)));
    }
    return this.#enqueue(message, options);
  }

  #enqueue(message: Taken, options: SendOptions | undefined): Promise<Confirmation> {
    const { key } = message;
    const began = performance.now();
    const before = this.#last.get(key);
    const first =
      before || !this.#ready ? this.#after(before, message, options, began) : this.#publish(message, options);
    const free = (): void => {
      if (this.#last.get(key) !== last) return;
      this.#last.delete(key);
      if (this.#last.size === 0) this.#idle.next();
    };
    // One promise beside that of the producer: each costs a tenth of the work for a message.
    const sent: Promise<Confirmation> = first.then(
      (confirmation) => {
        free();
        return confirmation;
      },
      (error: unknown) => this.#recover(error, message, options, began).finally(before ? undefined : free),
    );
    // One that gives up while it waits leaves its place to the next, which waits for those in front of both.
    const by = Math.max(before?.by ?? 0, this.#deadline(options, began));
    const last: Last = { settled: before ? sent.then(nothing, () => before.settled.then(free, free)) : sent, by };
    this.#last.set(key, last);
    return sent;
  }

  /** Resolves when nothing is under way any more, after `ms` at the latest. A later call may shorten the time that is left. */
  drained(ms: number): Promise<CloseReport> {
    return this.#draining.within(ms);
  }

  /** Waits for confirms, then rejects what remains. A later call may shorten the time that is left. */
  async close(drainTimeout: number): Promise<CloseReport> {
    const deadline = performance.now() + drainTimeout;
    await this.drained(drainTimeout);
    this.#closed.next(undefined);
    return this.#options.producer.close({ drainTimeout: Math.max(0, deadline - performance.now()) });
  }

  /** Behind the last message of its key. The deadline runs from the call. */
  async #after(
    before: Last | undefined,
    message: Taken,
    options: SendOptions | undefined,
    began: number,
  ): Promise<Confirmation> {
    const deadline = this.#deadline(options, began);
    const limits = (): Limits => ({
      messageId: message.said.messageId ?? newMessageId(),
      deadline,
      signal: options?.signal,
      closed$: this.#closed,
      maybeDelivered: false,
    });
    const turn = before?.settled.catch(nothing);
    // Earlier messages of this key settle before this deadline, unless their own is later.
    if (before && (options?.signal || deadline < before.by))
      await within(
        limits(),
        turn ?? [undefined],
        'The message of the same key in front of it was not confirmed in time.',
      );
    // Without a wait where nothing is in front: what the first message needs is asked for before `send` returns, and so before a close.
    else if (turn) await turn;
    if (!this.#ready) await this.#declare(false, limits());
    return this.#publish(message, { ...options, timeout: remaining(deadline) });
  }

  #deadline(options: SendOptions | undefined, began: number): number {
    return began + (options?.timeout ?? this.#options.timeout);
  }

  #publish({ key, said }: Taken, options: SendOptions | undefined): Promise<Confirmation> {
    const { name, partitions, producer } = this.#options;
    const count = partitions();
    if (this.#routingKeys.length !== count)
      this.#routingKeys = Array.from({ length: count }, (_, partition) => partitionKey(partition, count));
    const routingKey = this.#routingKeys[partitionOf(key, count)] ?? '';
    return producer.send({ ...said, exchange: name, routingKey }, options);
  }

  /** Publishes again after a nack, until the deadline. If there was no queue, declares all of them and publishes once more. */
  async #recover(
    first: unknown,
    { key, said }: Taken,
    options: SendOptions | undefined,
    began: number,
  ): Promise<Confirmation> {
    const deadline = this.#deadline(options, began);
    let failed = first;
    let declared = false;
    let attempts = 0;
    let maybeDelivered = false;
    for (let delay = AGAIN_AFTER.min; ; delay = Math.min(2 * delay, AGAIN_AFTER.max)) {
      if (!(failed instanceof PublishError)) throw failed;
      attempts += attemptsBefore(failed);
      const error: PublishError = maybeDelivered ? maybeDeliveredBefore(failed, MAYBE_THERE) : failed;
      const { code, messageId } = error;
      maybeDelivered = error.maybeDelivered;
      const limits = { messageId, deadline, signal: options?.signal, closed$: this.#closed, maybeDelivered };
      if (isMissing(error) && !declared) {
        // A queue was deleted, or all of them were made anew in another number.
        declared = true;
        await this.#declare(true, limits);
      } else if (code !== 'PUBLISH_NACKED' || performance.now() + delay > deadline) throw error;
      else await within(limits, timer(delay), 'No queue took it in time.');
      try {
        const again = { key, said: { ...said, messageId } };
        const confirmation = await this.#publish(again, { ...options, timeout: remaining(deadline) });
        return { ...confirmation, attempts: attempts + confirmation.attempts };
      } catch (next) {
        failed = next;
      }
    }
  }

  /** Rejects: PublishError PUBLISH_REFUSED, PUBLISH_CLOSED, PUBLISH_TIMEOUT, PUBLISH_ABORTED; OptionsError. */
  async #declare(again: boolean, limits: Limits): Promise<void> {
    const { messageId, maybeDelivered } = limits;
    try {
      await within(limits, this.#options.declare(again), 'The partitions could not be declared in time.');
    } catch (error) {
      if (error instanceof ChannelError) throw topologyRefused(messageId, error, maybeDelivered);
      if (error instanceof ConnectionError) throw producerClosed(messageId, error, maybeDelivered);
      throw error;
    }
    this.#ready = true;
  }
}

const nothing = (): void => undefined;

/** How long a message that was not sent yet may wait. */
interface Limits {
  readonly messageId: string;
  /** Monotonic, ms. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  readonly closed$: Observable<InstanceQueueError | undefined>;
  /** May the broker have it from an earlier attempt? */
  readonly maybeDelivered: boolean;
}

/** Rejects: as `awaited` does; PublishError PUBLISH_TIMEOUT, with this reason; PublishError PUBLISH_ABORTED, PUBLISH_CLOSED. */
async function within(
  { messageId, deadline, signal, closed$, maybeDelivered }: Limits,
  awaited: ObservableInput<unknown>,
  why: string,
): Promise<void> {
  const late$ = timer(Math.max(1, deadline - performance.now())).pipe(
    map(() => {
      const sentence = `${why} ${maybeDelivered ? MAYBE_THERE : 'The message was not sent.'}`;
      throw new PublishError('PUBLISH_TIMEOUT', messageId, sentence, { maybeDelivered });
    }),
  );
  const over$ = closed$.pipe(
    map((cause) => {
      throw producerClosed(messageId, cause, maybeDelivered);
    }),
  );
  const first$ = race(from(awaited), late$, over$);
  try {
    await (signal ? firstUnlessAborted(first$, signal) : firstValueFrom(first$));
  } catch (error) {
    throw signal?.aborted === true && error === signal.reason ? aborted(messageId, signal, maybeDelivered) : error;
  }
}

/** ms until the deadline. Rounded up while they are many: the producer keeps a list of deadlines per distinct timeout. */
function remaining(deadline: number): number {
  const left = Math.max(1, deadline - performance.now());
  return left > 10 * COARSE ? Math.ceil(left / COARSE) * COARSE : left;
}

/** No queue took the message, or there is no exchange. */
const isMissing = ({ code, replyCode }: PublishError): boolean =>
  code === 'PUBLISH_RETURNED' || replyCode === NOT_FOUND;
