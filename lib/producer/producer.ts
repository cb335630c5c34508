import { EventEmitter } from 'node:events';
import {
  distinctUntilChanged,
  filter,
  firstValueFrom,
  map,
  startWith,
  timer,
  type Observable,
  type Subscription,
} from 'rxjs';
import { auto, type Codec } from '../codec';
import { drainTimeoutOf, type Connection } from '../connection/connection';
import type { CloseOptions, CloseReport, ConnectionCore } from '../connection/core';
import { isolated } from '../connection/isolated';
import { InstanceQueueError, PublishError, type PublishErrorCode } from '../errors';
import {
  DEFAULTS,
  abortSignal,
  boolean,
  checkOptions,
  codec,
  duration,
  integer,
  object,
  oneOf,
  type Shape,
} from '../options';
import { checkTopology, type Topology } from '../topology';
import { Aborts } from './aborts';
import { confirmChannels } from './confirm-channels';
import { Deadlines } from './deadlines';
import { Entry, type Confirmation } from './entry';
import { encode, givenId, type OutboundMessage } from './outbound';
import { Pump } from './pump';

/** For one message. */
export interface SendOptions {
  /** ms from the call to the confirm, waiting included. @default the producer's `timeout` */
  readonly timeout?: number;
  /** Aborting rejects the send (PUBLISH_ABORTED); what is on the wire cannot be called back. */
  readonly signal?: AbortSignal;
}

/** What is on its way. A gauge. */
export interface OutboxState {
  /** Waiting for the wire. */
  readonly queued: number;
  /** On the wire, not confirmed. */
  readonly unconfirmed: number;
  /** Bytes of what is queued. */
  readonly bytes: number;
}

/** How much may wait for the wire, and what happens beyond. */
export interface OutboxOptions {
  /** Messages at most. @default 10 000 */
  readonly limit?: number;
  /** Bytes at most. @default 64 MiB */
  readonly bytes?: number;
  /**
   * What happens to a message beyond: it waits its turn outside, its deadline running; or it is rejected (OUTBOX_FULL);
   * or it takes the place of the oldest, which is rejected. @default 'wait'
   */
  readonly overflow?: 'wait' | 'reject' | 'drop-oldest';
}

/** What holds for every message of a producer. */
export interface ProducerOptions<T = unknown> {
  /** How bodies are written. @default auto */
  readonly codec?: Codec<T>;
  /** Declared before the channel is used, and again after each reconnect. */
  readonly topology?: Topology;
  /** `false`: declare and check nothing, not even the queue of a `queue` route. @default true */
  readonly declare?: boolean;
  /** Messages published and not confirmed, at most. @default 1000 */
  readonly maxInFlight?: number;
  /** ms from `send` to the confirm. @default 30 000 */
  readonly timeout?: number;
  /** Messages that no queue takes come back and reject. @default true */
  readonly mandatory?: boolean;
  /** Messages survive a restart of the broker, in durable queues. @default true */
  readonly persistent?: boolean;
  /** In flight when the link was lost, the broker may have it or not: send it again (same messageId) or reject. @default 'resend' */
  readonly onUnknown?: 'resend' | 'reject';
  /** The broker said "not now": again with backoff until the deadline, or reject at once. @default 'resend' */
  readonly onNack?: 'resend' | 'reject';
  /** Bounds of what waits for the wire. */
  readonly outbox?: OutboxOptions;
}

/** What happens to messages on their way. `dropped`: by overflow or expiry; its `send` rejected too. */
export interface ProducerEvents {
  confirmed: [confirmation: Confirmation];
  resent: [messageId: string, attempt: number];
  returned: [cause: PublishError];
  dropped: [cause: PublishError];
}

export const PRODUCER: Shape<ProducerOptions> = {
  codec,
  topology: object,
  declare: boolean,
  maxInFlight: integer(1, 65_535),
  timeout: duration(1),
  mandatory: boolean,
  persistent: boolean,
  onUnknown: oneOf('resend', 'reject'),
  onNack: oneOf('resend', 'reject'),
  outbox: object,
};
const OUTBOX: Shape<OutboxOptions> = {
  limit: integer(1, Number.MAX_SAFE_INTEGER),
  bytes: integer(1, Number.MAX_SAFE_INTEGER),
  overflow: oneOf('wait', 'reject', 'drop-oldest'),
};
export const SEND: Shape<SendOptions> = { timeout: duration(1), signal: abortSignal };

/**
 * Sends messages with confirms, over one long-lived channel. While the connection is down, blocked or its socket full
 * they wait in a bounded outbox; what was in flight when the link was lost is sent again, in order, with the same messageId.
 *
 * @example
 * const producer = new Producer(connection);
 * await producer.send({ queue: 'orders', body: { id: 1 } });
 */
export class Producer<T = unknown> extends EventEmitter<ProducerEvents> implements AsyncDisposable {
  readonly #core: ConnectionCore;
  readonly #codec: Codec<T>;
  readonly #defaults: { readonly persistent: boolean; readonly mandatory: boolean };
  readonly #timeout: number;
  readonly #overflow: 'wait' | 'reject' | 'drop-oldest';
  readonly #pump: Pump;
  readonly #deadlines: Deadlines<Entry>;
  readonly #aborts: Aborts<Entry>;
  readonly #topology: Topology | undefined;
  readonly #unregister: () => void;
  #channels: Subscription | undefined;
  #order = 0;
  #ended: InstanceQueueError | 'closed' | undefined;
  #closing: Promise<CloseReport> | undefined;
  #forced: () => void = () => undefined;

  /** @throws OptionsError if an option cannot be right */
  constructor(connection: Connection, options: ProducerOptions<T> = {}) {
    super();
    checkOptions<ProducerOptions>(options, PRODUCER, { of: 'a producer' });
    if (options.outbox) checkOptions(options.outbox, OUTBOX, { of: '`outbox`', path: 'outbox.' });
    if (options.topology) checkTopology(options.topology);
    this.#core = connection.core;
    this.#codec = options.codec ?? (auto as Codec<T>);
    const { persistent = DEFAULTS.persistent, mandatory = DEFAULTS.mandatory, declare = DEFAULTS.declare } = options;
    this.#defaults = { persistent, mandatory };
    this.#timeout = options.timeout ?? DEFAULTS.timeout;
    this.#overflow = options.outbox?.overflow ?? DEFAULTS.outbox.overflow;
    this.#topology = declare ? options.topology : undefined;
    this.#pump = new Pump(
      this.#core,
      {
        declare,
        topology: () => connection.core.known(options.topology),
        maxInFlight: options.maxInFlight ?? DEFAULTS.maxInFlight,
        onUnknown: options.onUnknown ?? DEFAULTS.onUnknown,
        onNack: options.onNack ?? DEFAULTS.onNack,
        outbox: {
          limit: options.outbox?.limit ?? DEFAULTS.outbox.limit,
          bytes: options.outbox?.bytes ?? DEFAULTS.outbox.bytes,
        },
      },
      {
        confirmed: (confirmation) => {
          isolated(() => this.emit('confirmed', confirmation));
        },
        resent: (messageId, attempt) => {
          isolated(() => this.emit('resent', messageId, attempt));
        },
        returned: (cause) => {
          isolated(() => this.emit('returned', cause));
        },
        dropped: (cause) => {
          isolated(() => this.emit('dropped', cause));
        },
      },
    );
    this.#deadlines = new Deadlines((entry) => {
      this.#timedOut(entry);
    });
    this.#aborts = new Aborts((entry, signal) => {
      if (entry.reject(aborted(entry.message.messageId, signal, entry.maybeDelivered))) this.#pump.settled(entry);
    });
    this.#unregister = this.#core.register({ direction: 'outbound', close: (within) => this.#close(within) });
  }

  /**
   * Hot. Emits: the present gauges, then whenever they changed. Completes: when closed. Errors: never.
   */
  get outbox$(): Observable<OutboxState> {
    return this.#pump.changed$.pipe(
      startWith(undefined),
      map(() => this.outbox),
      distinctUntilChanged((a, b) => a.queued === b.queued && a.unconfirmed === b.unconfirmed && a.bytes === b.bytes),
    );
  }
  /** The present gauges. */
  get outbox(): OutboxState {
    const { outbox, unconfirmed, nacked } = this.#pump;
    return { queued: outbox.queued + nacked.length, unconfirmed, bytes: outbox.bytes };
  }

  /**
   * Sends one message; settles exactly once. Resolves when the broker has confirmed it.
   * Rejects: PublishError PUBLISH_INVALID (cannot be sent as it is), PUBLISH_REFUSED (the broker closed the channel over
   * it), PUBLISH_RETURNED (no queue took it), PUBLISH_TIMEOUT, PUBLISH_ABORTED, PUBLISH_UNKNOWN and PUBLISH_NACKED (by
   * policy), OUTBOX_FULL, PUBLISH_CLOSED; OptionsError for wrong options. `maybeDelivered` says whether the broker may
   * have it all the same.
   */
  async send(message: OutboundMessage<T>, options: SendOptions = {}): Promise<Confirmation> {
    checkOptions(options, SEND, { of: 'send()' });
    if (this.#ended !== undefined || this.#closing) throw this.#closedError(givenId(message) ?? '');
    const encoded = encode(message, this.#codec, this.#defaults);
    const { messageId, bytes } = encoded;
    const { signal, timeout = this.#timeout } = options;
    if (signal?.aborted) throw aborted(messageId, signal, false);
    if (!this.#pump.outbox.fits(bytes) || (this.#overflow === 'reject' && !this.#pump.outbox.hasRoom(bytes))) {
      throw this.#full(messageId, bytes);
    }
    // The connection may be closed for good, which is heard of in the moment of asking.
    if (!this.#start()) throw this.#closedError(messageId);
    return new Promise((resolve, reject) => {
      const entry = new Entry(this.#order++, encoded, resolve, reject);
      if (this.#overflow === 'drop-oldest') this.#makeRoom(bytes);
      if (signal) entry.onSettled(this.#aborts.add(entry, signal));
      this.#deadlines.add(entry, timeout);
      this.#pump.outbox.push(entry);
      this.#pump.pump();
    });
  }

  /** Flushes, then rejects what is left (PUBLISH_CLOSED). Idempotent; always resolves, within `drainTimeout`. */
  close(options?: CloseOptions): Promise<CloseReport> {
    return this.#close(drainTimeoutOf(options, this.#core.drainTimeout));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Opens what is needed; `false`: it is all over. */
  #start(): boolean {
    if (this.#channels) return true;
    this.#core.open();
    this.#channels = confirmChannels(this.#core, this.#pump, {
      topology: this.#topology,
      refused: (cause) => {
        this.#rejectAll('PUBLISH_REFUSED', 'The broker refused the topology of this producer.', cause);
      },
    }).subscribe({
      error: (error: unknown) => {
        this.#end(error instanceof InstanceQueueError ? error : this.#core.closedError());
      },
      complete: () => {
        this.#end(this.#core.closedError());
      },
    });
    return this.#ended === undefined;
  }

  #makeRoom(bytes: number): void {
    const { outbox } = this.#pump;
    while (!outbox.hasRoom(bytes)) {
      const oldest = outbox.shift();
      if (!oldest) return;
      const { messageId } = oldest.message;
      const cause = new PublishError(
        'OUTBOX_FULL',
        messageId,
        'Dropped from a full outbox to make room for a newer message.',
        {
          maybeDelivered: oldest.maybeDelivered,
        },
      );
      this.#core.counters.dropped++;
      this.#core.log.warn({ messageId, err: cause }, 'dropped');
      if (oldest.reject(cause)) isolated(() => this.emit('dropped', cause));
    }
  }

  #full(messageId: string, bytes: number): PublishError {
    const { queued, bytes: held } = this.outbox;
    const message = `The outbox is full: it holds ${String(queued)} messages, ${String(held)} bytes; this message takes ${String(bytes)} more. See \`outbox\`.`;
    return new PublishError('OUTBOX_FULL', messageId, message);
  }

  #timedOut(entry: Entry): void {
    const { status } = this.#core.state;
    const where = entry.maybeDelivered
      ? 'It was sent; the broker may have it.'
      : this.#core.blocked === undefined
        ? `It was not sent; the connection is ${status}.`
        : 'It was not sent; the broker blocks publishing.';
    const code: PublishErrorCode = entry.nacks > 0 ? 'PUBLISH_NACKED' : 'PUBLISH_TIMEOUT';
    const waited = `${String(Math.round(performance.now() - entry.since))} ms`;
    const message =
      code === 'PUBLISH_NACKED'
        ? `The broker did not take the message (nack) within ${waited}: the queue is full, or has no leader.`
        : `The message was not confirmed within ${waited}. ${where}`;
    const error = new PublishError(code, entry.message.messageId, message, {
      ...(this.#core.state.status === 'reconnecting' && { cause: this.#core.state.cause }),
      maybeDelivered: entry.maybeDelivered,
    });
    if (!entry.reject(error)) return;
    this.#core.counters.timedOut++;
    this.#pump.settled(entry);
  }

  #closedError(messageId: string, maybeDelivered = false): PublishError {
    const cause = this.#ended === 'closed' ? undefined : this.#ended;
    return new PublishError('PUBLISH_CLOSED', messageId, `The producer is closed.${cause ? ` ${cause.message}` : ''}`, {
      cause,
      maybeDelivered,
    });
  }

  #close(within: number): Promise<CloseReport> {
    const deadline = timer(within).subscribe(() => {
      this.#forced();
    });
    this.#closing ??= this.#flush();
    void this.#closing.then(() => {
      deadline.unsubscribe();
    });
    return this.#closing;
  }

  async #flush(): Promise<CloseReport> {
    const idle = (): boolean => this.#pump.idle;
    if (!idle() && this.#ended === undefined) {
      const forced = new Promise<void>((resolve) => {
        this.#forced = resolve;
      });
      const flushed = firstValueFrom(this.#pump.changed$.pipe(filter(idle)), { defaultValue: undefined });
      await Promise.race([flushed, forced]);
    }
    const unconfirmed = this.#left().length;
    this.#end('closed');
    return { unsettled: 0, unconfirmed };
  }

  #left(): readonly Entry[] {
    const { outbox, nacked, inFlight } = this.#pump;
    return [...inFlight, ...nacked, ...outbox.entries()].filter(({ settled }) => !settled);
  }

  #end(why: InstanceQueueError | 'closed'): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    const left = this.#left();
    // All, before any place becomes free: it must not be taken by a message about to be rejected.
    for (const entry of left) entry.reject(this.#closedError(entry.message.messageId, entry.maybeDelivered));
    this.#channels?.unsubscribe();
    for (const entry of left) this.#pump.settled(entry);
    this.#pump.stop();
    this.#deadlines.clear();
    this.#unregister();
  }

  #rejectAll(code: PublishErrorCode, sentence: string, cause: InstanceQueueError): void {
    this.#core.log.error({ err: cause }, 'topology refused');
    for (const entry of this.#left()) {
      const { messageId } = entry.message;
      const error = new PublishError(code, messageId, `${sentence} ${cause.message}`, {
        cause,
        replyCode: cause.replyCode,
      });
      if (entry.reject(error)) this.#pump.settled(entry);
    }
  }
}

function aborted(messageId: string, signal: AbortSignal, maybeDelivered: boolean): PublishError {
  const where = maybeDelivered ? 'after it was sent; the broker may have it' : 'before the broker had it';
  return new PublishError('PUBLISH_ABORTED', messageId, `The send was aborted ${where}.`, {
    cause: signal.reason,
    maybeDelivered,
  });
}
