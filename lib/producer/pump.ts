import { Subject, type Observable, type Subscription } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import { ChannelError, PublishError, sentenceOf, type InstanceQueueError } from '../errors';
import type { Topology } from '../topology';
import type { Verdict } from '../transport/transport';
import { RouteQueues } from './publishing-channel';
import type { PendingSend } from './pending-send';
import { LostInFlight, rejectUnknown } from './publishing-channel';
import { NackBackoff } from './nack-backoff';
import { tellPublished } from './publish-telemetry';
import { Outbox, type Bounds } from './outbox';
import { type PublishingChannel } from './publishing-channel';
import { Confirms, type PumpEvents } from './confirms';

export interface PumpOptions {
  readonly declare: boolean;
  readonly topology: () => Topology;
  readonly maxInFlight: number;
  readonly onUnknown: 'resend' | 'reject';
  readonly onNack: 'resend' | 'reject';
  readonly outbox: Bounds;
}

/** A channel that has done nothing but nack for so long, ms, is replaced: one opened during a quorum queue's election can nack for ever. */
const NACKING_FOR = 500;

/**
 * Moves messages from the outbox to the present channel and settles them by what comes back: while the channel is up, its
 * socket writable, nothing blocked and the window open. The order is that of the outbox, and there is one write path.
 */
export class Pump {
  readonly outbox: Outbox<PendingSend>;
  /** Emits when the outbox, or what is in flight, changed. */
  readonly changed$: Observable<void>;
  readonly #changed = new Subject<void>();
  readonly #core: ConnectionCore;
  readonly #options: PumpOptions;
  readonly #events: PumpEvents;
  readonly #nacked: NackBackoff;
  readonly #confirms: Confirms;
  readonly #lost: LostInFlight;
  readonly #routeQueues: RouteQueues;
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
    this.#confirms = new Confirms(core, options, events, {
      atOnce: (entry) => {
        this.outbox.restore([entry]);
      },
      later: (entry) => {
        this.#nacked.add(entry);
      },
    });
    this.#lost = new LostInFlight(core, () => (options.declare ? options.topology() : {}));
    this.#routeQueues = new RouteQueues(core, options.topology);
    this.#unblocked = core.blocked$.subscribe(() => {
      this.pump();
    });
  }

  /** Published and not confirmed. */
  get unconfirmed(): number {
    return this.#publishing?.inFlight.size ?? 0;
  }
  /** Is nobody waiting for anything? Messages given up in flight do not count. */
  get idle(): boolean {
    const waiting = this.#publishing?.inFlight.oldest(({ settled }) => !settled);
    return waiting === undefined && this.#nacked.size === 0 && this.outbox.empty;
  }
  get inFlight(): readonly PendingSend[] {
    return this.#publishing?.inFlight.all() ?? [];
  }
  /** Waiting for another try after a nack. */
  get nacked(): readonly PendingSend[] {
    return this.#nacked.all;
  }
  /** How many these are. */
  get waiting(): number {
    return this.#nacked.size;
  }

  /** A fresh channel: the messages of the last one have been dealt with. `replace` asks for another. */
  opened(publishing: PublishingChannel, replace: (why: ChannelError) => void): void {
    const { channel } = publishing;
    const acked = (entry: PendingSend): void => {
      publishing.proven = true;
      publishing.nackingSince = undefined;
      this.#nacked.taken(entry);
      this.#confirms.acked(publishing, entry);
    };
    const nacked = (entry: PendingSend): void => {
      this.#confirms.nacked(publishing, entry);
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
          this.#confirms.returned(publishing, verdict);
          break;
      }
    };
    channel.verdicts$.subscribe(judge);
    channel.drain$.subscribe(() => {
      this.pump();
    });
    this.#publishing = publishing;
    this.pump();
  }

  /** The channel is gone; what it had in flight is unknown, but for the message that made the broker close it. */
  closed(publishing: PublishingChannel, error: InstanceQueueError): void {
    if (this.#publishing === publishing) this.#publishing = undefined;
    const innocent = this.#lost.judge(publishing, error);
    if (this.#options.onUnknown === 'resend') this.outbox.restore(innocent);
    else for (const entry of innocent) rejectUnknown(entry, error);
    this.#tell();
  }

  /** Nothing is sent any more, no timer is left. */
  stop(): void {
    this.#unblocked.unsubscribe();
    this.#nacked.stop();
    this.#changed.complete();
  }

  /** An entry was settled from outside (its deadline, its signal): its place is free. */
  settled(entry: PendingSend): void {
    this.#nacked.delete(entry);
    this.outbox.settled(entry);
    this.pump();
  }

  /** Sends what can be sent. */
  pump(): void {
    const publishing = this.#publishing;
    if (publishing && !this.#pumping) {
      this.#pumping = true;
      while (this.#next(publishing));
      this.#pumping = false;
    }
    this.#tell();
  }

  #tell(): void {
    // A Subject that nobody listens to costs several times as much as this question, for each message.
    if (this.#changed.observed) this.#changed.next();
  }

  /** One message; `false`: not now. */
  #next(publishing: PublishingChannel): boolean {
    const { channel, link, ensuring, inFlight } = publishing;
    const open = this.#publishing === publishing && channel.writable && ensuring === undefined;
    // A link that is lost while it is blocked is unblocked first: nothing goes out on it all the same.
    if (!open || channel.ended || link.lost || this.#core.blocked !== undefined) return false;
    if (inFlight.size >= (this.#lost.suspecting ? 1 : this.#options.maxInFlight)) return false;
    const entry = this.outbox.peek();
    if (!entry) return false;
    const { queue } = entry.message;
    if (this.#options.declare && this.#routeQueues.needs(publishing, queue)) {
      void this.#routeQueues.ensure(publishing, queue).then(() => {
        this.pump();
      });
      return false;
    }
    this.outbox.shift();
    return this.#send(publishing, entry);
  }

  #send(publishing: PublishingChannel, entry: PendingSend): boolean {
    const { message, remaining, maybeDelivered } = entry;
    const { messageId } = message;
    const invalid = (sentence: string, cause?: unknown): void => {
      entry.reject(new PublishError('PUBLISH_INVALID', messageId, sentence, { cause, maybeDelivered }));
    };
    if (remaining !== undefined && remaining <= 0 && message.expiration !== 0) {
      const sentence = 'The message expired (`expiration`) before it could be sent.';
      this.#drop(entry, new PublishError('PUBLISH_TIMEOUT', messageId, sentence, { maybeDelivered }));
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
    // The channel is closing: its end brings the next one.
    this.outbox.restore([entry]);
    return false;
  }

  #sent(publishing: PublishingChannel, entry: PendingSend): void {
    publishing.inFlight.add(entry);
    entry.attempts++;
    // What came back of an earlier attempt says nothing about this one.
    entry.returned = undefined;
    tellPublished(entry, publishing.epoch);
    const { counters, log } = this.#core;
    if (entry.attempts === 1) counters.sent++;
    else {
      const { messageId } = entry.message;
      counters.resent++;
      log.debug({ messageId, attempt: entry.attempts, epoch: publishing.epoch }, 'resent');
      this.#events.resent(messageId, entry.attempts);
    }
  }

  #drop(entry: PendingSend, cause: PublishError): void {
    if (!entry.reject(cause)) return;
    this.#core.counters.timedOut++;
    this.#core.log.warn({ messageId: cause.messageId, err: cause }, 'message timed out');
    this.#events.dropped(cause);
  }
}
