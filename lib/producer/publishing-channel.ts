import { RecentSet } from '../collections/recent';
import type { ConnectionCore } from '../connection/connection-core';
import { DelayLevels, MissingTarget, forgetDelays, isFinal, isOfDelays } from '../delay/delay-levels';
import { ensureDeadLetterQueues, ensureQueue } from '../connection/declare';
import { isPredeclared, isQueueContract } from '../contract';
import { type InstanceQueueError, PublishError } from '../errors';
import { type ExchangeSpec, queueNamed, type Topology } from '../topology';
import type { Link, OutboundChannel } from '../transport/transport';
import type { Encoded } from './encoded-message';
import type { PendingSend } from './pending-send';
import { culprits } from './poison';
import { Unconfirmed } from './outbox';

/** Queues that are known to exist, at most. */
const REMEMBERED = 100_000;

/** The data of one confirm channel, from its opening to its end. */
export class PublishingChannel {
  readonly inFlight = new Unconfirmed<PendingSend>();
  /** Queues known to exist, on this connection. One that is forgotten is ensured again. */
  readonly ensured: Set<string> = new RecentSet(REMEMBERED);
  /** Exchanges of contracts that were declared on this connection, and whether the broker accepted that. */
  readonly exchanges = new WeakMap<object, boolean>();
  /** The queue or exchange that is being ensured. Later messages wait, to keep the order. */
  ensuring: string | undefined;
  /** Has it confirmed anything? */
  proven = false;
  /** The time since which it has received only nacks; monotonic, ms. */
  nackingSince: number | undefined;

  constructor(
    readonly link: Link,
    readonly channel: OutboundChannel,
    readonly epoch: number,
  ) {}
}

/** A queue whose declaration closed this many connections is not declared again. The first may have had another cause. */
const STRIKES = 2;

/** Ensures that the queue of a `queue` route, or the exchange of a contract, exists before a message is sent to it, once per channel. */
export class RouteDeclarations {
  readonly #core: ConnectionCore;
  readonly #topology: () => Topology;
  /** How often the broker closed the connection while a queue was being ensured. */
  readonly #strikes = new Map<string, number>();
  readonly #levels: DelayLevels;

  constructor(core: ConnectionCore, topology: () => Topology) {
    this.#core = core;
    this.#topology = topology;
    this.#levels = new DelayLevels(core);
  }

  /**
   * For a message whose queue is not yet `ensured`. Undefined: nothing has to be ensured on this channel before it is sent. Never
   * rejects.
   */
  ensure(publishing: PublishingChannel, { queue, contract }: Encoded): Promise<void> | undefined {
    if (queue !== undefined) {
      return queue.startsWith('amq.') ? undefined : this.#ensureQueue(publishing, queue);
    }
    if (contract === undefined || isQueueContract(contract)) return undefined;
    const needed = !publishing.exchanges.has(contract) && !isPredeclared(contract.name);
    return needed ? this.#ensureExchange(publishing, contract) : undefined;
  }

  /** Undefined: the levels in which the message waits, and the way to its target, are there. Never rejects. */
  ensureDelay({ link, ensured }: PublishingChannel, { delayed, mandatory, queue }: Encoded): Promise<void> | undefined {
    const isEnsured = queue !== undefined && ensured.has(queue);
    return delayed && this.#levels.ensure(link, delayed, { mandatory, isEnsured });
  }

  /** Dresses a message with a delay for the wire. `false`: it cannot wait at the broker. It is rejected if that is final. */
  dress({ link }: PublishingChannel, entry: PendingSend): boolean {
    const { message } = entry;
    const { delayed, messageId } = message;
    if (delayed === undefined) return true;
    const { refusal } = delayed;
    if (refusal === undefined) {
      message.dress(this.#levels.wire(link, delayed));
      return true;
    }
    delayed.refusal = undefined;
    this.#core.log.warn({ messageId, err: refusal }, 'a delayed message cannot wait at the broker');
    if (isFinal(refusal)) entry.reject(cannotWait(entry, refusal));
    return false;
  }

  /** Never rejects: without the permission to declare it, it may be there all the same. */
  async #ensureExchange(publishing: PublishingChannel, exchange: ExchangeSpec): Promise<void> {
    const { link } = publishing;
    publishing.ensuring = exchange.name;
    let accepted = true;
    try {
      await link.declare({ exchanges: [exchange] });
    } catch (err) {
      accepted = false;
      if (!link.lost)
        this.#core.log.warn({ err, exchange: exchange.name }, 'cannot declare the exchange of a contract: trusted');
    }
    publishing.exchanges.set(exchange, accepted);
    publishing.ensuring = undefined;
  }

  /** Never rejects: a queue that cannot be declared may exist nevertheless. If it does not, the broker returns the message. */
  async #ensureQueue(publishing: PublishingChannel, queue: string): Promise<void> {
    const { link } = publishing;
    const spec = queueNamed(this.#topology(), queue);
    publishing.ensuring = queue;
    try {
      // An exclusive queue belongs to the connection that declares it, which must be that of its consumer.
      if (this.#mayDeclare(queue) && spec?.exclusive !== true) {
        if (spec) {
          await ensureDeadLetterQueues(this.#core, link, {}, spec, this.#topology());
          await link.declare({}, spec);
        } else await ensureQueue(link, queue);
        this.#strikes.delete(queue);
      }
    } catch (err) {
      // In use, or no permission to declare it (403, 405); or the broker closed the whole connection over it.
      if (!link.lost) this.#core.log.warn({ err, queue }, 'cannot ensure the queue of a route: trusted');
      else if (link.lost.replyCode !== undefined) this.#strike(queue, err);
    }
    publishing.ensured.add(queue);
    publishing.ensuring = undefined;
  }

  #mayDeclare(queue: string): boolean {
    return !this.#core.channelsLimited && (this.#strikes.get(queue) ?? 0) < STRIKES;
  }

  #strike(queue: string, err: unknown): void {
    const strikes = (this.#strikes.get(queue) ?? 0) + 1;
    this.#strikes.set(queue, strikes);
    if (strikes === STRIKES) {
      this.#core.log.error({ err, queue }, 'the broker closes the connection over the queue of a route: trusted');
    }
  }
}

/** Reply codes with which the broker closes the *connection* over an invalid frame. */
const FRAME_FAULTS: ReadonlySet<number | undefined> = new Set([501, 502, 503, 504, 505, 540]);

/** Decides about the messages in flight when a channel ended: one may be the reason, the state of the others is unknown. */
export class LostInFlight {
  readonly #core: ConnectionCore;
  /** What this producer declares with each channel. */
  readonly #declared: () => Topology;
  /** Messages in flight when the broker closed a channel over one of them without naming it. */
  readonly #suspects = new Set<PendingSend>();

  constructor(core: ConnectionCore, declared: () => Topology) {
    this.#core = core;
    this.#declared = declared;
  }

  /** Is there a suspect? Then messages are sent one at a time, so that the culprit is alone when it fails again. */
  get suspecting(): boolean {
    if (this.#suspects.size === 0) return false;
    for (const entry of this.#suspects) if (entry.settled) this.#suspects.delete(entry);
    return this.#suspects.size > 0;
  }

  /** Rejects the culprits; returns the others, in order. */
  judge(publishing: PublishingChannel, error: InstanceQueueError): readonly PendingSend[] {
    // Includes messages given up in flight: the culprit may be one of them.
    const all = publishing.inFlight.takeAll();
    const left = all.filter(({ settled }) => !settled);
    const { lost } = publishing.link;
    const refused = error.replyCode !== undefined && (!lost || FRAME_FAULTS.has(lost.replyCode));
    // A lost connection also carried messages of other producers: one that is alone here is the culprit only the second time.
    const named = refused ? culprits(all, error).filter((entry) => !lost || this.#suspects.has(entry)) : [];
    // The culprit is unknown. It will close the channel alone, and is identified then.
    if (refused && named.length === 0) for (const entry of left) this.#suspects.add(entry);
    const guilty = new Set(named.filter((entry) => !entry.settled && !this.#declaredHere(publishing, entry, error)));
    for (const entry of guilty) this.#refuse(entry, error);
    return left.filter((entry) => !guilty.has(entry));
  }

  /** A missing exchange of our own topology, of a contract, or of a delay, is declared with the next channel, so no message is to blame. */
  #declaredHere(
    { exchanges, link }: PublishingChannel,
    entry: PendingSend,
    { replyCode }: InstanceQueueError,
  ): boolean {
    if (replyCode !== 404) return false;
    const { exchange, message } = entry;
    if (isOfDelays(exchange)) {
      forgetDelays(link);
      const isFirst = !entry.ensuredAgain;
      entry.ensuredAgain = true;
      return isFirst;
    }
    const { contract } = message;
    if (contract !== undefined && exchanges.get(contract) === true && contract.passive !== true) return true;
    return (this.#declared().exchanges ?? []).some(({ name, passive }) => name === exchange && passive !== true);
  }

  #refuse(entry: PendingSend, cause: InstanceQueueError): void {
    const { messageId, exchange, routingKey, queue } = entry.message;
    this.#suspects.delete(entry);
    entry.declined++;
    this.#core.log.warn({ messageId, exchange, routingKey, err: cause }, 'message refused');
    const where = queue === undefined ? `exchange \`${entry.message.sentTo}\`` : `queue \`${queue}\``;
    const message = `The broker refused the message sent to ${where}. ${cause.message}`;
    const { maybeDelivered } = entry;
    entry.reject(
      new PublishError('PUBLISH_REFUSED', messageId, message, { cause, replyCode: cause.replyCode, maybeDelivered }),
    );
  }
}

/** The target of a delayed message is missing, or the queues in which it would wait cannot be declared. */
function cannotWait({ message: { messageId }, maybeDelivered }: PendingSend, cause: InstanceQueueError): PublishError {
  const { replyCode } = cause;
  const isMissingQueue = cause instanceof MissingTarget && cause.isQueue;
  const message = isMissingQueue
    ? `${cause.message} A delayed message for it would be lost: declare it, or send with \`mandatory: false\`.`
    : `The message cannot wait at the broker. ${cause.message}`;
  return new PublishError(isMissingQueue ? 'PUBLISH_RETURNED' : 'PUBLISH_REFUSED', messageId, message, {
    cause,
    replyCode,
    maybeDelivered,
  });
}

/** Rejects a message that the broker may or may not have. */
export function rejectUnknown(entry: PendingSend, cause: InstanceQueueError): void {
  const { messageId } = entry.message;
  const message = `The channel was lost before the broker confirmed the message; it may have it. ${cause.message}`;
  entry.reject(new PublishError('PUBLISH_UNKNOWN', messageId, message, { cause, maybeDelivered: true }));
}
