import { Subject, distinctUntilChanged, map, startWith, type Observable, type Subscription } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import { ChannelError, PublishError, sentenceOf, type InstanceQueueError } from '../errors';
import { onAbort } from '../reactive/abort';
import type { Topology } from '../topology';
import type { Verdict } from '../transport/transport';
import { type PumpEvents, tellPublished } from './producer-events';
import { Outbox, type BatchSize, type Bounds } from './outbox';
import type { PendingSend } from './pending-send';
import type { OutboxState } from './producer-state';
import { LostInFlight, RouteDeclarations, rejectUnknown, type PublishingChannel } from './publishing-channel';
import { aborted, droppedForNewer, outboxFull, timedOut, topologyRefused } from './send-errors';
import { NackBackoff, Verdicts, type VerdictOptions } from './verdicts';

export interface PumpOptions extends VerdictOptions {
  readonly topology: () => Topology;
  readonly maxInFlight: number;
  readonly outbox: Bounds & { readonly overflow: 'wait' | 'reject' | 'drop-oldest' };
}

/** ms of nacks alone after which a channel is replaced: one opened during the election of a quorum queue can nack for ever. */
const NACKING_FOR = 500;

/**
 * Moves messages from the outbox to the present channel, while the channel is up, its socket writable, nothing blocked and the
 * window open, and settles them by the answers of the broker. It keeps the order of the outbox, and is the only write path.
 */
export class Pump {
  readonly outbox: Outbox<PendingSend>;
  /** Emits when the outbox or the messages in flight have changed. */
  readonly changed$: Observable<void>;
  readonly #changed = new Subject<void>();
  readonly #core: ConnectionCore;
  readonly #options: PumpOptions;
  readonly #events: PumpEvents;
  readonly #nacked: NackBackoff;
  readonly #verdicts: Verdicts;
  readonly #lost: LostInFlight;
  readonly #routes: RouteDeclarations;
  readonly #unblocked: Subscription;
  #publishing: PublishingChannel | undefined;
  #pumping = false;

  constructor(core: ConnectionCore, options: PumpOptions, events: PumpEvents) {
    this.#core = core;
    this.#options = options;
    this.#events = events;
    this.outbox = new Outbox(options.outbox);
    this.changed$ = this.#changed.asObservable();
    this.#nacked = new NackBackoff((entries) => {
      this.outbox.restore(entries);
      this.pump();
    });
    this.#verdicts = new Verdicts(core, options, events, this.#nacked, (entry) => {
      this.outbox.restore([entry]);
    });
    this.#lost = new LostInFlight(core, () => (options.declare ? options.topology() : {}));
    this.#routes = new RouteDeclarations(core, options.topology);
    this.#unblocked = core.blocked$.subscribe(() => {
      this.pump();
    });
  }

  get gauges(): OutboxState {
    const unconfirmed = this.#publishing?.inFlight.size ?? 0;
    const { bytes, size } = this.#nacked;
    return { queued: this.outbox.queued + size, unconfirmed, bytes: this.outbox.bytes + bytes };
  }
  get gauges$(): Observable<OutboxState> {
    return this.#changed.pipe(
      startWith(undefined),
      map(() => this.gauges),
      distinctUntilChanged((a, b) => a.queued === b.queued && a.unconfirmed === b.unconfirmed && a.bytes === b.bytes),
    );
  }
  /** Are all sends settled? Messages given up in flight do not count. */
  get idle(): boolean {
    const waiting = this.#publishing?.inFlight.oldest(({ settled }) => !settled);
    return waiting === undefined && this.#nacked.size === 0 && this.outbox.empty;
  }
  /** Messages in flight, those that wait for another attempt after a nack, and those in the outbox. */
  get unsettled(): readonly PendingSend[] {
    const inFlight = this.#publishing?.inFlight.all() ?? [];
    return [...inFlight, ...this.#nacked.all, ...this.outbox.entries()].filter(({ settled }) => !settled);
  }

  /** Starts on a new channel. The messages of the last one are settled or put back by then. `replace` requests another channel. */
  opened(publishing: PublishingChannel, replace: (why: ChannelError) => void): void {
    const { channel } = publishing;
    const acked = (entry: PendingSend): void => {
      this.#verdicts.acked(publishing, entry);
    };
    const nacked = (entry: PendingSend): void => {
      this.#verdicts.nacked(publishing, entry);
    };
    const judge = (verdict: Verdict): void => {
      switch (verdict.kind) {
        case 'ack':
          publishing.inFlight.confirm(verdict.number, verdict.multiple, acked);
          this.pump();
          break;
        case 'nack':
          publishing.inFlight.confirm(verdict.number, verdict.multiple, nacked);
          publishing.nackingSince ??= performance.now();
          if (performance.now() - publishing.nackingSince >= NACKING_FOR) {
            replace(new ChannelError(`The channel did nothing but nack for ${String(NACKING_FOR)} ms: replaced.`));
          } else this.pump();
          break;
        case 'return':
          this.#verdicts.returned(publishing, verdict);
      }
    };
    channel.verdicts$.subscribe(judge);
    channel.drain$.subscribe(() => {
      this.pump();
    });
    this.#publishing = publishing;
    this.pump();
  }

  /** The channel ended. The state of its messages in flight is unknown, except for one that made the broker close it. */
  closed(publishing: PublishingChannel, error: InstanceQueueError): void {
    this.#publishing = undefined;
    const innocent = this.#lost.judge(publishing, error);
    if (this.#options.onUnknown === 'resend') this.outbox.restore(innocent);
    else for (const entry of innocent) rejectUnknown(entry, error);
    this.#tell();
  }

  /** Stops sending, and cancels all timers. */
  stop(): void {
    this.#unblocked.unsubscribe();
    this.#nacked.stop();
    this.#changed.complete();
  }

  /** Frees the place of an entry that was settled from outside, by its deadline or signal. */
  settled(entry: PendingSend): void {
    this.#nacked.delete(entry);
    this.outbox.settled(entry);
    this.pump();
  }

  /** @throws PublishError OUTBOX_FULL if the outbox can't take messages of this size, now or ever */
  checkRoom(messageId: string, { bytes, largest = bytes, count = 1 }: BatchSize): void {
    const full = this.#options.outbox.overflow === 'reject' && !this.#hasRoom(bytes, count);
    if (full || !this.outbox.fits(largest)) throw outboxFull(messageId, bytes, this.gauges);
  }

  /** Puts a message into the outbox, until `signal` is aborted; with `drop-oldest` the oldest ones give it room. */
  push(entry: PendingSend, signal: AbortSignal | undefined): void {
    if (this.#options.outbox.overflow === 'drop-oldest') this.#makeRoom(entry.bytes);
    this.outbox.push(entry);
    if (!signal) return;
    const abort = (): void => {
      if (entry.reject(aborted(entry.message.messageId, signal, entry.maybeDelivered))) this.settled(entry);
    };
    entry.onSettled(onAbort(signal, abort));
    // By a listener, since it was checked.
    if (signal.aborted) abort();
  }

  /** Rejects a message whose deadline has passed. */
  timedOut(entry: PendingSend): void {
    if (this.#rejectLate(entry, timedOut(entry, this.#core))) this.settled(entry);
  }

  /** Rejects every message, because the broker refused the topology they need. */
  refuseAll(cause: InstanceQueueError): void {
    this.#core.log.error({ err: cause }, 'topology refused');
    for (const entry of this.unsettled)
      if (entry.reject(topologyRefused(entry.message.messageId, cause, entry.maybeDelivered))) this.settled(entry);
  }

  /** Messages that wait for another attempt count: a full queue must not fill memory. */
  #hasRoom(bytes: number, count = 1): boolean {
    return this.outbox.hasRoom(bytes + this.#nacked.bytes, count + this.#nacked.size);
  }

  /** Sends as much as is possible now. */
  pump(): void {
    const publishing = this.#publishing;
    if (publishing && !this.#pumping) {
      this.#pumping = true;
      while (this.#next(publishing));
      this.#pumping = false;
    }
    this.#tell();
  }

  #makeRoom(bytes: number): void {
    while (!this.#hasRoom(bytes)) {
      const oldest = this.#nacked.takeBefore(this.outbox.peek()?.order) ?? this.outbox.shift();
      if (!oldest) return;
      const cause = droppedForNewer(oldest);
      if (!oldest.reject(cause)) continue;
      this.#options.counters.dropped++;
      this.#core.log.warn({ messageId: cause.messageId, err: cause }, 'message dropped: the outbox is full');
      this.#events.dropped(cause);
    }
  }

  #tell(): void {
    // For each message: `next` on a Subject without observers costs several times as much as this check.
    if (this.#changed.observed) this.#changed.next();
  }

  /** Sends one message; `false`: not possible now. */
  #next(publishing: PublishingChannel): boolean {
    const { channel, link, ensuring, inFlight } = publishing;
    const open = this.#publishing === publishing && channel.writable && ensuring === undefined;
    // A link that is lost while blocked is unblocked first. Nothing may be sent on it.
    if (!open || channel.ended || link.lost || this.#core.blocked !== undefined) return false;
    if (inFlight.size >= (this.#lost.suspecting ? 1 : this.#options.maxInFlight)) return false;
    const entry = this.outbox.peek();
    if (!entry) return false;
    const { message } = entry;
    const isEnsured = message.queue !== undefined && publishing.ensured.has(message.queue);
    const ensured =
      (this.#options.declare && !isEnsured ? this.#routes.ensure(publishing, message) : undefined) ??
      (message.delayed && this.#routes.ensureDelay(publishing, message));
    if (ensured) {
      void ensured.then(() => {
        this.pump();
      });
      return false;
    }
    this.outbox.shift();
    return this.#send(publishing, entry);
  }

  #send(publishing: PublishingChannel, entry: PendingSend): boolean {
    if (entry.message.delayed !== undefined && !this.#routes.dress(publishing, entry)) {
      // Tried again later, and without holding up others.
      if (!entry.settled) this.#nacked.add(entry);
      return true;
    }
    const { message, remaining, maybeDelivered } = entry;
    const { messageId } = message;
    const invalid = (sentence: string, cause?: unknown): void => {
      entry.reject(new PublishError('PUBLISH_INVALID', messageId, sentence, { cause, maybeDelivered }));
    };
    if (remaining !== undefined && remaining <= 0 && message.expiration !== 0) {
      const sentence = 'The message expired (`expiration`) before it could be sent.';
      const cause = new PublishError('PUBLISH_TIMEOUT', messageId, sentence, { maybeDelivered });
      if (this.#rejectLate(entry, cause)) this.#events.dropped(cause);
      return true;
    }
    const { frameMax } = publishing.link;
    if (message.propertiesFrame > frameMax) {
      invalid(
        `The properties of this message take ${String(message.propertiesFrame)} bytes; the broker takes frames of ${String(frameMax)}. Put large headers into the body.`,
      );
      return true;
    }
    try {
      if (publishing.channel.publish(message, remaining === undefined ? undefined : Math.ceil(remaining))) {
        this.#sent(publishing, entry);
        return true;
      }
    } catch (cause) {
      invalid(`This message cannot be encoded: ${sentenceOf(cause)}`, cause);
      return true;
    }
    // The channel is closing. The next one opens after its end.
    this.outbox.restore([entry]);
    return false;
  }

  #sent(publishing: PublishingChannel, entry: PendingSend): void {
    publishing.inFlight.add(entry);
    entry.attempts++;
    // The return of an earlier attempt says nothing about this one.
    entry.returned = undefined;
    tellPublished(entry, publishing.epoch);
    const { counters } = this.#options;
    if (entry.attempts === 1) counters.sent++;
    else {
      const { messageId } = entry.message;
      counters.resent++;
      this.#core.log.debug({ messageId, attempt: entry.attempts, epoch: publishing.epoch }, 'resent');
      this.#events.resent(messageId, entry.attempts);
    }
  }

  #rejectLate(entry: PendingSend, cause: PublishError): boolean {
    if (!entry.reject(cause)) return false;
    this.#options.counters.timedOut++;
    this.#core.log.warn({ messageId: cause.messageId, err: cause }, 'message timed out');
    return true;
  }
}
