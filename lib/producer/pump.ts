import type { ConfirmChannel, Message as AmqpMessage } from 'amqplib';
import { Subject, type Observable, type Subscription } from 'rxjs';
import type { OpenChannel } from '../amqp/channel';
import type { ConnectionCore } from '../connection/connection-core';
import { ChannelError, type InstanceQueueError, type PublishError } from '../errors';
import type { Topology } from '../topology';
import { ensure, needsEnsuring } from './ensure-queue';
import type { Entry } from './pending-send';
import { Losses, rejectUnknown } from './lost-in-flight';
import { Nacked } from './nack-backoff';
import { tellPublished } from './publish-telemetry';
import { Outbox, type Bounds } from './outbox';
import { Session } from './publishing-channel';
import { Verdicts, type PumpEvents } from './confirms';
import { write } from '../amqp/outbound-channel';

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
  readonly outbox: Outbox<Entry>;
  /** Emits when the outbox, or what is in flight, changed. */
  readonly changed$: Observable<void>;
  readonly #changed = new Subject<void>();
  /** Completes when it is stopped. Who waits for that alone should not be told of each change. */
  readonly stopped$: Observable<never>;
  readonly #stopped = new Subject<never>();
  readonly #core: ConnectionCore;
  readonly #options: PumpOptions;
  readonly #events: PumpEvents;
  readonly #nacked: Nacked;
  readonly #verdicts: Verdicts;
  readonly #losses: Losses;
  readonly #unblocked: Subscription;
  #session: Session | undefined;
  #pumping = false;

  constructor(core: ConnectionCore, options: PumpOptions, events: PumpEvents) {
    this.#core = core;
    this.#options = options;
    this.#events = events;
    this.outbox = new Outbox(options.outbox);
    this.changed$ = this.#changed.asObservable();
    this.stopped$ = this.#stopped.asObservable();
    this.#nacked = new Nacked((entries) => {
      this.outbox.restore(entries);
      this.pump();
    });
    this.#verdicts = new Verdicts(core, options, events, {
      atOnce: (entry) => {
        this.outbox.restore([entry]);
      },
      later: (entry) => {
        this.#nacked.add(entry);
      },
    });
    this.#losses = new Losses(core, () => (options.declare ? options.topology() : {}));
    this.#unblocked = core.blocked$.subscribe(() => {
      this.pump();
    });
  }

  /** Published and not confirmed. */
  get unconfirmed(): number {
    return this.#session?.inFlight.size ?? 0;
  }
  /** Is nobody waiting for anything? Messages given up in flight do not count. */
  get idle(): boolean {
    const waiting = this.#session?.inFlight.oldest(({ settled }) => !settled);
    return waiting === undefined && this.#nacked.size === 0 && this.outbox.empty;
  }
  get inFlight(): readonly Entry[] {
    return this.#session?.inFlight.all() ?? [];
  }
  /** Waiting for another try after a nack. */
  get nacked(): readonly Entry[] {
    return this.#nacked.all;
  }
  /** How many these are. */
  get waiting(): number {
    return this.#nacked.size;
  }

  /** A fresh channel: the messages of the last one have been dealt with. */
  opened(open: OpenChannel<ConfirmChannel>, epoch: number, replace: (why: ChannelError) => void): Session {
    const session = new Session(open, epoch);
    const { channel } = open;
    const acked = (entry: Entry): void => {
      session.proven = true;
      session.nackingSince = undefined;
      this.#nacked.taken();
      this.#verdicts.acked(session, entry);
    };
    const nacked = (entry: Entry): void => {
      this.#verdicts.nacked(session, entry);
    };
    channel.on('ack', ({ deliveryTag, multiple }: { deliveryTag: number; multiple: boolean }) => {
      session.inFlight.confirm(deliveryTag, multiple, acked);
      this.pump();
    });
    channel.on('nack', ({ deliveryTag, multiple }: { deliveryTag: number; multiple: boolean }) => {
      session.inFlight.confirm(deliveryTag, multiple, nacked);
      session.nackingSince ??= performance.now();
      if (performance.now() - session.nackingSince >= NACKING_FOR) {
        replace(new ChannelError(`The channel did nothing but nack for ${String(NACKING_FOR)} ms: replaced.`));
      } else this.pump();
    });
    channel.on('return', (message: AmqpMessage) => {
      this.#verdicts.came(message, session);
    });
    channel.on('drain', () => {
      session.writable = true;
      this.pump();
    });
    this.#session = session;
    this.pump();
    return session;
  }

  /** The channel is gone; what it had in flight is unknown, but for the message that made the broker close it. */
  closed(session: Session, error: InstanceQueueError): void {
    if (this.#session === session) this.#session = undefined;
    const innocent = this.#losses.judge(session, error);
    if (this.#options.onUnknown === 'resend') this.outbox.restore(innocent);
    else for (const entry of innocent) rejectUnknown(entry, error);
    this.#tell();
  }

  /** Nothing is sent any more, no timer is left. */
  stop(): void {
    this.#unblocked.unsubscribe();
    this.#nacked.stop();
    this.#changed.complete();
    this.#stopped.complete();
  }

  /** An entry was settled from outside (its deadline, its signal): its place is free. */
  settled(entry: Entry): void {
    this.#nacked.delete(entry);
    this.outbox.settled(entry);
    this.pump();
  }

  /** Sends what can be sent. */
  pump(): void {
    const session = this.#session;
    if (session && !this.#pumping) {
      this.#pumping = true;
      while (this.#next(session));
      this.#pumping = false;
    }
    this.#tell();
  }

  #tell(): void {
    // A Subject that nobody listens to costs several times as much as this question, for each message.
    if (this.#changed.observed) this.#changed.next();
  }

  /** One message; `false`: not now. */
  #next(session: Session): boolean {
    const open = this.#session === session && session.writable && session.ensuring === undefined;
    // A link that is lost while it is blocked is unblocked first: nothing goes out on it all the same.
    if (!open || session.open.ended || session.open.link.lost || this.#core.blocked !== undefined) return false;
    if (session.inFlight.size >= (this.#losses.suspecting ? 1 : this.#options.maxInFlight)) return false;
    const entry = this.outbox.peek();
    if (!entry) return false;
    const { queue } = entry.message;
    if (this.#options.declare && needsEnsuring(session, queue)) {
      void ensure(session, queue, this.#options.topology(), this.#core.log).then(() => {
        this.pump();
      });
      return false;
    }
    this.outbox.shift();
    this.#send(session, entry);
    return true;
  }

  #send(session: Session, entry: Entry): void {
    const written = write(session, entry);
    if (written === 'closing') {
      session.writable = false;
      this.outbox.restore([entry]);
    } else if (written === 'written') this.#sent(session, entry);
    else if (written.code === 'PUBLISH_TIMEOUT') this.#drop(entry, written);
    else entry.reject(written);
  }

  #sent(session: Session, entry: Entry): void {
    session.inFlight.add(entry);
    entry.attempts++;
    // What came back of an earlier attempt says nothing about this one.
    entry.returned = undefined;
    tellPublished(entry, session.epoch);
    const { counters, log } = this.#core;
    if (entry.attempts === 1) counters.sent++;
    else {
      const { messageId } = entry.message;
      counters.resent++;
      log.debug({ messageId, attempt: entry.attempts, epoch: session.epoch }, 'resent');
      this.#events.resent(messageId, entry.attempts);
    }
  }

  #drop(entry: Entry, cause: PublishError): void {
    if (!entry.reject(cause)) return;
    this.#core.counters.timedOut++;
    this.#core.log.warn({ messageId: cause.messageId, err: cause }, 'message timed out');
    this.#events.dropped(cause);
  }
}
