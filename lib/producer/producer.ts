import { type Observable, Subject, Subscription, filter, firstValueFrom, skip } from 'rxjs';
import { Deadlines } from '../collections/deadlines';
import { Counters } from '../counters';
import { type Connection, coreOf } from '../connection/connection';
import type { ConnectionCore } from '../connection/connection-core';
import { drainTimeoutOf } from '../connection/connection-options';
import { type CloseOptions, type CloseReport, Closing } from '../connection/member';
import type { Messages, RoutingKey } from '../contract-codecs';
import { tellState } from '../diagnostics';
import { InstanceQueueError, type PublishError } from '../errors';
import { checkOptions } from '../options';
import { StateSubject } from '../reactive/state-subject';
import { TypedEmitter } from '../reactive/typed-emitter';
import type { Topology } from '../topology';
import {
  type AnyMessage,
  type Checked,
  type ContractMessage,
  type ExchangeMessage,
  type OutboundMessage,
  type QueueMessage,
  givenId,
} from './outbound-message';
import { type Encoded, MessageEncoder, delayingExchanges } from './encoded-message';
import type { BatchSize } from './outbox';
import { type Confirmation, PendingSend, type Settle } from './pending-send';
import { type ProducerEvents, areSendsTraced, emitting, tracedSend } from './producer-events';
import {
  type ProducerInside,
  type ProducerOptions,
  SEND,
  type SendOptions,
  resolveProducerOptions,
} from './producer-options';
import type { OutboxState, ProducerState } from './producer-state';
import { type Prepare, publishingLoop } from './publishing-loop';
import { Pump } from './pump';
import { Batch, eachOf, encodeAll, sizeOf } from './send-all';
import { aborted, producerClosed } from './send-errors';

/**
 * Sends messages with confirms, over one long-lived channel. While the connection is down or blocked, or its socket is full, they
 * wait in a bounded outbox. Messages in flight when the link was lost are sent again, in order, with the same messageId.
 *
 * @example
 * const producer = new Producer(connection);
 * await producer.send({ queue: 'orders', body: { id: 1 } });
 */
export class Producer<T = unknown> extends TypedEmitter<ProducerEvents> implements AsyncDisposable {
  readonly #core: ConnectionCore;
  readonly #encoder: MessageEncoder<T>;
  readonly #timeout: number;
  readonly #events = emitting(this);
  readonly #pump: Pump;
  readonly #deadlines: Deadlines<PendingSend>;
  readonly #topology: Topology | undefined;
  readonly #prepare: Prepare | undefined;
  readonly #internal: boolean;
  readonly #state = new StateSubject<ProducerState>(Object.freeze({ status: 'idle' }));
  readonly #closed = new Subject<never>();
  readonly #unregister: () => void;
  readonly #channels = new Subscription();
  #order = 0;
  #ended: InstanceQueueError | 'closed' | undefined;
  #forced: () => void = () => undefined;
  readonly #closing = new Closing(
    () => this.#flush(),
    () => {
      this.#forced();
    },
  );

  /** @throws OptionsError if an option cannot be right */
  constructor(connection: Connection, options?: ProducerOptions<T>);
  /** @internal */
  constructor(connection: Connection, options: ProducerOptions<T>, inside: ProducerInside);
  constructor(connection: Connection, options: ProducerOptions<T> = {}, inside: ProducerInside = {}) {
    super();
    const { codec, declare, timeout, outbox, topology, ...rest } = resolveProducerOptions(options);
    this.#core = coreOf(connection);
    const defaults = { ...rest, delaying: delayingExchanges(topology) };
    this.#encoder = new MessageEncoder(this.#core, codec, defaults, inside.names);
    this.#timeout = timeout;
    this.#prepare = inside.prepare;
    this.#internal = inside.internal ?? false;
    const counters = this.#internal ? new Counters() : this.#core.counters;
    this.#topology = declare ? topology : undefined;
    this.#pump = new Pump(
      this.#core,
      { ...rest, declare, outbox, counters, topology: () => connection.core.known(topology) },
      this.#events,
    );
    this.#deadlines = new Deadlines((entry) => {
      this.#pump.timedOut(entry);
    });
    this.state$.pipe(skip(1)).subscribe((state) => {
      tellState({ of: 'producer', connection: this.#core.name, state });
    });
    this.#unregister = this.#core.register({ direction: 'outbound', close: (within) => this.#close(within) });
  }

  /** Hot. Emits: the present state, then each new one. Completes: after `stopped`. Errors: never. */
  get state$(): Observable<ProducerState> {
    return this.#state.value$;
  }
  /** The present state. */
  get state(): ProducerState {
    return this.#state.value;
  }

  /** Hot. Emits: the present gauges, then each change. Completes: when closed. Errors: never. */
  get outbox$(): Observable<OutboxState> {
    return this.#pump.gauges$;
  }
  /** @internal Completes on `close`, even if it had given up before. */
  get closed$(): Observable<never> {
    return this.#closed;
  }
  /** The present gauges. */
  get outbox(): OutboxState {
    return this.#pump.gauges;
  }

  /**
   * Sends one message; settles exactly once. Resolves when the broker has confirmed it.
   * Rejects: PublishError PUBLISH_INVALID (cannot be sent as it is), PUBLISH_REFUSED (the broker closed the channel over
   * it), PUBLISH_RETURNED (no queue took it), PUBLISH_TIMEOUT, PUBLISH_ABORTED, PUBLISH_UNKNOWN and PUBLISH_NACKED (by
   * policy), OUTBOX_FULL, PUBLISH_CLOSED; OptionsError for wrong options. `maybeDelivered` says whether the broker may
   * have the message nevertheless.
   *
   * The codec of a contract writes messages to it, whatever the codec of the producer. The queue or exchange of a contract is declared
   * before the first message to it on each channel (see `ProducerOptions.declare`).
   */
  send<In>(message: QueueMessage<In>, options?: SendOptions): Promise<Confirmation>;
  send<M extends Messages, K extends RoutingKey<M>>(
    message: ExchangeMessage<M, K>,
    options?: SendOptions,
  ): Promise<Confirmation>;
  send(message: OutboundMessage<T>, options?: SendOptions): Promise<Confirmation>;
  send(message: OutboundMessage<T> | ContractMessage, options?: SendOptions): Promise<Confirmation> {
    return this.sendUnchecked(message, options);
  }

  /**
   * Sends messages together, in order: one promise for all of them, which costs less than one each. Settles exactly once, when the
   * last of them has settled. Resolves with their confirmations, in the order of the messages.
   *
   * Rejects: as `send` does, with the first message at fault, if that is known before anything is sent: then none of them was.
   * Otherwise SendAllError PUBLISH_INCOMPLETE, whose `outcomes` say what became of each. `timeout` and `signal` hold for each.
   */
  sendAll<K extends string, M extends OutboundMessage<T> | ContractMessage<unknown, K>>(
    messages: readonly (M & Checked<M>)[],
    options?: SendOptions,
  ): Promise<readonly Confirmation[]>;
  sendAll(messages: readonly OutboundMessage<T>[], options?: SendOptions): Promise<readonly Confirmation[]>;
  sendAll(messages: readonly AnyMessage<T>[], options?: SendOptions): Promise<readonly Confirmation[]> {
    return this.sendAllUnchecked(messages, options);
  }

  /** @internal `sendAll`, where the compiler has checked the messages before, or cannot. */
  sendAllUnchecked(messages: readonly AnyMessage<T>[], options?: SendOptions): Promise<readonly Confirmation[]> {
    return new Promise((resolve, reject) => {
      this.#checkOpen(undefined, options);
      const batch = encodeAll(messages, this.#encoder);
      if (batch[0]) this.#admit(batch[0].messageId, options?.signal, sizeOf(batch));
      if (areSendsTraced()) {
        resolve(eachOf(messages, (message) => this.sendUnchecked(message, options)));
        return;
      }
      // Their numbers are taken at once: a listener of `dropped` may send in between.
      const first = this.#order;
      this.#order += batch.length;
      const { settle } = new Batch(batch.length, first, resolve, reject);
      batch.forEach((encoded, i) => {
        this.#accept(first + i, encoded, options, settle, settle);
      });
      this.#pump.pump();
    });
  }

  /** @internal `send`, where the compiler has checked the message before, or cannot. */
  sendUnchecked(message: OutboundMessage<T> | ContractMessage, options?: SendOptions): Promise<Confirmation> {
    if (this.#internal || !areSendsTraced()) return this.#send(message, options);
    return tracedSend(message, this.#core, (traced) => this.#send(traced, options));
  }

  /** Waits for confirms, then rejects the remaining messages (PUBLISH_CLOSED). Idempotent; always resolves, within `drainTimeout`. */
  close(options?: CloseOptions): Promise<CloseReport> {
    return this.#close(drainTimeoutOf(options, this.#core.drainTimeout));
  }

  /** `await using`: closes at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Opens the connection and the channel if necessary; `false`: the producer has ended. */
  #start(): boolean {
    // Its listeners may send, or close, in the middle of this.
    if (this.state.status !== 'idle') return true;
    this.#write({ status: 'opening' });
    this.#core.open();
    const channels = publishingLoop(this.#core, this.#pump, {
      topology: this.#topology,
      prepare: this.#prepare,
      refused: (cause) => {
        this.#pump.refuseAll(cause);
      },
    }).subscribe({
      next: (state) => {
        this.#write(state);
      },
      error: (error: unknown) => {
        this.#end(error instanceof InstanceQueueError ? error : this.#core.closedError());
      },
      complete: () => {
        this.#end(this.#core.closedError());
      },
    });
    this.#channels.add(channels);
    return this.#ended === undefined;
  }

  #send(message: AnyMessage<T>, options: SendOptions | undefined): Promise<Confirmation> {
    // Not async, which would cost two more promises per message. Exceptions in here become rejections.
    return new Promise((resolve, reject) => {
      this.#checkOpen(message, options);
      const encoded = this.#encoder.encode(message);
      this.#admit(encoded.messageId, options?.signal, encoded);
      this.#accept(this.#order++, encoded, options, resolve, reject);
      this.#pump.pump();
    });
  }

  #checkOpen(message: AnyMessage<T> | undefined, options: SendOptions | undefined): void {
    if (options !== undefined) checkOptions(options, SEND, { of: 'a send' });
    if (this.#ended !== undefined || this.#closing.begun) throw this.#closedError(givenId(message) ?? '');
  }

  /** Refuses messages that have no room, or whose signal is aborted; otherwise opens what they need. */
  #admit(messageId: string, signal: AbortSignal | undefined, size: BatchSize): void {
    if (signal?.aborted) throw aborted(messageId, signal, false);
    this.#pump.checkRoom(messageId, size);
    // Opening may show that the connection is closed for good.
    if (!this.#start()) throw this.#closedError(messageId);
  }

  #accept(
    order: number,
    encoded: Encoded,
    options: SendOptions | undefined,
    resolve: Settle<Confirmation>,
    reject: Settle<PublishError>,
  ): void {
    const entry = new PendingSend(order, encoded, resolve, reject);
    this.#deadlines.add(entry, options?.timeout ?? this.#timeout);
    this.#pump.push(entry, options?.signal);
  }

  #closedError(messageId: string, maybeDelivered = false): PublishError {
    return producerClosed(messageId, this.#ended === 'closed' ? undefined : this.#ended, maybeDelivered);
  }

  #close(within: number): Promise<CloseReport> {
    return this.#closing.within(within);
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
    const unconfirmed = this.#pump.unsettled.length;
    this.#end('closed');
    this.#closed.complete();
    return { unsettled: 0, unconfirmed };
  }

  #write(state: ProducerState): void {
    this.#state.next(Object.freeze(state));
  }

  #end(why: InstanceQueueError | 'closed'): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    this.#state.end(Object.freeze(why === 'closed' ? { status: 'stopped' } : { status: 'stopped', cause: why }));
    const left = this.#pump.unsettled;
    // Collects all of them before room becomes free: a message about to be rejected must not take it.
    for (const entry of left) entry.reject(this.#closedError(entry.message.messageId, entry.maybeDelivered));
    this.#channels.unsubscribe();
    for (const entry of left) this.#pump.settled(entry);
    this.#pump.stop();
    this.#deadlines.clear();
    this.#unregister();
  }
}
