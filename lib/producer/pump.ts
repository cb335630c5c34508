import type { ConfirmChannel, Message as AmqpMessage } from 'amqplib';
import { Subject, timer, type Observable, type Subscription } from 'rxjs';
import { backoffDelay } from '../connection/backoff';
import type { OpenChannel } from '../connection/channel';
import type { ConnectionCore } from '../connection/core';
import { declare, ensureQueue } from '../connection/declare';
import { ChannelError, PublishError, type InstanceQueueError } from '../errors';
import { queueNamed, type Topology } from '../topology';
import type { Confirmation, Entry } from './entry';
import { Outbox, type Bounds } from './outbox';
import { culprits } from './poison';
import { Session } from './session';

export interface PumpOptions {
  readonly declare: boolean;
  readonly topology: () => Topology;
  readonly maxInFlight: number;
  readonly onUnknown: 'resend' | 'reject';
  readonly onNack: 'resend' | 'reject';
  readonly outbox: Bounds;
}

/** Who is told what happens to messages on their way. */
export interface PumpEvents {
  readonly confirmed: (confirmation: Confirmation) => void;
  readonly resent: (messageId: string, attempt: number) => void;
  readonly returned: (cause: PublishError) => void;
  readonly dropped: (cause: PublishError) => void;
}

/** A channel that has done nothing but nack for so long, ms, is replaced: one opened during a quorum queue's election can nack for ever. */
const NACKING_FOR = 500;
const NACK_BACKOFF = { min: 100, max: 5000, factor: 1.5, jitter: 0.5 };

/** Reply codes with which the broker closes the *connection* over a frame it cannot take. */
const FRAME_FAULTS: ReadonlySet<number | undefined> = new Set([501, 502, 503, 504, 505, 540]);

/**
 * Moves messages from the outbox to the present channel and settles them by what comes back: while the channel is up, its
 * socket writable, nothing blocked and the window open. The order is that of the outbox, and there is one write path.
 */
export class Pump {
  readonly outbox: Outbox<Entry>;
  /** Emits when the outbox, or what is in flight, changed. */
  readonly changed$: Observable<void>;
  readonly #changed = new Subject<void>();
  readonly #core: ConnectionCore;
  readonly #options: PumpOptions;
  readonly #events: PumpEvents;
  readonly #nacked = new Set<Entry>();
  /** In flight when the broker closed a channel over one of them and did not say which: sent again one at a time. */
  readonly #suspects = new Set<Entry>();
  readonly #unblocked: Subscription;
  #nackRounds = 0;
  #nackWait: Subscription | undefined;
  #session: Session | undefined;
  #pumping = false;

  constructor(core: ConnectionCore, options: PumpOptions, events: PumpEvents) {
    this.#core = core;
    this.#options = options;
    this.#events = events;
    this.outbox = new Outbox(options.outbox);
    this.changed$ = this.#changed.asObservable();
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
    return [...this.#nacked];
  }

  /** A fresh channel: the messages of the last one have been dealt with. */
  opened(open: OpenChannel<ConfirmChannel>, epoch: number, replace: (why: ChannelError) => void): Session {
    const session = new Session(open, epoch);
    const { channel } = open;
    channel.on('ack', ({ deliveryTag, multiple }: { deliveryTag: number; multiple: boolean }) => {
      for (const entry of session.inFlight.confirm(deliveryTag, multiple)) this.#acked(session, entry);
      this.pump();
    });
    channel.on('nack', ({ deliveryTag, multiple }: { deliveryTag: number; multiple: boolean }) => {
      for (const entry of session.inFlight.confirm(deliveryTag, multiple)) this.#nack(session, entry);
      session.nackingSince ??= performance.now();
      if (performance.now() - session.nackingSince >= NACKING_FOR) {
        replace(new ChannelError(`The channel did nothing but nack for ${String(NACKING_FOR)} ms: replaced.`));
      } else this.pump();
    });
    channel.on('return', ({ fields, properties }: AmqpMessage) => {
      // The return comes before the confirm of the same message, and says which one it means by its id and route only.
      const { exchange, routingKey } = fields;
      const returned = session.inFlight.oldest(
        ({ returned: already, message }) =>
          !already &&
          message.messageId === properties.messageId &&
          message.exchange === exchange &&
          message.routingKey === routingKey &&
          message.options.mandatory === true,
      );
      if (returned) returned.returned = returnedBecause(fields);
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
    // Those given up in flight too: the culprit may be among them.
    const all = session.inFlight.takeAll();
    const left = all.filter(({ settled }) => !settled);
    const lost = session.open.link.lost;
    const refused = error.replyCode !== undefined && (!lost || FRAME_FAULTS.has(lost.replyCode));
    // A lost connection had other producers' messages on it, too: one that is alone here is guilty the second time.
    const named = refused ? culprits(all, error).filter((entry) => !lost || this.#suspects.has(entry)) : [];
    // Nobody can tell: one of them will close the channel alone, and is known then.
    if (refused && named.length === 0) for (const entry of left) this.#suspects.add(entry);
    const guilty = new Set(named.filter((entry) => !entry.settled && !this.#declaredHere(entry, error)));
    for (const entry of guilty) this.#refuse(entry, error);
    const innocent = left.filter((entry) => !guilty.has(entry));
    if (this.#options.onUnknown === 'resend') this.outbox.restore(innocent);
    else for (const entry of innocent) this.#unknown(entry, error);
    this.#changed.next();
  }

  /** Nothing is sent any more, no timer is left. */
  stop(): void {
    this.#unblocked.unsubscribe();
    this.#nackWait?.unsubscribe();
    this.#changed.complete();
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
    this.#changed.next();
  }

  /** One message; `false`: not now. */
  #next(session: Session): boolean {
    const open = this.#session === session && session.writable && session.ensuring === undefined;
    // A link that is lost while it is blocked is unblocked first: nothing goes out on it all the same.
    if (!open || session.open.ended || session.open.link.lost || this.#core.blocked !== undefined) return false;
    for (const entry of this.#suspects) if (entry.settled) this.#suspects.delete(entry);
    if (session.inFlight.size >= (this.#suspects.size > 0 ? 1 : this.#options.maxInFlight)) return false;
    const entry = this.outbox.peek();
    if (!entry) return false;
    const { queue } = entry.message;
    if (queue !== undefined && this.#options.declare && !session.ensured.has(queue) && !queue.startsWith('amq.')) {
      void this.#ensure(session, queue);
      return false;
    }
    this.outbox.shift();
    this.#write(session, entry);
    return true;
  }

  #write(session: Session, entry: Entry): void {
    const { messageId, exchange, routingKey, content, options, propertiesFrame } = entry.message;
    const { remaining } = entry;
    const { frameMax } = session.open.link;
    if (remaining !== undefined && remaining <= 0) {
      this.#drop(
        entry,
        new PublishError('PUBLISH_TIMEOUT', messageId, 'The message expired (`expiration`) before it could be sent.', {
          maybeDelivered: entry.maybeDelivered,
        }),
      );
      return;
    }
    if (propertiesFrame > frameMax) {
      const message = `The properties of this message take ${String(propertiesFrame)} bytes; the broker takes frames of ${String(frameMax)}. Put large headers into the body.`;
      entry.reject(new PublishError('PUBLISH_INVALID', messageId, message, { maybeDelivered: entry.maybeDelivered }));
      return;
    }
    const left = remaining === undefined ? options : { ...options, expiration: String(Math.ceil(remaining)) };
    try {
      session.writable = session.open.channel.publish(exchange, routingKey, content, left);
    } catch (cause) {
      if (cause instanceof Error && cause.name === 'IllegalOperationError') {
        // The channel is closing and has not told us yet. Nothing was written.
        session.writable = false;
        this.outbox.restore([entry]);
      } else {
        const why = cause instanceof Error ? cause.message : String(cause);
        entry.reject(
          new PublishError('PUBLISH_INVALID', messageId, `This message cannot be encoded: ${why}`, {
            cause,
            maybeDelivered: entry.maybeDelivered,
          }),
        );
      }
      return;
    }
    session.inFlight.add(entry);
    entry.attempts++;
    // What came back of an earlier attempt says nothing about this one.
    entry.returned = undefined;
    if (entry.attempts === 1) this.#core.counters.sent++;
    else {
      this.#core.counters.resent++;
      this.#core.log.debug({ messageId, attempt: entry.attempts, epoch: session.epoch }, 'resent');
      this.#events.resent(messageId, entry.attempts);
    }
  }

  #acked(session: Session, entry: Entry): void {
    session.proven = true;
    session.nackingSince = undefined;
    this.#nackRounds = 0;
    if (entry.returned) {
      this.#returned(session, entry, entry.returned);
      return;
    }
    const confirmation = entry.confirm(session.epoch);
    // A late confirm: its deadline has passed, and its sender knows no better than that.
    if (!confirmation) return;
    this.#core.counters.confirmed++;
    this.#events.confirmed(confirmation);
  }

  #returned(session: Session, entry: Entry, { replyCode, replyText }: { replyCode: number; replyText: string }): void {
    const { messageId, exchange, routingKey, queue } = entry.message;
    entry.returned = undefined;
    entry.declined++;
    if (entry.settled) return;
    this.#core.counters.returned++;
    if (queue !== undefined && this.#options.declare && !entry.ensuredAgain) {
      // Somebody deleted the queue under us: declare it anew, send once more.
      entry.ensuredAgain = true;
      session.ensured.delete(queue);
      this.outbox.restore([entry]);
      return;
    }
    const where =
      queue === undefined ? `exchange \`${exchange}\` with routing key \`${routingKey}\`` : `queue \`${queue}\``;
    const message = `No queue took the message sent to ${where}: ${String(replyCode)} ${replyText}. Is the binding there? \`mandatory: false\` lets such messages go.`;
    const cause = new PublishError('PUBLISH_RETURNED', messageId, message, {
      replyCode,
      maybeDelivered: entry.maybeDelivered,
    });
    this.#core.log.warn({ messageId, exchange, routingKey, replyCode, replyText }, 'returned');
    if (entry.reject(cause)) this.#events.returned(cause);
  }

  #nack(session: Session, entry: Entry): void {
    this.#core.counters.nacked++;
    entry.nacks++;
    entry.declined++;
    entry.returned = undefined;
    if (entry.settled) return;
    const { messageId } = entry.message;
    this.#core.log.debug({ messageId, nacks: entry.nacks, epoch: session.epoch }, 'nacked');
    if (this.#options.onNack === 'reject') {
      const message = 'The broker did not take the message (nack): the queue is full, or has no leader.';
      entry.reject(new PublishError('PUBLISH_NACKED', messageId, message, { maybeDelivered: entry.maybeDelivered }));
      return;
    }
    this.#nacked.add(entry);
    this.#nackWait ??= timer(backoffDelay(NACK_BACKOFF, ++this.#nackRounds)).subscribe(() => {
      this.#nackWait = undefined;
      const again = [...this.#nacked];
      this.#nacked.clear();
      this.outbox.restore(again);
      this.pump();
    });
  }

  async #ensure(session: Session, queue: string): Promise<void> {
    session.ensuring = queue;
    const { link } = session.open;
    const spec = queueNamed(this.#options.topology(), queue);
    try {
      // An exclusive queue belongs to the connection that declares it first, and that must be its consumer's.
      await (spec?.exclusive === true ? undefined : spec ? declare(link, {}, spec) : ensureQueue(link, queue));
    } catch (err) {
      // It may be there all the same: ours to use, not to declare (403), or another connection's (405). If it is not,
      // the message comes back.
      if (!link.lost) this.#core.log.warn({ err, queue }, 'cannot ensure the queue of a route: trusted');
    }
    session.ensured.add(queue);
    session.ensuring = undefined;
    this.pump();
  }

  /** An exchange of our own topology is declared with the next channel: its absence is nobody's fault. */
  #declaredHere({ message: { exchange } }: Entry, { replyCode }: InstanceQueueError): boolean {
    if (replyCode !== 404 || !this.#options.declare) return false;
    return (this.#options.topology().exchanges ?? []).some(
      ({ name, passive }) => name === exchange && passive !== true,
    );
  }

  #refuse(entry: Entry, cause: InstanceQueueError): void {
    const { messageId } = entry.message;
    this.#suspects.delete(entry);
    entry.declined++;
    this.#core.log.warn({ messageId, exchange: entry.exchange, err: cause }, 'publish refused');
    const message = `The broker refused the message sent to exchange \`${entry.exchange}\`. ${cause.message}`;
    const { maybeDelivered } = entry;
    entry.reject(
      new PublishError('PUBLISH_REFUSED', messageId, message, { cause, replyCode: cause.replyCode, maybeDelivered }),
    );
  }

  #unknown(entry: Entry, cause: InstanceQueueError): void {
    const { messageId } = entry.message;
    const message = `The channel was lost before the broker confirmed the message; it may have it. ${cause.message}`;
    entry.reject(new PublishError('PUBLISH_UNKNOWN', messageId, message, { cause, maybeDelivered: true }));
  }

  #drop(entry: Entry, cause: PublishError): void {
    if (!entry.reject(cause)) return;
    this.#core.counters.timedOut++;
    this.#core.log.warn({ messageId: cause.messageId, err: cause }, 'dropped');
    this.#events.dropped(cause);
  }
}

function returnedBecause(fields: object): { replyCode: number; replyText: string } {
  // amqplib types a return's fields as those of a delivery.
  return { replyCode: Number(Reflect.get(fields, 'replyCode')), replyText: String(Reflect.get(fields, 'replyText')) };
}
