import { timer, type Subscription } from 'rxjs';
import { backoffDelay } from '../connection/backoff';
import type { ConnectionCore } from '../connection/connection-core';
import type { Counters } from '../counters';
import { forgetDelays } from '../delay/delay-levels';
import { PublishError } from '../errors';
import { queueNamed, type Topology } from '../topology';
import type { Verdict } from '../transport/transport';
import type { PendingSend } from './pending-send';
import { deadLetteredError, nackedError } from './send-errors';
import { type PumpEvents, tellConfirmed } from './producer-events';
import type { PublishingChannel } from './publishing-channel';

type Returned = Extract<Verdict, { kind: 'return' }>;

/** What decides about a message that the broker did not take, and where the verdicts are counted. */
export interface VerdictOptions {
  readonly counters: Counters;
  readonly topology: () => Topology;
  readonly declare: boolean;
  readonly onNack: 'resend' | 'reject';
  readonly onUnknown: 'resend' | 'reject';
}

/** Settles messages by the verdicts of the broker: ack, nack, return. */
export class Verdicts {
  readonly #core: ConnectionCore;
  readonly #options: VerdictOptions;
  readonly #events: PumpEvents;
  readonly #later: NackBackoff;
  readonly #atOnce: (entry: PendingSend) => void;

  /** Messages to be sent again go into `later`, or to `atOnce`: ahead of everything sent after them. */
  constructor(
    core: ConnectionCore,
    options: VerdictOptions,
    events: PumpEvents,
    later: NackBackoff,
    atOnce: (entry: PendingSend) => void,
  ) {
    this.#core = core;
    this.#options = options;
    this.#events = events;
    this.#later = later;
    this.#atOnce = atOnce;
  }

  /** The broker returns a message, before its confirm. It identifies the message only by id and route. */
  returned(publishing: PublishingChannel, { messageId, exchange, routingKey, replyCode, replyText }: Returned): void {
    const oldest = (isSame: (given: string, read: string | undefined) => boolean): PendingSend | undefined =>
      publishing.inFlight.oldest(
        ({ returned: already, message }) =>
          !already &&
          isSame(message.messageId, messageId) &&
          isSame(message.exchange, exchange) &&
          isSame(message.routingKey, routingKey) &&
          message.mandatory,
      );
    const entry = oldest((given, read) => given === read) ?? oldest((given, read) => onTheWire(given) === read);
    if (entry) entry.returned = { replyCode, replyText };
  }

  acked(publishing: PublishingChannel, entry: PendingSend): void {
    publishing.proven = true;
    publishing.nackingSince = undefined;
    this.#later.taken(entry);
    if (entry.returned) {
      this.#unroutable(publishing, entry, entry.returned);
      return;
    }
    const confirmation = entry.confirm(publishing.epoch);
    // A late confirm: the deadline has passed, and the `send` has rejected.
    if (!confirmation) return;
    this.#options.counters.confirmed++;
    this.#events.confirmed(confirmation);
    tellConfirmed(entry, confirmation);
  }

  /**
   * A queue did not take the message. On the default exchange that is its only queue. On any other exchange, the broker may have
   * put it into other queues, and does not report that. https://www.rabbitmq.com/docs/confirms#when-publishes-are-confirmed
   */
  nacked(publishing: PublishingChannel, entry: PendingSend): void {
    this.#options.counters.nacked++;
    entry.nacks++;
    // Asked once per message: it puts topologies together.
    const isDeadLettered = entry.nacks === 1 && this.#deadLetters(entry);
    // A returned message reached no queue.
    if ((entry.toOneQueue && !isDeadLettered) || entry.returned) entry.declined++;
    entry.returned = undefined;
    if (entry.settled) return;
    const { messageId, exchange, routingKey } = entry.message;
    const facts = { messageId, exchange, routingKey, nacks: entry.nacks, epoch: publishing.epoch };
    this.#core.log.debug(facts, 'nacked');
    if (isDeadLettered) {
      entry.reject(deadLetteredError(entry));
      return;
    }
    if (!this.#mayResend(entry)) {
      entry.reject(nackedError(entry));
      return;
    }
    this.#later.add(entry);
    this.#events.declined(entry);
  }

  /**
   * Does its queue dead-letter what it refuses? Each attempt would leave a copy there.
   * https://www.rabbitmq.com/docs/maxlength#overflow-behaviour
   */
  #deadLetters({ toOneQueue, message: { exchange, routingKey } }: PendingSend): boolean {
    // With copies (`CC`) another queue may have refused it.
    return (
      toOneQueue &&
      exchange === '' &&
      queueNamed(this.#options.topology(), routingKey)?.overflow === 'reject-publish-dlx'
    );
  }

  #mayResend({ toOneQueue, nacks }: PendingSend): boolean {
    const { onNack, onUnknown } = this.#options;
    if (onNack === 'reject') return false;
    return toOneQueue || (onUnknown === 'resend' && nacks <= RESENDS_TO_MANY_QUEUES);
  }

  #unroutable(
    publishing: PublishingChannel,
    entry: PendingSend,
    { replyCode, replyText }: NonNullable<PendingSend['returned']>,
  ): void {
    const { messageId, sentTo: exchange, routingKey, queue, delayed } = entry.message;
    entry.returned = undefined;
    entry.declined++;
    if (entry.settled) return;
    this.#options.counters.returned++;
    const isEnsured = (queue !== undefined && this.#options.declare) || delayed?.waits === true;
    if (isEnsured && !entry.ensuredAgain) {
      // The queue, or a level of the delay, was deleted: declare it again, and send once more.
      entry.ensuredAgain = true;
      if (queue !== undefined) publishing.ensured.delete(queue);
      if (delayed) forgetDelays(publishing.link);
      this.#atOnce(entry);
      return;
    }
    // The default exchange has no bindings: its routing keys are the names of queues.
    const to = queue ?? (exchange === '' ? routingKey : undefined);
    const where = to === undefined ? `exchange \`${exchange}\` with routing key \`${routingKey}\`` : `queue \`${to}\``;
    const message = `No queue took the message sent to ${where}: ${String(replyCode)} ${replyText}. ${to === undefined ? 'Is the binding there? An exchange that delays messages returns every one of them at once: declare its type in the topology, or send' : 'Send'} with \`mandatory: false\` to let such messages go.`;
    const cause = new PublishError('PUBLISH_RETURNED', messageId, message, {
      replyCode,
      maybeDelivered: entry.maybeDelivered,
    });
    this.#core.log.warn(
      { messageId, exchange, routingKey, replyCode, replyText },
      'message returned: no queue took it',
    );
    if (entry.reject(cause)) this.#events.returned(cause);
  }
}

/** UTF-8 has no form for half a character, such as a name that was cut in the middle of an emoji ends with. */
const onTheWire = (text: string): string => Buffer.from(text).toString();

/** Delays between attempts on a queue route, which continue until the deadline of each message. */
const ONE_QUEUE = { min: 100, max: 5000, factor: 1.5, jitter: 0.5 };
/** Delays between attempts on an exchange route, each of which may add a copy to the queues that take it. */
const MANY_QUEUES = { min: 200, max: 5000, factor: 4, jitter: 0.5 };

/** How often a message is published again after a nack that may have left copies of it in other queues. */
const RESENDS_TO_MANY_QUEUES = 4;

/** The messages of one route that wait for another attempt. */
interface Route {
  readonly waiting: Set<PendingSend>;
  rounds: number;
  wait: Subscription | undefined;
}

/**
 * Holds nacked messages until they are sent again. Each route has its own backoff, because a full queue says nothing about
 * another one. All messages of a route are sent again together.
 */
export class NackBackoff {
  readonly #again: (entries: readonly PendingSend[]) => void;
  readonly #routes = new Map<string, Route>();
  #size = 0;
  #bytes = 0;
  /** Routes without messages are dropped once there are this many. */
  #mostRoutes = MIN_ROUTES;

  constructor(again: (entries: readonly PendingSend[]) => void) {
    this.#again = again;
  }

  get size(): number {
    return this.#size;
  }
  get all(): readonly PendingSend[] {
    return [...this.#routes.values()].flatMap(({ waiting }) => [...waiting]);
  }

  /** Of the messages that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the oldest message out, if it is older than this. */
  takeBefore(order = Infinity): PendingSend | undefined {
    let oldest: PendingSend | undefined;
    for (const entry of this.#size > 0 ? this.all : []) if (entry.order < (oldest?.order ?? order)) oldest = entry;
    if (oldest) this.delete(oldest);
    return oldest;
  }

  add(entry: PendingSend): void {
    const key = keyOf(entry);
    let route = this.#routes.get(key);
    if (!route) {
      this.#forgetIdle();
      this.#routes.set(key, (route = { waiting: new Set(), rounds: 0, wait: undefined }));
    }
    const { waiting } = route;
    waiting.add(entry);
    this.#size++;
    this.#bytes += entry.bytes;
    const backoff = entry.toOneQueue ? ONE_QUEUE : MANY_QUEUES;
    route.wait ??= timer(backoffDelay(backoff, ++route.rounds)).subscribe(() => {
      route.wait = undefined;
      const again = [...waiting];
      waiting.clear();
      for (const entry of again) this.#left(entry);
      this.#again(again);
    });
  }

  /** An entry was settled from outside. */
  delete(entry: PendingSend): void {
    if (this.#size > 0 && this.#routes.get(keyOf(entry))?.waiting.delete(entry) === true) this.#left(entry);
  }

  #left({ bytes }: PendingSend): void {
    this.#size--;
    this.#bytes -= bytes;
  }

  /** The broker confirmed a message of this route: the next delay starts from the minimum. */
  taken(entry: PendingSend): void {
    if (this.#routes.size === 0) return;
    const key = keyOf(entry);
    const route = this.#routes.get(key);
    if (!route) return;
    route.rounds = 0;
    if (route.wait === undefined) this.#routes.delete(key);
  }

  /** Cancels all timers. */
  stop(): void {
    for (const { wait } of this.#routes.values()) wait?.unsubscribe();
  }

  /**
   * Drops routes whose messages have all been given up: there may be as many routing keys as messages. Runs only when the routes have
   * doubled, which makes its cost per route constant.
   */
  #forgetIdle(): void {
    if (this.#routes.size < this.#mostRoutes) return;
    for (const [key, { wait }] of this.#routes) if (wait === undefined) this.#routes.delete(key);
    this.#mostRoutes = Math.max(MIN_ROUTES, 2 * this.#routes.size);
  }
}

const MIN_ROUTES = 64;

const keyOf = ({ message: { exchange, routingKey } }: PendingSend): string => `${exchange}\n${routingKey}`;
